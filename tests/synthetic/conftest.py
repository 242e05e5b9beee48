"""Makes ``datasets/`` importable: its package ``synthetic`` is used as the scripts there use it.

Not as ``datasets.synthetic``, because an installed package of the name ``datasets`` would hide it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "datasets"))
