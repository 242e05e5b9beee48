import subprocess
import sys
from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog
from detectron2.modeling import META_ARCH_REGISTRY, ROI_HEADS_REGISTRY
from detectron2.utils.file_io import PathManager

import hmor_d2
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
