import logging
import math
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from tests.demo import program  # noqa: F401  makes the demo's scripts importable

from cameras import CameraChoice  # isort: skip
from exif_camera import exif_intrinsics  # isort: skip

# Numbers of the Exif standard, table of section 4.6.5.
ORIENTATION = 274
TAGS = {
    "FocalLength": 37386,
    "PixelXDimension": 40962,
    "PixelYDimension": 40963,
    "FocalPlaneXResolution": 41486,
    "FocalPlaneYResolution": 41487,
    "FocalPlaneResolutionUnit": 41488,
    "FocalLengthIn35mmFilm": 41989,
}


def photograph(path, size=(400, 300), orientation=None, **tags):
    """Write a picture, size (width, height) as stored, with EXIF."""
    exif = Image.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
    exif[0x8769] = {
        TAGS[name]: IFDRational(value) if isinstance(value, Fraction) else value
        for name, value in tags.items()
    }
    Image.new("RGB", size).save(path, exif=exif.tobytes())
    return path


@pytest.fixture
def warnings(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("hmor_d2"), "propagate", True)
    caplog.set_level("WARNING", "hmor_d2")
    return caplog


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_film_equivalents_hold_for_the_diagonal(tmp_path, warnings, suffix):
    path = photograph(tmp_path / f"a.{suffix}", FocalLengthIn35mmFilm=28)
    # 500 pixels of diagonal are 43.267 mm of film.
    focal = 28 * 500 / math.sqrt(36**2 + 24**2)
    assert focal == pytest.approx(323.58, abs=0.01)
    assert exif_intrinsics(path, 300, 400) == pytest.approx([focal, focal, 200, 150])
    assert not warnings.text


@pytest.mark.parametrize("unit, resolution", [(None, 2540), (2, 2540), (3, 1000), (4, 100)])
def test_focal_length_and_sensor_resolution(tmp_path, unit, resolution):
    """100 pixels a millimetre, 5.5 mm: a unit of 2 is inches, 3 centimetres, 4 millimetres."""
    tags = {"FocalPlaneXResolution": Fraction(resolution), "FocalLength": Fraction(11, 2)}
    tags |= {} if unit is None else {"FocalPlaneResolutionUnit": unit}
    path = photograph(tmp_path / "a.jpg", FocalPlaneYResolution=Fraction(2 * resolution), **tags)
    assert exif_intrinsics(path, 300, 400) == pytest.approx([550, 1100, 200, 150])
    path = photograph(tmp_path / "b.jpg", **tags)  # the same along both sides, if only one is told
    assert exif_intrinsics(path, 300, 400) == pytest.approx([550, 550, 200, 150])


def test_film_equivalents_come_first(tmp_path):
    sensor = {"FocalLength": Fraction(5), "FocalPlaneXResolution": Fraction(9999)}
    path = photograph(tmp_path / "a.jpg", FocalLengthIn35mmFilm=43, **sensor)
    assert exif_intrinsics(path, 300, 400)[0] == pytest.approx(43 * 500 / 43.2666, rel=1e-5)


@pytest.mark.parametrize("orientation, turned", [(1, False), (3, False), (6, True), (8, True)])
def test_axes_agree_with_the_picture_that_opencv_reads(tmp_path, orientation, turned):
    path = photograph(
        tmp_path / "a.jpg",
        orientation=orientation,
        FocalLength=Fraction(5),
        FocalPlaneXResolution=Fraction(100),
        FocalPlaneYResolution=Fraction(120),
        FocalPlaneResolutionUnit=4,
        PixelXDimension=800,  # stored at half the size it was taken with
        PixelYDimension=600,
    )
    height, width = cv2.imread(str(path)).shape[:2]
    assert (height > width) == turned
    expected = [300, 250, 150, 200] if turned else [250, 300, 200, 150]
    assert exif_intrinsics(path, height, width) == pytest.approx(expected)


def test_pixels_that_a_program_turned_keep_their_focal_length(tmp_path):
    sensor = {"FocalLength": Fraction(5), "FocalPlaneXResolution": Fraction(50)}
    dimensions = {"PixelXDimension": 800, "PixelYDimension": 600, "FocalPlaneResolutionUnit": 4}
    path = photograph(tmp_path / "a.jpg", (300, 400), **sensor, **dimensions)
    assert exif_intrinsics(path, 400, 300) == pytest.approx([125, 125, 150, 200])


def test_no_focal_length_is_no_camera_and_no_complaint(tmp_path, warnings):
    nothing = tmp_path / "a.png"
    assert cv2.imwrite(str(nothing), np.zeros((3, 4, 3), np.uint8))
    paths = [
        nothing,
        photograph(tmp_path / "b.jpg", orientation=6),
        photograph(tmp_path / "c.jpg", FocalLength=Fraction(5)),
        photograph(tmp_path / "d.jpg", FocalLengthIn35mmFilm=0),  # the standard's "unknown"
    ]
    for path in paths:
        assert exif_intrinsics(path, 300, 400) is None
    assert not warnings.text


@pytest.mark.parametrize(
    "tags, message",
    [
        ({"FocalLengthIn35mmFilm": "wide"}, "FocalLengthIn35mmFilm: found 'wide'"),
        ({"FocalLengthIn35mmFilm": 65000}, "between 1 and 150 degrees"),
        ({"FocalLengthIn35mmFilm": 1}, "between 1 and 150 degrees"),
        (
            {"FocalLengthIn35mmFilm": 28, "PixelXDimension": 400, "PixelYDimension": 400},
            "was cropped since",
        ),
        (
            {
                "FocalLength": Fraction(5),
                "FocalPlaneXResolution": Fraction(100),
                "FocalPlaneResolutionUnit": 9,
            },
            "FocalPlaneResolutionUnit: found 9",
        ),
    ],
)
def test_wrong_tags_are_named_and_ignored(tmp_path, warnings, tags, message):
    path = photograph(tmp_path / "a.jpg", **tags)
    assert exif_intrinsics(path, 300, 400) is None
    assert str(path) in warnings.text and message in warnings.text


@given(st.binary(max_size=200), st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"]))
def test_no_bytes_crash(tmp_path_factory, garbage, header):
    path = tmp_path_factory.mktemp("exif") / "a.jpg"
    Image.new("RGB", (40, 30)).save(path, exif=b"Exif\0\0" + header + garbage)
    found = exif_intrinsics(path, 30, 40)
    assert found is None or (len(found) == 4 and min(found) > 0)


def test_files_that_pillow_cannot_read_are_logged(tmp_path, warnings):
    path = tmp_path / "a.jpg"
    path.write_text("not a picture")
    assert exif_intrinsics(path, 30, 40) is None
    assert f"{path}: EXIF data is ignored" in warnings.text


def test_the_first_camera_that_is_known_counts(tmp_path, warnings):
    with_exif = photograph(tmp_path / "a.jpg", FocalLengthIn35mmFilm=28)
    without = photograph(tmp_path / "b.jpg")
    size = 300, 400
    exif = pytest.approx(323.58, abs=0.01)
    right_angle = pytest.approx(200)  # half the larger side
    default = pytest.approx(200 / math.tan(math.radians(27.5)))
    for options, path, source, focal in (
        ({"intrinsics": (7.0, 8.0, 1.0, 2.0)}, with_exif, "given", 7.0),
        ({"focal": 321.0}, with_exif, "given", 321.0),
        ({"fov_deg": 90.0}, with_exif, "exif", exif),
        ({"fov_deg": 90.0, "use_exif": False}, with_exif, "given", right_angle),
        ({"fov_deg": 90.0}, without, "given", right_angle),
        ({"fov_deg": 90.0}, None, "given", right_angle),
        ({}, with_exif, "exif", exif),
        ({}, without, "assumed", default),
        ({"use_exif": False}, with_exif, "assumed", default),
        ({}, None, "assumed", default),
    ):
        camera = CameraChoice(55.0, **options).camera(*size, path)
        assert (camera.source, camera.intrinsics[0]) == (source, focal)
        if "intrinsics" not in options:
            assert camera.intrinsics[1:] == (camera.intrinsics[0], 200, 150)
    camera = CameraChoice(55.0, intrinsics=(7.0, 8.0, 1.0, 2.0)).camera(*size)
    assert camera.intrinsics == (7.0, 8.0, 1.0, 2.0)
    assert camera.mean_focal == pytest.approx(math.sqrt(56))
