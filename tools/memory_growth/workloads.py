"""Long runs to watch: training steps of a config, and pictures of many sizes."""

import tempfile
from collections.abc import Callable, Iterator

import numpy as np
import torch
from benchmarks.fixed_people import FixedPeople, random_boxes
from detectron2.config import CfgNode
from detectron2.data import transforms as T
from detectron2.engine import HookBase
from detectron2.modeling import build_model
from tqdm import tqdm

from hmor_d2.checkpoint import HMORCheckpointer
from hmor_d2.data import register_custom_datasets
from hmor_d2.modeling import optimize_for_inference

__all__ = ["infer", "train"]


def train(cfg: CfgNode, steps: int, after: Callable[[int], None]) -> None:
    """Train as train_net.py does, without evaluation; what it writes is deleted.

    Args:
        cfg: whose DATASETS.TRAIN are there.
        after: called after each step, numbered from 1.
    """
    import train_net  # of the repository's root, which the tool puts on the path

    class _AfterStep(HookBase):
        def after_step(self) -> None:
            progress.update()
            after(self.trainer.iter + 1)

    with tempfile.TemporaryDirectory() as folder, tqdm(total=steps, unit="step") as progress:
        cfg = cfg.clone()
        cfg.defrost()
        cfg.OUTPUT_DIR, cfg.SOLVER.MAX_ITER, cfg.DATASETS.TEST = folder, steps, ()
        cfg.TEST.EVAL_PERIOD = 0
        cfg.freeze()
        register_custom_datasets(cfg.DATASETS.CUSTOM)
        trainer = train_net.Trainer(cfg)
        trainer.resume_or_load(resume=False)
        trainer.register_hooks([_AfterStep()])
        trainer.train()


def infer(
    cfg: CfgNode,
    count: int,
    after: Callable[[int], None],
    *,
    sides: tuple[int, int],
    max_people: int,
    precise: bool,
    seed: int,
) -> None:
    """Run the model on pictures, one by one, each with a number of people that is forced.

    Args:
        cfg: of the model; MODEL.WEIGHTS may be "".
        count: pictures.
        after: called after each picture, numbered from 1.
        sides: least and largest side of a picture, pixels, before it is resized.
        max_people: each picture has 0 to this many.
        precise: without ``optimize_for_inference``.
        seed: of sizes, pictures and people.
    """
    model = build_model(cfg).eval()
    HMORCheckpointer(model).load(cfg.MODEL.WEIGHTS)
    if cfg.MODEL.DEVICE == "cpu" and not precise:
        optimize_for_inference(model, inplace=True)
    resize = T.ResizeShortestEdge([cfg.INPUT.MIN_SIZE_TEST] * 2, cfg.INPUT.MAX_SIZE_TEST)
    pictures = _pictures(np.random.default_rng(seed), sides, max_people)
    for number, (picture, people) in zip(
        range(1, count + 1), tqdm(pictures, total=count), strict=False
    ):
        image = resize.get_transform(picture).apply_image(picture)
        image = torch.as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)))
        boxes = random_boxes(people, image.shape[1:]).to(model.device)
        height, width = picture.shape[:2]
        with torch.inference_mode(), FixedPeople(model, boxes):
            (found,) = model([{"image": image, "height": height, "width": width}])
        if len(found["instances"]) != people:
            raise RuntimeError(f"{len(found['instances'])} people, not {people}")
        after(number)


def _pictures(
    rng: np.random.Generator, sides: tuple[int, int], max_people: int
) -> Iterator[tuple[np.ndarray, int]]:
    """Noise (H, W, 3) uint8 and a number of people, without end."""
    while True:
        width, height = rng.integers(sides[0], sides[1] + 1, 2).tolist()
        picture = rng.integers(0, 256, (height, width, 3), np.uint8)
        yield picture, int(rng.integers(0, max_people + 1))
