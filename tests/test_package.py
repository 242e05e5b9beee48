import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog
from detectron2.modeling import META_ARCH_REGISTRY, ROI_HEADS_REGISTRY
from detectron2.utils.file_io import PathManager

import hmor_d2
from hmor_d2.model_zoo.packaged_weights import BACKBONES, TRAINED_MODELS
from hmor_d2.modeling import DEPTH_HEAD_REGISTRY, DEPTH_MAP_HEAD_REGISTRY, POSE_HEAD_REGISTRY

ROOT = Path(__file__).parents[1]
WITHOUT_DETECTRON2 = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("detectron2", "fvcore"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


def test_importing_registers_everything():
    assert hmor_d2.__version__
    assert "HMORRCNN" in META_ARCH_REGISTRY and "HMORROIHeads" in ROI_HEADS_REGISTRY
    assert "HeatmapPoseHead" in POSE_HEAD_REGISTRY and "ResidualDepthHead" in DEPTH_HEAD_REGISTRY
    assert "FPNDepthMapHead" in DEPTH_MAP_HEAD_REGISTRY
    assert {"muco_train", "panoptic_train"} <= set(DatasetCatalog.list())


def test_without_detectron2_the_error_tells_how_to_install_it():
    result = run(WITHOUT_DETECTRON2 + "import hmor_d2")
    assert result.returncode != 0
    message = result.stderr.strip().splitlines()[-1]
    assert message.startswith("ImportError") and "facebookresearch/detectron2" in message


@pytest.mark.parametrize(
    "statement",
    [
        "from hmor_d2.losses import hmor_losses, sample_view_normals",
        "import hmor_d2.skeleton",
        "import hmor_d2.structures",
    ],
)
def test_the_maths_needs_no_detectron2(statement):
    result = run(WITHOUT_DETECTRON2 + statement)
    assert result.returncode == 0, result.stderr


def test_packaged_weights():
    path = PathManager.get_local_path("hmor_d2://resnet50_half_width.pth")
    assert Path(path).is_file() and PathManager.isfile("hmor_d2://resnet50_half_width.pth")
    with pytest.raises(FileNotFoundError, match=r"no_such.*resnet50_half_width"):
        PathManager.get_local_path("hmor_d2://no_such.pth")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What 'pip install .' installs, in a folder of its own."""
    source = tmp_path_factory.mktemp("source")
    for folder in ("hmor_d2", "configs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    wheels = tmp_path_factory.mktemp("wheels")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(source)], check=True)
    (wheel,) = wheels.glob("*.whl")
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_everything_is_installed(installed):
    package = installed / "hmor_d2"
    expected = {
        package / file.relative_to(ROOT / "hmor_d2"): file
        for file in (ROOT / "hmor_d2").rglob("*")
        if file.is_file() and file.suffix != ".pyc" and not file.name.startswith(".")
    }
    for file in (ROOT / "configs").rglob("*.yaml"):
        expected[package / "model_zoo" / "configs" / file.relative_to(ROOT / "configs")] = file
    for copy, file in expected.items():
        assert copy.is_file() and copy.read_bytes() == file.read_bytes(), file
    for weights in (*BACKBONES, *TRAINED_MODELS.values()):
        assert package / "model_zoo" / weights.file in expected
    found = {file for file in package.rglob("*") if file.is_file()}
    assert found == expected.keys() and len(found) > 100


def test_an_installed_package_has_its_own_configs(installed):
    code = """
import hmor_d2
from hmor_d2 import model_zoo
print(hmor_d2.__file__)
print(model_zoo.get_config_file("muco_coco/hmor_rcnn_R_50_FPN"))
cfg = model_zoo.get_config("synthetic/hmor_rcnn_R_50_half_FPN", pretrained=False)
print(cfg.MODEL.WEIGHTS)
"""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=installed, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [
        f"{installed}/hmor_d2/__init__.py",
        f"{installed}/hmor_d2/model_zoo/configs/muco_coco/hmor_rcnn_R_50_FPN.yaml",
        "hmor_d2://resnet50_half_width.pth",
    ]
