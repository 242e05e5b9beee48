"""Ways to spoil a file: bytes, JSON values, pickled values."""

import copy
import json
import random
import struct
from collections.abc import Callable
from typing import Any

__all__ = ["NASTY", "spoil_bytes", "spoil_json", "spoil_value"]

_WORDS = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 100_000, 1 << 24)
_LONGS = (1 << 31, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


def _deep(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


#: Values that no reader should trip over, wherever they stand.
NASTY: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 2**31, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400, 0.5, -0.0,
    1e-320, 1e38, 1e39, 1e300, -1e308, float("nan"), float("inf"), float("-inf"),
    "", "0", "1e5", "nan", "text", "x" * 5000, "\x00", "\ud800", "\u0661", "a" + "9" * 5000,
    "/etc/passwd", "/dev/zero", "../../../etc/passwd", "..", ".", "TS1/img_" + "9" * 5000 + ".jpg",
    "{}%s{0.__class__}%n", "<img src=x onerror=alert(1)>",
    [], {}, [[]], [{}], {"": None}, [None], [True], ["a", "b"], [0] * 4, [1.0] * 3, [[1, 2], [3]],
    [float("nan")] * 4, [1e300] * 4, {"id": 1}, _deep(60), _deep(200),
)  # fmt: skip


def spoil_bytes(rng: random.Random, data: bytes) -> bytes:
    """One to four random changes; headers, at the beginning and the end, more often."""
    spoilt = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if not spoilt:
            break
        size = len(spoilt)
        at = rng.choice(
            (
                rng.randrange(size),
                rng.randrange(min(size, 200)),
                size - 1 - rng.randrange(min(size, 200)),
            )
        )
        change = rng.randrange(8)
        if change == 0:
            spoilt[at] ^= 1 << rng.randrange(8)
        elif change == 1:
            spoilt[at] = rng.choice((0, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif change == 2:
            del spoilt[at:]
        elif change == 3:
            del spoilt[at : at + rng.choice((1, 2, 8, 100, size // 2))]
        elif change == 4:
            spoilt[at:at] = rng.randbytes(rng.choice((1, 2, 8, 100)))
        elif change == 5:
            start = rng.randrange(size)
            spoilt[at:at] = spoilt[start : start + rng.choice((4, 16, 200, size))]
        else:
            form = rng.choice(("<I", ">I", "<H", ">H", "<Q", ">Q", "B"))
            values = _LONGS if form[-1] == "Q" else _WORDS
            number = rng.choice(values) & ((1 << 8 * struct.calcsize(form)) - 1)
            spoilt[at : at + struct.calcsize(form)] = struct.pack(form, number)
    return bytes(spoilt)


def spoil_value(rng: random.Random, content: Any, nasty: tuple[Any, ...] = NASTY) -> Any:
    """A copy of nested dicts and lists in which a few values are others, gone, or elsewhere."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        place = _random_place(rng, content)
        if place is None:
            return _chosen(rng, nasty)
        parent, key = place
        change = rng.randrange(8)
        if change == 0:
            del parent[key]
        elif change == 1:
            other = _random_place(rng, content)
            parent[key] = copy.deepcopy(other[0][other[1]]) if other else None
        elif change == 2 and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[rng.randrange(len(parent))]))
        elif change == 3 and isinstance(parent, dict):
            parent[rng.choice(("", "id", "x", "__class__", "9" * 30))] = parent.pop(key)
        else:
            parent[key] = _chosen(rng, nasty)
    return content


def _chosen(rng: random.Random, nasty: tuple[Any, ...]) -> Any:
    value = rng.choice(nasty)
    return (
        copy.deepcopy(value) if isinstance(value, list | dict) else value
    )  # it may be spoilt, too


def _random_place(rng: random.Random, content: Any) -> tuple[Any, Any] | None:
    """A container and one of its keys, at a random depth."""
    place = None
    while isinstance(content, dict | list) and content:
        if place is not None and rng.random() < 0.2:
            break
        key = (
            rng.choice(list(content)) if isinstance(content, dict) else rng.randrange(len(content))
        )
        place = content, key
        content = content[key]
    return place


_TEXT_CHANGES: tuple[Callable[[random.Random, str], str], ...] = (
    lambda rng, text: text[: rng.randrange(len(text) + 1)],
    lambda rng, text: text.replace('": ', '": -', rng.randrange(1, 4)),
    lambda rng, text: text.replace("{", '{"id": 7, "id": [], ', rng.randrange(1, 4)),
    lambda rng, text: "[" * rng.choice((10, 2000, 200_000)) + text,
    lambda rng, text: text.replace("[", "[" * 3000, 1),
    lambda rng, text: text.replace("1", "1" * 5000, 1),
    lambda rng, text: text.replace("0.", "1e999", 2),
    lambda rng, text: "\ufeff" + text,
    lambda rng, text: text + text,
    lambda rng, text: "",
    lambda rng, text: text.replace(",", ",,", rng.randrange(1, 3)),
)


def spoil_json(rng: random.Random, content: Any) -> bytes:
    """The text of a JSON file: mostly valid JSON of spoilt content."""
    kind = rng.random()
    if kind < 0.75:
        return json.dumps(spoil_value(rng, content)).encode()
    text = json.dumps(content)
    if kind < 0.9:
        return rng.choice(_TEXT_CHANGES)(rng, text).encode()
    return spoil_bytes(rng, text.encode())
