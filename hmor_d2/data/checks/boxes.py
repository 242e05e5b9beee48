"""Boxes, and 2D joints in their boxes and in the image."""

from collections import Counter

import numpy as np

from .people import People
from .rows import Check, note, skip

__all__ = ["BoxCheck"]

# Annotators' boxes follow the outline of the body, which a joint may leave.
_MIN_IN_BOX = 0.9
_MIN_IN_IMAGE = 0.9


class BoxCheck:
    """Counts, over all people but crowds, what is wrong with boxes and 2D joints."""

    def __init__(self):
        self._count: Counter[str] = Counter()
        self._visibility = np.zeros(3, dtype=np.int64)

    def add(self, people: People) -> None:
        alone = ~people.crowd
        boxes, sizes = people.boxes[alone], people.sizes[alone]
        keypoints = people.keypoints[alone]
        positive = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        meets = (boxes[:, 2:] > 0).all(axis=1) & (boxes[:, :2] < sizes).all(axis=1)
        pixels, visible = keypoints[..., :2], keypoints[..., 2] == 2
        in_box = ((pixels >= boxes[:, None, :2]) & (pixels <= boxes[:, None, 2:])).all(axis=-1)
        in_image = ((pixels >= 0) & (pixels <= sizes[:, None])).all(axis=-1)
        self._count.update(
            people=len(boxes),
            flat=int((~positive).sum()),
            outside=int((positive & ~meets).sum()),
            visible=int(visible.sum()),
            in_box=int((visible & in_box).sum()),
            in_image=int((visible & in_image).sum()),
        )
        flags = keypoints[..., 2].astype(np.int64).ravel()
        self._visibility += np.bincount(flags, minlength=3)

    def rows(self) -> list[Check]:
        count = self._count
        if not count["people"]:
            return [skip("boxes", "no people")]
        rows = [
            Check.judged("boxes without size", f"{count['flat']}", "0", count["flat"] == 0),
            Check.judged("boxes outside the image", f"{count['outside']}", "0",
                         count["outside"] == 0),
        ]  # fmt: skip
        labelled = int(self._visibility[1:].sum())
        if not labelled:
            return [*rows, skip("2D joints", "none is labelled")]
        unknown, hidden, visible = self._visibility / self._visibility.sum()
        shares = f"{unknown:.1%} unknown, {hidden:.1%} not visible, {visible:.1%} visible"
        rows.append(note("2D joints", shares))
        for name, key, least in (
            ("visible joints in their box", "in_box", _MIN_IN_BOX),
            ("visible joints in the image", "in_image", _MIN_IN_IMAGE),
        ):
            if not count["visible"]:
                rows.append(skip(name, "none is visible"))
                continue
            share = count[key] / count["visible"]
            rows.append(Check.judged(name, f"{share:.2%}", f">= {least:.0%}", share >= least))
        return rows
