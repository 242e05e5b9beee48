"""Results of a video or a webcam: people with numbers that last, smoothed over time."""

import itertools
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cameras import Camera, CameraChoice
from capture import Clip, ClipFrame
from clip_outputs import FramesFile, VideoFile
from one_euro import OneEuro, PoseSmoother
from page_frames import PageFrames
from predictor import PosePredictor
from results import People, describe_camera, describe_people
from sources import batches
from tqdm import tqdm
from tracker import Tracker

__all__ = ["ClipSummary", "process_clip"]

# More frames make a page slow to load.
_PAGE_FRAMES = 150


@dataclass(frozen=True)
class ClipSummary:
    """What came of a clip: frames, different people, and whether Ctrl-C ended it."""

    frames: int
    people: int
    interrupted: bool


def process_clip(
    clip: Clip,
    stem: Path,
    predictor: PosePredictor,
    cameras: CameraChoice,
    *,
    score_threshold: float,
    batch_size: int,
    tracker: Tracker,
    smoothing: OneEuro | None,
) -> ClipSummary:
    """Estimate and follow everyone's pose through a clip, and write the results.

    Ctrl-C ends the clip after the frames at hand: what was recorded is written.  A second one
    stops at once.

    Args:
        stem: path of the results without _poses.mp4, .json or .html.
        smoothing: None for poses as they were estimated.

    Raises:
        SourceError: if the clip has no frames.
        OSError: if a result cannot be written.
    """
    results = None
    with interruptible() as stop, closing(clip), ExitStack() as stack:
        progress = stack.enter_context(
            tqdm(total=clip.length, desc=Path(clip.name).name, unit="frame")
        )
        frames = itertools.takewhile(lambda _: not stop.is_set(), clip)
        for batch in batches(frames, batch_size):
            if results is None:
                camera = cameras.camera(*batch[0].image.shape[:2])
                results = ClipResults(clip, stem, predictor, camera, tracker, smoothing, batch[0])
                stack.callback(results.close)  # also after an error: hours may have been done
            images = [frame.image for frame in batch]
            found = predictor(images, [camera.intrinsics] * len(batch))
            for frame, instances in zip(batch, found, strict=True):
                results.add(frame, People.from_instances(instances, score_threshold))
                progress.update()
        interrupted = stop.is_set()
    count, people = (results.count, len(results.people)) if results else (0, 0)
    return ClipSummary(count, people, interrupted)


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Within, the first Ctrl-C sets the event; a second one interrupts as always."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)

    def set_stop(*_) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, set_stop)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


class ClipResults:
    """Numbers, smooths, draws and writes the people of successive frames.

    Attributes:
        count: frames up to now.
        people: numbers of the people up to now.
    """

    def __init__(
        self,
        clip: Clip,
        stem: Path,
        predictor: PosePredictor,
        camera: Camera,
        tracker: Tracker,
        smoothing: OneEuro | None,
        first: ClipFrame,
    ):
        self.count = 0
        self.people: set[int] = set()
        self._clip, self._stem, self._camera = clip, stem, camera
        self._skeleton = predictor.skeleton
        self._tracks = tracker.start()
        self._smoother = None if smoothing is None else PoseSmoother(smoothing)
        size = first.image.shape[:2]
        header = describe_camera("video", clip.name, size, camera, self._skeleton)
        header |= {"fps": clip.fps, "stride": clip.stride}
        header["smoothing"] = None if smoothing is None else asdict(smoothing)
        self._json = FramesFile(stem.with_name(f"{stem.name}.json"), header)
        self._video = VideoFile(stem.with_name(f"{stem.name}_poses"), clip.fps)
        self._page = PageFrames(_PAGE_FRAMES, clip.length)

    def add(self, frame: ClipFrame, people: People) -> None:
        """The next frame and the people found in it, not numbered yet."""
        ids = self._tracks.update(people.boxes, people.poses, frame.time_s)
        self.people.update(ids.tolist())
        people = replace(people, ids=ids)
        if self._smoother is not None:
            self._smoother.forget_all_but(self._tracks.ids)
            joints = people.keypoints, people.poses
            joints = self._smoother(ids, *joints, frame.time_s, self._camera.mean_focal)
            people = people.smoothed(*joints, self._skeleton.root_index)
        self._json.write(
            {
                "index": frame.index,
                "time_s": round(frame.time_s, 4),
                "people": describe_people(people),
            }
        )
        self._video.write(people.drawn_on(frame.image, self._skeleton), frame.time_s)
        name = f"frame {frame.index}, {frame.time_s:.2f} s"
        self._page.add(name, frame.image, self._camera, people, frame.time_s)
        self.count += 1

    def close(self) -> None:
        """Complete the files."""
        self._json.close()
        self._video.close()
        page = self._stem.with_name(f"{self._stem.name}.html")
        self._page.write(page, self._skeleton, Path(self._clip.name).name, video=True)
