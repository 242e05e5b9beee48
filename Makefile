# Everything runs in .venv, which is made on first use.  Another Python: make PYTHON=python3.12 test
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := output/demo

.PHONY: setup test test-all test-versions lint format demo clean

setup: $(READY)

$(READY): requirements.txt setup.py tools/install_detectron2.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python tools/install_detectron2.py
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Files of tests run side by side, one a core, each with one thread.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile

test: $(READY)
	$(PYTEST) -m "not slow"

test-all: $(READY)
	$(PYTEST)

# The oldest versions that work, in an environment of their own (about 6 GB; it needs Python 3.11 and
# a C++ compiler).  Another copy of Detectron2's repository:
# make DETECTRON2_OLDEST=git+file:///path/to/detectron2@v0.6 test-versions
OLDEST_VENV ?= .venv-versions
OLDEST_BIN := $(OLDEST_VENV)/bin
OLDEST_READY := $(OLDEST_VENV)/.ready
DETECTRON2_OLDEST ?= git+https://github.com/facebookresearch/detectron2@v0.6

$(OLDEST_READY): requirements-oldest.txt setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Python 3.11 is needed")'
	$(PYTHON) -m venv $(OLDEST_VENV)
	$(OLDEST_BIN)/python -m pip install --quiet --requirement requirements-oldest.txt
	$(OLDEST_BIN)/python -m pip install --quiet --no-deps --no-build-isolation $(DETECTRON2_OLDEST)
	$(OLDEST_BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

test-versions: $(OLDEST_READY)
	$(OLDEST_BIN)/python -m pytest -m "not slow"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The packaged model on synthetic pictures of unseen people, with figures, and on photographs.
DEMO_DATA := $(DEMO)/datasets/synthetic/mupots
# Debian's opencv-doc has a street video.
DEMO_VIDEO := $(wildcard /usr/share/doc/opencv-doc/examples/data/vtest.avi)

demo: $(READY)
	$(BIN)/python datasets/prepare_synthetic.py --size small --only mupots --root $(DEMO)/datasets
	DETECTRON2_DATASETS=$(DEMO)/datasets $(BIN)/python train_net.py --eval-only \
		--config-file configs/synthetic/hmor_rcnn_R_50_half_FPN.yaml OUTPUT_DIR $(DEMO)/evaluation \
		MODEL.WEIGHTS hmor_d2://hmor_rcnn_R_50_half_FPN.pth \
		DATASETS.TEST "('synthetic_mupots_test',)"
	$(BIN)/python demo/demo.py --output $(DEMO)/results --max-frames 60 \
		--input demo/photographs/skier.jpg "$(DEMO_DATA)/TS*/img_000000.jpg" \
		demo/photographs/astronaut.jpg $(DEMO_VIDEO)
	@echo "Open $(DEMO)/results/index.html in a browser"

clean:
	rm -rf output
