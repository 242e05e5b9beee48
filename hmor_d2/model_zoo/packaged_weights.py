"""Weights that come with the package, under the path prefix ``hmor_d2://`` in configs."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from detectron2.utils.file_io import PathManager
from iopath.common.file_io import PathHandler

from ..checkpoint import CheckpointError

__all__ = ["BACKBONES", "TRAINED_MODELS", "PackagedWeights", "PackagedWeightsHandler"]

FOLDER = Path(__file__).parent
_GIT_LFS = b"version https://git-lfs"


class PackagedWeights(NamedTuple):
    """A file of this folder, and the SHA-256 of what is in it, in hexadecimal digits."""

    file: str
    sha256: str


# Backbones, to begin a training with.
BACKBONES = (
    PackagedWeights(
        "resnet50_half_width.pth",
        "ae93a74a3558299acbbace100f6c341c85cfd5c249fcdce55850e4184099a7ec",
    ),
)

# Trained models by the names of their configs: FOLDER/NAME for configs/FOLDER/NAME.yaml.  The
# files are made by tools/export_weights.py, which prints the SHA-256.
TRAINED_MODELS: dict[str, PackagedWeights] = {
    "synthetic/hmor_rcnn_R_50_half_FPN": PackagedWeights(
        "hmor_rcnn_R_50_half_FPN.pth",
        "9a089df3cbbee1d6a156759dc06ea856f74d1c3484630848d3d383d046e984ed",
    ),
    "synthetic/ablation_start_R_50_half_FPN": PackagedWeights(
        "ablation_start_R_50_half_FPN.pth",
        "395ef2a8a563cd3bfc5c5c9e7e072debfbd88f7eb73e3db94579ad1d2e737396",
    ),
}


class PackagedWeightsHandler(PathHandler):
    """Resolves ``hmor_d2://FILE`` to a file of this folder that is listed above, if it is whole.

    Raises FileNotFoundError for files that are not listed or not there, and CheckpointError where
    the SHA-256 is another.
    """

    PREFIX = "hmor_d2://"

    def _get_supported_prefixes(self) -> list[str]:
        return [self.PREFIX]

    def _get_local_path(self, path: str, force: bool = False, **kwargs) -> str:
        known = {weights.file: weights for weights in (*BACKBONES, *TRAINED_MODELS.values())}
        weights = known.get(path.removeprefix(self.PREFIX))
        if weights is None:
            raise FileNotFoundError(f"no weights '{path}' in the package; it has {sorted(known)}")
        file = FOLDER / weights.file
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing: install the package again")
        _check(file, weights.sha256)
        return str(file)

    def _open(self, path: str, mode: str = "r", buffering: int = -1, **kwargs):
        return open(self._get_local_path(path), mode, buffering=buffering)

    def _isfile(self, path: str, **kwargs) -> bool:
        return (FOLDER / path.removeprefix(self.PREFIX)).is_file()


def _check(file: Path, expected: str) -> None:
    content = file.read_bytes()
    if content.startswith(_GIT_LFS):
        raise CheckpointError(
            f"{file} is a Git LFS pointer in place of the weights: run 'git lfs pull' in the "
            "repository, then install the package again"
        )
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise CheckpointError(
            f"{file} is truncated or of another version: found {len(content)} bytes with SHA-256 "
            f"{found}, expected SHA-256 {expected}; install the package again"
        )


PathManager.register_handler(PackagedWeightsHandler(), allow_override=True)
