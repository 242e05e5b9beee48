"""What tools/check_memory.py runs and measures."""
