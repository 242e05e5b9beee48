"""Files of generated datasets: whole or absent, and of the same bytes for the same content."""

import io
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.io import savemat

JPEG_QUALITY = 92
# What a MATLAB v5 file begins with; scipy's own text has the time of day in it.
_MAT_HEADER = b"MATLAB 5.0 MAT-file, synthetic scenes"
_MAT_HEADER_SIZE = 116


def write_atomically(path: Path, content: bytes | Iterable[str]) -> None:
    """Write a file aside and rename it, so that an interrupted run leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    if isinstance(content, bytes):
        partial.write_bytes(content)
    else:
        with open(partial, "w", encoding="utf-8") as file:
            file.writelines(content)
    os.replace(partial, path)


def write_json(path: Path, content: Any) -> None:
    write_atomically(path, [json.dumps(content)])


def write_jpeg(path: Path, image: np.ndarray) -> None:
    """Write (H, W, 3) uint8 BGR."""
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise OSError(f"{path}: found an image that cannot be encoded, of shape {image.shape}")
    write_atomically(path, encoded.tobytes())


def write_mat(path: Path, variables: dict[str, np.ndarray]) -> None:
    """Write a compressed MATLAB v5 file."""
    buffer = io.BytesIO()
    savemat(buffer, variables, do_compression=True)
    content = bytearray(buffer.getvalue())
    content[:_MAT_HEADER_SIZE] = _MAT_HEADER.ljust(_MAT_HEADER_SIZE)
    write_atomically(path, bytes(content))


def write_joined_json(
    path: Path,
    parts: Callable[[], Iterable[dict[str, Any]]],
    fields: tuple[str, ...],
    constants: dict[str, Any] | None = None,
) -> None:
    """Write one JSON object whose lists are those of many parts, holding one part at a time.

    Args:
        parts: called once a field; gives the parts in order, each with a list by field.
        fields: names of the lists.
        constants: further content, written first.
    """

    def pieces() -> Iterable[str]:
        yield "{"
        for name, value in (constants or {}).items():
            yield f"{json.dumps(name)}: {json.dumps(value)},\n"
        for number, field in enumerate(fields):
            yield (",\n" if number else "") + json.dumps(field) + ": ["
            separator = "\n"
            for part in parts():
                for record in part[field]:
                    yield separator + json.dumps(record)
                    separator = ",\n"
            yield "\n]"
        yield "}\n"

    write_atomically(path, pieces())


def rounded(values: np.ndarray, digits: int) -> list:
    """Nested lists of floats; pixels keep 4 digits in files, millimetres 3."""
    return np.round(np.asarray(values, dtype=np.float64), digits).tolist()
