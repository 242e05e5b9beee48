"""Checks of a loaded dataset: each module measures one thing on its dataset dicts.

``tools/check_dataset.py`` runs them all and prints their rows.
"""

from .annotations import AnnotationReport, check_annotations
from .images import check_images_present, check_images_readable
from .published import PUBLISHED_COUNTS, PublishedCounts
from .rows import Check, format_checks

__all__ = [
    "PUBLISHED_COUNTS",
    "AnnotationReport",
    "Check",
    "PublishedCounts",
    "check_annotations",
    "check_images_present",
    "check_images_readable",
    "format_checks",
]
