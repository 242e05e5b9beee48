from pathlib import Path

import pytest

from tests.demo import program  # noqa: F401  makes the demo's scripts importable

import sources  # isort: skip


def test_inputs_are_expanded_once_and_told_apart(tmp_path):
    for name in ("a/same.png", "a/film.MP4", "b/same.png", "b/broken.jpg", "b/notes.txt", "c.x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    inputs = ["b", "*/same.png", "a/same.png", "*.gif", "a/*", "c.x", "gone.avi"]
    found = sources.find_inputs(str(tmp_path / name) for name in inputs)
    pictures, videos, empty = [[str(Path(p).relative_to(tmp_path)) for p in ps] for ps in found]
    assert pictures == ["b/broken.jpg", "b/same.png", "a/same.png", "c.x"]
    assert videos == ["a/film.MP4", "gone.avi"]
    assert empty == ["*.gif"]


def test_names_never_collide():
    paths = [
        Path(p) for p in ("a/x.jpg", "b/x.mp4", "c/x_2.jpg", "d/X.png", "e/y.jpg", "index.avi")
    ]
    assert sources.output_names(paths) == ["x", "x_2", "x_2_2", "X_3", "y", "index_2"]


def test_batches_keep_order_and_end_short():
    assert list(sources.batches(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(sources.batches([], 3)) == []


def test_pictures_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "broken.jpg").write_text("not a picture")
    for name, reason in (("broken.jpg", "cannot be read"), ("gone.jpg", "does not exist")):
        with pytest.raises(sources.SourceError, match=f"{name}: {reason}"):
            sources.read_picture(tmp_path / name)
    with pytest.raises(sources.SourceError, match="cannot be read"):
        sources.read_picture(tmp_path)
