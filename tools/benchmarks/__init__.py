"""One module for each command of tools/benchmark.py."""
