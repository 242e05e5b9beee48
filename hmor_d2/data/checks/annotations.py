"""All checks that need the annotations alone."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .bodies import BodyCheck
from .boxes import BoxCheck
from .people import People, stack_people
from .projection import ProjectionCheck
from .published import PublishedCounts
from .records import check_cameras, check_counts, check_duplicates
from .rows import Check

__all__ = ["AnnotationReport", "check_annotations"]


@dataclass(frozen=True)
class AnnotationReport:
    """What :func:`check_annotations` found.

    Attributes:
        checks: the table's rows.
        reprojection: of each joint that is known in 2D and 3D, "count", "median_px", "worst_px".
    """

    checks: list[Check]
    reprojection: dict[str, dict[str, Any]]


def check_annotations(
    records: Sequence[Mapping[str, Any]],
    *,
    published: PublishedCounts | None = None,
    default_joint_set: str = "coco17",
    max_median_px: float = 0.1,
    max_worst_px: float = 1.0,
    progress: Callable[[Iterable], Iterable] | None = None,
) -> AnnotationReport:
    """Check the annotations of dataset dicts.  2D data gets "skip" in the rows of 3D.

    Time and memory grow linearly: about 4 bytes a person, joint and body part, and a few seconds
    per 100 000 people.

    Args:
        records: dataset dicts in the project's conventions (continuous pixels, mm).
        published: counts of the whole dataset, if the records should be it.
        default_joint_set: of records without "joint_set".
        max_median_px, max_worst_px: limits of the distance between 2D joints and the projections
            of 3D joints.
        progress: wraps the records.

    Raises:
        DatasetError: for annotations that cannot be measured: fields missing or of another
            shape, numbers that are not finite.
    """
    rows = check_duplicates(records)
    cameras = check_cameras(records)
    boxes, bodies = BoxCheck(), BodyCheck()
    projection = ProjectionCheck(max_median_px, max_worst_px)
    found = Counter(images=len(records))
    found["images_2d"] = sum(any(map(_has_2d, record["annotations"])) for record in records)
    for people in stack_people(progress(records) if progress else records, default_joint_set):
        found.update(_count(people))
        for check in (boxes, bodies, projection):
            check.add(people)
    rows = [*check_counts(found, published), *rows, *boxes.rows(), *cameras]
    rows += [*projection.rows(), *bodies.rows()]
    return AnnotationReport(rows, projection.by_joint())


def _has_2d(person: Mapping[str, Any]) -> bool:
    keypoints = person.get("keypoints")
    return keypoints is not None and not person.get("iscrowd", 0) and any(keypoints[2::3])


def _count(people: People) -> dict[str, int]:
    alone = ~people.crowd
    return {
        "people": int(alone.sum()),
        "people_2d": int((people.keypoints[alone, :, 2] > 0).any(axis=1).sum()),
        "people_3d": int(people.valid[alone].any(axis=1).sum()),
    }
