#!/usr/bin/env python3
"""Prepare sequences of CMU Panoptic: extract frames from the HD videos, write an index.

The index (<sequence>/hmor_index_<joint set>.npz) replaces listing the images and opening a JSON
file a frame whenever the dataset is loaded.  Run again after an interruption, or when files were
added: what is done is not done again.  Exit code 1 if a sequence could not be prepared.
"""

import argparse
import os
import sys
from collections.abc import Collection
from pathlib import Path

import cv2
from tqdm import tqdm

from hmor_d2.data import DatasetError
from hmor_d2.data.datasets.panoptic_files import find_poses, image_folder, list_frames
from hmor_d2.data.datasets.panoptic_index import index_path, read_index, write_index

JPEG_QUALITY = 95
# Videos and poses of a sequence do not always end at the same frame.
TOLERATED_FRAMES = 5


def extract_frames(folder: Path, camera: str, wanted: Collection[int]) -> int:
    """Write frames of ``hdVideos/hd_<camera>.mp4`` as ``hdImgs/<camera>/<camera>_%08d.jpg``.

    Frames count from 0, as in the toolbox's ``extractAll.sh`` and in the names of the poses.
    Those that are there already are left alone; each is written aside and renamed.  A video may
    end up to :data:`TOLERATED_FRAMES` before the poses do, which is said on stderr.

    Args:
        folder: of the sequence.
        wanted: frame numbers.

    Returns:
        how many were written.

    Raises:
        DatasetError: for a video that is missing, does not open, or ends earlier.
        OSError: if a picture cannot be written.
    """
    target = Path(image_folder(str(folder), camera))
    target.mkdir(parents=True, exist_ok=True)
    missing = set(wanted) - list_frames(str(target), f"{camera}_", "jpg")
    if not missing:
        return 0
    video = folder / "hdVideos" / f"hd_{camera}.mp4"
    if not video.is_file():
        raise DatasetError(f"{video}: found nothing there, expected the video of camera {camera}")
    capture = cv2.VideoCapture(str(video))
    last = max(missing)
    written = 0
    try:
        # Every frame is decoded in turn: jumping to a number is not exact in these videos.
        for frame in tqdm(range(last + 1), desc=f"{folder.name}, {camera}", unit="frame"):
            if not capture.grab():
                if frame and last - frame < TOLERATED_FRAMES:
                    late = sum(number >= frame for number in missing)
                    tqdm.write(
                        f"{video}: ends {late} wanted frames before the poses", file=sys.stderr
                    )
                    break
                raise DatasetError(
                    f"{video}: found {frame} frames, expected {last + 1} (is the file whole?)"
                )
            if frame not in missing:
                continue
            good, image = capture.retrieve()
            if not good:
                raise DatasetError(f"{video}: frame {frame} cannot be decoded")
            write_jpeg(target / f"{camera}_{frame:08d}.jpg", image)
            written += 1
    finally:
        capture.release()
    return written


def write_jpeg(path: Path, image) -> None:
    good, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not good:
        raise OSError(f"{path}: the picture cannot be encoded")
    # A name of its own, as another run may write the same picture.
    partial = path.with_suffix(f".jpg.{os.getpid()}.part")
    partial.write_bytes(content.tobytes())
    os.replace(partial, path)


def prepare_sequence(folder: Path, args: argparse.Namespace) -> str:
    """Prepare one sequence; returns what was done.  Raises DatasetError."""
    joint_set, pose_folder = find_poses(str(folder), args.joint_set)
    done = []
    if args.extract_frames:
        annotated = list_frames(pose_folder, "body3DScene_", "json")
        wanted = {frame for frame in annotated if frame % args.frame_step == 0}
        for camera in args.cameras:
            done.append(f"{extract_frames(folder, camera, wanted)} frames of {camera} extracted")
    place = str(folder), joint_set, args.cameras, args.image_ext
    if not args.rebuild and read_index(*place) is not None:
        return ", ".join([*done, "index up to date"])
    label = f"{folder.name}, poses"
    write_index(*place, progress=lambda frames: tqdm(frames, desc=label, unit="frame"))
    size = os.path.getsize(index_path(str(folder), joint_set)) / 1e6
    return ", ".join([*done, f"index written ({size:.1f} MB)"])


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found '{text}', expected a positive number")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default_root = Path(os.environ.get("DETECTRON2_DATASETS", "datasets")) / "panoptic"
    parser.add_argument("--root", type=Path, default=default_root, metavar="DIR",
                        help="folder of the sequences")  # fmt: skip
    parser.add_argument("--sequences", nargs="+", metavar="NAME", help="default: all in the folder")
    parser.add_argument("--cameras", nargs="+", default=["00_16", "00_30"], metavar="CAMERA")
    parser.add_argument("--joint-set", choices=("panoptic19", "panoptic15"),
                        help="default: panoptic19 where a sequence has it")  # fmt: skip
    parser.add_argument("--image-ext", default="jpg", metavar="EXT")
    parser.add_argument("--rebuild", action="store_true", help="write every index anew")
    parser.add_argument("--extract-frames", action="store_true",
                        help="from hdVideos: annotated frames without a picture")  # fmt: skip
    parser.add_argument("--frame-step", type=positive, default=1, metavar="K",
                        help="extract frames whose number is a multiple of K")  # fmt: skip
    args = parser.parse_args(arguments)
    args.root = args.root.expanduser()
    if args.extract_frames and args.image_ext != "jpg":
        parser.error("--extract-frames writes jpg images")
    sequences = args.sequences or sorted(
        path.parent.name
        for path in args.root.glob("*/calibration_*.json")
        if path.name == f"calibration_{path.parent.name}.json"
    )
    if not sequences:
        parser.error(f"--root: found no sequence with a calibration in {args.root}")
    failed = []
    for name in sequences:
        try:
            print(f"{name}: {prepare_sequence(args.root / name, args)}")
        except DatasetError as error:
            failed.append(name)
            print(f"{name}: {error}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(sequences)} sequences failed: {failed}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
