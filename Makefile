# Everything runs in .venv, which is made on first use.  Another Python: make PYTHON=python3.12 test
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := output/demo

.PHONY: setup test test-all lint format demo clean

setup: $(READY)

$(READY): requirements.txt setup.py tools/install_detectron2.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python tools/install_detectron2.py
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

test: $(READY)
	$(BIN)/python -m pytest -m "not slow"

test-all: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Synthetic pictures, a short training, its evaluation, and poses to look at.
demo: $(READY)
	$(BIN)/python datasets/prepare_synthetic.py --size small --root $(DEMO)/datasets
	DETECTRON2_DATASETS=$(DEMO)/datasets $(BIN)/python train_net.py \
		--config-file configs/synthetic/demo_R_50_half_FPN.yaml OUTPUT_DIR $(DEMO)/model
	$(BIN)/python demo/demo.py --config-file $(DEMO)/model/config.yaml \
		--input "$(DEMO)/datasets/synthetic/mupots/TS*/img_000000.jpg" --output $(DEMO)/results \
		--opts MODEL.WEIGHTS $(DEMO)/model/model_final.pth
	@echo "Open $(DEMO)/results/index.html in a browser"

clean:
	rm -rf output
