"""Entries of configs for tools/check_dataset.py, and rows of its reports."""

from pathlib import Path

READABLE = "images readable, size as annotated"
MEDIAN, WORST = "reprojection, median", "reprojection, worst"
LENGTHS = {
    f"length {part}"
    for part in (
        "neck-head_top", "neck-shoulder", "shoulder-elbow", "elbow-wrist", "pelvis-hip",
        "hip-knee", "knee-ankle", "pelvis-neck",
    )
}  # fmt: skip


def muco_entry(folder: Path) -> dict:
    json_file = str(folder / "train.json")
    return {"format": "muco", "json_file": json_file, "image_root": str(folder)}


def rows_by(report: dict, status: str) -> set[str]:
    return {row["name"] for row in report["checks"] if row["status"] == status}


def row(report: dict, name: str) -> dict:
    (found,) = (row for row in report["checks"] if row["name"] == name)
    return found
