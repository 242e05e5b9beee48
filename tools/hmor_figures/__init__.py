"""The figures of docs/hmor.md, one module each; drawn by tools/draw_hmor_figures.py."""
