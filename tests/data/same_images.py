"""Dataset dicts compared, all but their people."""

from collections.abc import Iterator

import numpy as np

__all__ = ["people_of_same_images"]


def people_of_same_images(
    found: list[dict], expected: list[dict], ignored: frozenset = frozenset()
) -> Iterator[tuple[list[dict], list[dict]]]:
    """The annotations of each pair of dataset dicts, which must be equal otherwise.

    Args:
        found, expected: dataset dicts; intrinsics are equal to 1e-9 px.
        ignored: fields that do not matter.
    """
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.keys() - ignored == b.keys() - ignored
        np.testing.assert_allclose(a["intrinsics"], b["intrinsics"], rtol=0, atol=1e-9)
        for field in a.keys() - {"intrinsics", "annotations"} - ignored:
            assert a[field] == b[field], field
        yield a["annotations"], b["annotations"]
