"""tools/check_dataset.py, run on datasets as a config describes them, and generated figures."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from detectron2.data import DatasetCatalog, MetadataCatalog

from tests.scripts import load_script


@pytest.fixture(scope="session")
def tool():
    return load_script("tools/check_dataset.py")


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("toy")
    counts = ["--train-images", "12", "--test-images", "0", "--demo-images", "0"]
    size = ["--size", "96x80"]
    load_script("datasets/prepare_toy.py").main(["--root", str(root), *counts, *size])
    return root / "toy"


@pytest.fixture
def check(tool, tmp_path):
    """Runs the tool on a dataset described as in a config; gives exit code and report."""
    names = []

    def run(entry: dict | None, *arguments: str, name: str | None = None) -> tuple[int, dict]:
        if name is None:
            name = f"check_{tmp_path.name}_{len(names)}"
            names.append(name)
        config = tmp_path / "config.yaml"
        custom = [] if entry is None else [{"name": name, **entry}]
        config.write_text(yaml.safe_dump({"VERSION": 2, "DATASETS": {"CUSTOM": custom}}))
        report = tmp_path / "report/check.json"
        report.unlink(missing_ok=True)
        arguments = [name, "--config-file", str(config), "--output", str(report), *arguments]
        code = tool.main(arguments)
        return code, json.loads(report.read_text()) if report.exists() else {}

    yield run
    for name in names:
        for catalog in (DatasetCatalog, MetadataCatalog):
            if name in catalog.list():
                catalog.remove(name)


@pytest.fixture
def registered():
    """Registers dataset dicts for one test."""
    names = []

    def register(name: str, load, joint_set: str) -> str:
        DatasetCatalog.register(name, load)
        MetadataCatalog.get(name).joint_set = joint_set
        names.append(name)
        return name

    yield register
    for name in names:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


@pytest.fixture
def copy_of_toy(toy, tmp_path) -> Path:
    return shutil.copytree(toy, tmp_path / "toy")
