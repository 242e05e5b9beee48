"""Pictures and videos that claim absurd sizes, are no files, or would start another program."""

import io
import os
import shutil
import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from hmor_d2.data import DatasetError, HMORDatasetMapper
from hmor_d2.data.checks import check_images_readable
from hmor_d2.data.image_file import MAX_PIXELS, open_picture, read_picture
from tests.hostile.config_readers import small_config
from tests.hostile.picture_readers import SIZE, pictures
from tests.hostile.sandbox import growth_mb

import capture  # isort: skip  # of demo/, which picture_readers puts on the path
import sources  # isort: skip
from clip_outputs import VideoFile  # isort: skip

SIDE = 100_000


def huge_picture(suffix: str) -> bytes:
    """A small picture whose header claims 100000 x 100000, or what the format has at most."""
    data = bytearray(pictures()[suffix])
    if suffix == "png":
        data[16:24] = struct.pack(">II", SIDE, SIDE)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif suffix == "jpg":
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", 65500, 65500)
    elif suffix == "bmp":
        data[18:26] = struct.pack("<ii", SIDE, SIDE)
    elif suffix == "gif":
        data[6:10] = struct.pack("<HH", 65500, 65500)
    elif suffix == "tiff":
        start = struct.unpack_from("<I", data, 4)[0]
        for entry in range(start + 2, start + 2 + 12 * data[start], 12):
            if struct.unpack_from("<H", data, entry)[0] in (256, 257):
                data[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, SIDE)
    return bytes(data)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tiff"])
def test_a_small_file_that_claims_a_huge_picture(tmp_path, suffix):
    path = tmp_path / f"huge.{suffix}"
    path.write_bytes(huge_picture(suffix))
    mapper = HMORDatasetMapper(small_config(), is_train=False)

    def train() -> None:
        with pytest.raises(DatasetError, match=rf"huge\.{suffix}, image 7: .*{MAX_PIXELS}"):
            mapper({"file_name": str(path), "image_id": 7})

    def show() -> None:
        with pytest.raises(sources.SourceError, match=rf"huge\.{suffix}: .*{MAX_PIXELS}"):
            sources.read_picture(path)

    def check() -> None:
        row = check_images_readable(
            [{"file_name": str(path), "width": SIDE, "height": SIDE}], sample=None
        )
        assert row.status == "FAIL" and f"{MAX_PIXELS}" in row.value

    for read in (train, show, check):
        assert growth_mb(read) < 50


def test_a_size_that_is_not_the_annotated_one_is_not_decoded(tmp_path):
    path = tmp_path / "large.png"
    Image.new("L", (12_000, 9_000)).save(path)  # 108 million pixels in a file of 100 kB
    mapper = HMORDatasetMapper(small_config(), is_train=False)
    record = {"file_name": str(path), "image_id": 7, "width": 640, "height": 480}

    def read() -> None:
        with pytest.raises(DatasetError, match="found 12000 x 9000 pixels, expected 640 x 480"):
            mapper(record)

    assert growth_mb(read) < 50


@pytest.mark.parametrize("name", ["pipe", "folder", "device"])
def test_what_is_no_file_is_not_waited_for(tmp_path, name):
    path = tmp_path / "picture.jpg"
    if name == "pipe":
        os.mkfifo(path)
    elif name == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(DatasetError, match=r"picture\.jpg, image 7: .*no file but a folder, pipe"):
        HMORDatasetMapper(small_config(), is_train=False)({"file_name": str(path), "image_id": 7})
    with pytest.raises(sources.SourceError, match=r"picture\.jpg: .*no file but a folder, pipe"):
        sources.read_picture(path)
    with pytest.raises(sources.SourceError, match=r"picture\.jpg: .*found no file"):
        capture.VideoClip(path)


def test_formats_that_start_programs_are_not_read(tmp_path):
    """Pillow gives Encapsulated PostScript to Ghostscript, whatever the file's name says."""
    path = tmp_path / "picture.jpg"
    Image.new("RGB", (8, 8)).save(path, "EPS")
    with Image.open(path) as picture:
        assert picture.format == "EPS"
    with pytest.raises(ValueError, match="cannot identify image file"), open_picture(path):
        pass
    with pytest.raises(sources.SourceError, match=r"picture\.jpg: cannot be read as a picture"):
        sources.read_picture(path)


def test_pictures_are_read_as_detectron2_reads_them(tmp_path):
    from detectron2.data.detection_utils import read_image

    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    exif = Image.Exif()
    exif[274] = 6
    for name, mode in (("a.png", "RGB"), ("b.jpg", "RGB"), ("c.png", "P"), ("d.png", "RGBA")):
        path = tmp_path / name
        options = {"exif": exif.tobytes()} if name == "b.jpg" else {}
        Image.fromarray(pixels).convert(mode).save(path, **options)
        for form in ("BGR", "RGB", "L", None):
            found = read_picture(path, form, size=(9, 6))
            np.testing.assert_array_equal(found, read_image(str(path), form))
        with pytest.raises(ValueError, match="found 9 x 6 pixels, expected 9 x 7"):
            read_picture(path, "BGR", size=(9, 7))


def test_a_decoder_that_fails_names_the_image(tmp_path):
    """Pillow's parsers raise whatever arbitrary bytes make them raise."""
    path = tmp_path / "picture.png"
    data = pictures()["png"]
    path.write_bytes(data[:40] + bytes(200) + data[240:])
    with pytest.raises(DatasetError, match=r"picture\.png, image 7: cannot use the image"):
        HMORDatasetMapper(small_config(), is_train=False)({"file_name": str(path), "image_id": 7})


def write_video(path, size=SIZE) -> bytes:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20, size)
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no videos")
    writer.write(np.zeros((size[1], size[0], 3), np.uint8))
    writer.release()
    return path.read_bytes()


def test_a_video_of_absurd_size(tmp_path, monkeypatch):
    path = tmp_path / "a.avi"
    write_video(path)
    real = cv2.VideoCapture

    class Huge:
        """What the file says of its size, exaggerated: FFmpeg has a limit of its own."""

        def __init__(self, name):
            self._capture = real(name)

        def get(self, what):
            sides = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
            return 16_000.0 if what in sides else self._capture.get(what)

        def __getattr__(self, name):
            return getattr(self._capture, name)

    monkeypatch.setattr(cv2, "VideoCapture", Huge)
    with pytest.raises(sources.SourceError, match=r"a\.avi: .*frames of 16000 x 16000 pixels"):
        capture.VideoClip(path)


@pytest.mark.parametrize(
    "text", ["#EXTM3U\n#EXTINF:1,\n{}\n", "ffconcat version 1.0\nfile '{}'\n", "v=0\nc=IN IP4 {}\n"]
)
def test_playlists_do_not_open_other_files(tmp_path, text):
    other, path = tmp_path / "other.avi", tmp_path / "video.mp4"
    write_video(other)
    shutil.copy(other, tmp_path / "fine.avi")
    path.write_text(text.format("other.avi"))
    with pytest.raises(sources.SourceError, match=r"video\.mp4: .*found a text"):
        capture.VideoClip(path)
    assert len(list(capture.VideoClip(tmp_path / "fine.avi"))) == 1


def test_names_that_are_no_utf8(tmp_path):
    """OpenCV 5 ends the process where it is given one."""
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    file = io.BytesIO()
    Image.new("RGB", (8, 6)).save(file, "PNG")
    path.write_bytes(file.getvalue())
    assert sources.read_picture(path).shape == (6, 8, 3)
    (name,) = sources.output_names([path])
    assert name == "caf\ufffd" and sources.is_utf8(tmp_path / name)
    video = path.with_suffix(".avi")
    video.write_bytes(write_video(tmp_path / "a.avi"))
    with pytest.raises(sources.SourceError, match=r"\.avi: .*no UTF-8"):
        capture.VideoClip(video)
    written = VideoFile(path.with_name(f"{path.stem}_poses"), 20.0)
    written.write(np.zeros((6, 8, 3), np.uint8), 0.0)
    written.close()
    assert written.path is None
    mapper = HMORDatasetMapper(small_config(), is_train=False)
    assert mapper({"file_name": str(path), "image_id": 7})["image"].dtype == torch.uint8
