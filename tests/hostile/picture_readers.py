"""Readers of pictures and videos, with hostile files."""

import io
import random
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from hmor_d2.data import DatasetError, HMORDatasetMapper
from tests.data.writers import make_person
from tests.demo import program  # noqa: F401  makes the demo's scripts importable
from tests.hostile.config_readers import small_config
from tests.hostile.hostile_reader import HostileReader
from tests.hostile.mutations import spoil_bytes

from capture import VideoClip  # isort: skip
from exif_camera import exif_intrinsics  # isort: skip
from sources import SourceError, read_picture  # isort: skip

__all__ = ["PICTURE_READERS", "SIZE", "pictures"]

SIZE = 64, 48  # width, height
FORMATS = {"jpg": "JPEG", "png": "PNG", "bmp": "BMP", "webp": "WEBP", "tiff": "TIFF", "gif": "GIF"}


def pictures() -> dict[str, bytes]:
    """A picture in each format, some with EXIF."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    exif = Image.Exif()
    exif[274] = 1
    exif[0x8769] = {41989: 28}
    result = {}
    for suffix, name in FORMATS.items():
        file = io.BytesIO()
        extra = {"exif": exif.tobytes()} if suffix in ("jpg", "png", "webp") else {}
        Image.fromarray(pixels).save(file, name, **extra)
        result[suffix] = file.getvalue()
    return result


def picture_reader(read: Callable[[Path], object], errors: tuple, rounds: int) -> HostileReader:
    whole = pictures()

    def write(rng: random.Random, folder: Path) -> Path:
        suffix = rng.choice(("jpg", "jpg", "png", *FORMATS))
        path = folder / f"picture.{suffix}"
        path.write_bytes(spoil_bytes(rng, whole[suffix]))
        return path

    return HostileReader(read, write, errors, rounds)


def training_pictures() -> HostileReader:
    mapper = HMORDatasetMapper(small_config(), is_train=True)
    person = make_person(np.random.default_rng(0), (500, 500, 32, 24), 17)
    person = {key: person[key] for key in ("bbox", "bbox_mode", "category_id", "keypoints")}
    record = {"image_id": 1, "height": SIZE[1], "width": SIZE[0], "annotations": [person]}

    def read(path: Path) -> None:
        mapped = mapper(record | {"file_name": str(path)})
        assert mapped["image"].shape[1] == 48
        assert torch.isfinite(mapped["instances"].gt_keypoints.tensor).all()

    return picture_reader(read, (DatasetError,), 150)


def demo_pictures() -> HostileReader:
    def read(path: Path) -> None:
        image = read_picture(path)
        found = exif_intrinsics(path, *image.shape[:2])
        assert found is None or np.isfinite(found).all()

    return picture_reader(read, (SourceError,), 150)


def videos() -> HostileReader:
    whole: dict[str, bytes] = {}

    def write(rng: random.Random, folder: Path) -> Path:
        for suffix, codec in (("avi", "MJPG"), ("mp4", "mp4v")):
            if suffix not in whole:
                path = str(folder / f"whole.{suffix}")
                writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*codec), 20, SIZE)
                for i in range(4):
                    writer.write(np.full((SIZE[1], SIZE[0], 3), 50 * i, np.uint8))
                writer.release()
                whole[suffix] = Path(path).read_bytes()
        suffix = rng.choice(sorted(whole))
        path = folder / f"video.{suffix}"
        path.write_bytes(spoil_bytes(rng, whole[suffix]))
        return path

    def read(path: Path) -> None:
        clip = VideoClip(path, max_frames=50)
        for frame in clip:
            assert np.isfinite(frame.time_s)
        clip.close()

    return HostileReader(read, write, (SourceError,), 40)


PICTURE_READERS: dict[str, Callable[[], HostileReader]] = {
    "training pictures": training_pictures,
    "demo pictures": demo_pictures,
    "videos": videos,
}
