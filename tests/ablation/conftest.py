"""Makes ``tools/`` importable, as tools/run_ablation.py has it: its package ``ablation``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
