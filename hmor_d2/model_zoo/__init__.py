"""Weights that come with the package, under the path prefix ``hmor_d2://`` in configs."""

from pathlib import Path

from detectron2.utils.file_io import PathManager
from iopath.common.file_io import PathHandler

__all__: list[str] = []


class PackagedWeightsHandler(PathHandler):
    """Resolves ``hmor_d2://FILE`` to a file of this folder."""

    PREFIX = "hmor_d2://"

    def _get_supported_prefixes(self) -> list[str]:
        return [self.PREFIX]

    def _get_local_path(self, path: str, force: bool = False, **kwargs) -> str:
        folder = Path(__file__).parent
        file = folder / path.removeprefix(self.PREFIX)
        if not file.is_file():
            known = sorted(f.name for f in folder.glob("*.pth"))
            raise FileNotFoundError(f"no weights '{path}' in the package; it has {known}")
        return str(file)

    def _open(self, path: str, mode: str = "r", buffering: int = -1, **kwargs):
        return open(self._get_local_path(path), mode, buffering=buffering)

    def _isfile(self, path: str, **kwargs) -> bool:
        return (Path(__file__).parent / path.removeprefix(self.PREFIX)).is_file()


PathManager.register_handler(PackagedWeightsHandler(), allow_override=True)
