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

# Generated figures, a short training, its evaluation, and pictures.
demo: $(READY)
	$(BIN)/python datasets/prepare_toy.py --root $(DEMO)/datasets
	DETECTRON2_DATASETS=$(DEMO)/datasets $(BIN)/python train_net.py \
		--config-file configs/toy/hmor_rcnn_R_50_half_FPN_toy.yaml OUTPUT_DIR $(DEMO)/model
	$(BIN)/python demo/demo.py --config-file $(DEMO)/model/config.yaml \
		--input $(DEMO)/datasets/toy/demo --output $(DEMO)/results \
		--opts MODEL.WEIGHTS $(DEMO)/model/model_final.pth
	@echo "Pictures and JSON: $(DEMO)/results"

clean:
	rm -rf output
