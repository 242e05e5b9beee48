"""Broken annotation files that every loader of COCO-style JSON must refuse, each with its place."""

import gc
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hmor_d2.data.dataset_error import DatasetError
from tests.data.writers import write_json

# How a content is broken, and what the message must say besides the file.
Broken = tuple[Callable[[Any], object], list[str]]

# In the messages, ids of the content as it was: {image} and {annotation} are the second ones,
# {owner} is the image of that annotation, {first_image} and {first_annotation} the first ones.
COCO_STYLE: dict[str, Broken] = {
    "no images": (lambda c: c.pop("images"), ["'images'", "'annotations'"]),
    "no annotations": (lambda c: c.pop("annotations"), ["'annotations'", "'images'"]),
    "no image id": (lambda c: c["images"][1].pop("id"), ["images[1]", "'id'"]),
    "image id twice": (
        lambda c: c["images"][1].update(id=c["images"][0]["id"]),
        ["images[1]", "found {first_image}", "unique"],
    ),
    "no file_name": (lambda c: c["images"][1].pop("file_name"), ["image {image}", "file_name"]),
    "no width": (lambda c: c["images"][1].pop("width"), ["image {image}", "width"]),
    "no height": (lambda c: c["images"][1].pop("height"), ["image {image}", "height"]),
    "zero height": (
        lambda c: c["images"][1].update(height=0),
        ["image {image}", "height", "found 0", "positive"],
    ),
    "no annotation id": (lambda c: c["annotations"][1].pop("id"), ["annotations[1]", "'id'"]),
    "annotation id twice": (
        lambda c: c["annotations"][1].update(id=c["annotations"][0]["id"]),
        ["annotations[1]", "found {first_annotation}", "unique"],
    ),
    "no image_id": (
        lambda c: c["annotations"][1].pop("image_id"),
        ["annotation {annotation}", "image_id"],
    ),
    "unknown image": (
        lambda c: c["annotations"][1].update(image_id=123456),
        ["annotation {annotation}", "image_id", "found 123456"],
    ),
    "no bbox": (
        lambda c: c["annotations"][1].pop("bbox"),
        ["image {owner}, annotation {annotation}", "bbox"],
    ),
    "text in the box": (
        lambda c: c["annotations"][1].update(bbox=["a", 0, 1, 1]),
        ["annotation {annotation}", "bbox", "'a'"],
    ),
    "NaN in the box": (
        lambda c: c["annotations"][1].update(bbox=[math.nan, 0, 1, 1]),
        ["annotation {annotation}", "bbox", "finite"],
    ),
    "box of texts": (
        lambda c: c["annotations"][1].update(bbox=["1", "2", "3", "4"]),
        ["image {owner}, annotation {annotation}", "bbox", "numbers"],
    ),
    "box beyond a float": (
        lambda c: c["annotations"][1].update(bbox=[1, 2, 10**400, 4]),
        ["image {owner}, annotation {annotation}", "bbox", "numbers"],
    ),
    "huge width": (
        lambda c: c["images"][1].update(width=10**30),
        ["image {image}", "width", "below 2**31"],
    ),
    "null images": (lambda c: c.update(images=None), ["'images'", "None"]),
    "null annotations": (lambda c: c.update(annotations=None), ["'annotations'", "None"]),
    "id in a list": (lambda c: c["images"][1].update(id=[1]), ["images[1]", "'id'", "[1]"]),
    "image_id in a list": (
        lambda c: c["annotations"][1].update(image_id=[1]),
        ["annotation {annotation}", "image_id", "[1]"],
    ),
    "file_name of no text": (
        lambda c: c["images"][1].update(file_name=7),
        ["image {image}", "file_name", "found 7"],
    ),
    "negative box": (
        lambda c: c["annotations"][1].update(bbox=[1, 2, -3, 4]),
        ["annotation {annotation}", "bbox", "[1, 2, -3, 4]"],
    ),
}


def assert_refused(
    content: Mapping[str, Any], broken: Broken, path: Path, load: Callable[[str], object]
) -> None:
    """Breaks the content, writes it to ``path``, and loads it: DatasetError that says where."""
    break_content, expected = broken
    ids = {
        f"{prefix}{kind}": content[f"{kind}s"][i]["id"]
        for kind in ("image", "annotation")
        for i, prefix in enumerate(("first_", ""))
    }
    ids["owner"] = content["annotations"][1]["image_id"]
    break_content(content)
    write_json(path, content)
    with pytest.raises(DatasetError) as error:
        load(str(path))
    for part in (str(path), *expected):
        assert part.format(**ids) in str(error.value)


def assert_unreadable_refused(content: object, path: Path, load: Callable[[str], object]) -> None:
    """The file cut short, not text, or absent: DatasetError that names it."""
    whole = json.dumps(content)
    for broken in (whole[:100], whole[:-40], ""):
        path.write_text(broken)
        with pytest.raises(DatasetError, match=f"{path.name}.*broken JSON"):
            load(str(path))
    for broken in ('{"images": ' + "[" * 100_000, '{"images": [' + "1" * 100_000 + "]}"):
        path.write_text(broken)
        with pytest.raises(DatasetError, match=f"{path.name}.*broken JSON"):
            load(str(path))
    path.write_bytes(b'{"\xff\xfe')
    with pytest.raises(DatasetError, match=f"{path.name}.*broken JSON"):
        load(str(path))
    assert gc.isenabled()  # it rests while a file is parsed
    path.unlink()
    with pytest.raises(DatasetError, match="DETECTRON2_DATASETS") as error:
        load(str(path))
    assert str(path) in str(error.value)
