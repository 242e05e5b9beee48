"""The rows of the paper's Table 4, trained and compared; run by tools/run_ablation.py."""
