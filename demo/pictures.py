"""Results of single pictures: overlay, JSON, 3D panel, and one page for all."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from cameras import Camera, CameraChoice
from page_frames import PageFrames
from predictor import PosePredictor
from results import People, describe_camera, describe_people
from sources import SourceError, batches, read_picture
from tqdm import tqdm

from hmor_d2.skeleton import Skeleton

__all__ = ["process_pictures"]


def process_pictures(
    paths: Sequence[Path],
    stems: Sequence[Path],
    predictor: PosePredictor,
    cameras: CameraChoice,
    *,
    page: Path,
    score_threshold: float,
    batch_size: int,
    panels: bool = False,
) -> tuple[list[int], list[str]]:
    """Estimate everyone's pose in pictures and write the results.

    Args:
        paths: picture files.
        stems: for each, the path of its results without _overlay.png, _3d.png or .json.
        page: HTML file to write.
        panels: also write _3d.png.

    Returns:
        the number of people in each picture that could be read, and why the others could not.

    Raises:
        OSError: if a result cannot be written.
    """
    failed: list[str] = []
    counts: list[int] = []
    frames = PageFrames()
    with tqdm(total=len(paths), unit="image", disable=not paths) as progress:
        inputs = _readable(zip(paths, stems, strict=True), failed, progress)
        for batch in batches(inputs, batch_size):
            images = [image for *_, image in batch]
            chosen = [cameras.camera(*image.shape[:2], path) for path, _, image in batch]
            found = predictor(images, [camera.intrinsics for camera in chosen])
            for (path, stem, image), camera, instances in zip(batch, chosen, found, strict=True):
                people = People.from_instances(instances, score_threshold)
                _write(path, stem, image, camera, people, predictor.skeleton, panels)
                frames.add(path.name, image, camera, people)
                counts.append(len(people))
                progress.update()
    frames.write(page, predictor.skeleton, "Absolute poses")
    return counts, failed


def _readable(inputs, failed: list[str], progress: tqdm) -> Iterator[tuple[Path, Path, np.ndarray]]:
    for path, stem in inputs:
        try:
            yield path, stem, read_picture(path)
        except SourceError as error:
            failed.append(str(error))
            progress.update()


def _write(
    path: Path,
    stem: Path,
    image: np.ndarray,
    camera: Camera,
    people: People,
    skeleton: Skeleton,
    panels: bool,
) -> None:
    _, overlay = cv2.imencode(".png", people.drawn_on(image, skeleton))
    Path(f"{stem}_overlay.png").write_bytes(overlay.tobytes())
    if panels:
        from hmor_d2.visualization import draw_panel  # needs matplotlib

        draw_panel(
            image,
            people.boxes,
            people.keypoints,
            people.poses,
            skeleton,
            intrinsics=camera.intrinsics,
            scores=people.scores,
            root_depth=people.root_depth,
            path=f"{stem}_3d.png",
        )
    result = describe_camera("image", path, image.shape[:2], camera, skeleton)
    result["people"] = describe_people(people)
    Path(f"{stem}.json").write_text(json.dumps(result, indent=1), "utf-8")
