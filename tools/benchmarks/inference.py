"""Time of the model on a picture beside Keypoint R-CNN and a route over crops of people.

Rivals: Detectron2's Keypoint R-CNN R50-FPN, which gives 2D joints alone; and Faster R-CNN R50-FPN,
then a ResNet-50 for root depths and a ResNet-50 with three deconvolutions for poses, both on a
256x256 crop a person (3DMPPE).  All have random weights, run on the same picture, and take turns,
one picture each; ratios are of times of the same turn.

The number of people is forced in the same way for all: the proposal generator runs, then its
proposals are exchanged for fixed ones, as many as the config allows; the box head runs on these,
with its suppression of doubles, then its detections are exchanged for as many fixed boxes as there
are people.  So nobody's work depends on what random weights find.  Reading and resizing the
picture are not timed.

All run as hmor_d2.modeling.optimize_for_inference arranges them, rivals too, unless
--stock-rivals; "plain" is the model without it.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from torch import nn
from tqdm import tqdm

from benchmarks.fixed_people import FixedPeople, random_boxes
from benchmarks.rivals import build_crop_route, build_keypoint_rcnn
from benchmarks.step_profile import print_costs, profile_step
from hmor_d2.config_file import read_config
from hmor_d2.modeling import has_bfloat16_units, optimize_for_inference
from hmor_d2.structures import PinholeCameras

OURS, PLAIN = "ours", "plain"


def image_size(text: str) -> tuple[int, int]:
    try:
        width, height = map(int, text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text}, expected e.g. 1333x800") from None
    if min(width, height) < 32:
        raise argparse.ArgumentTypeError(f"found {text}, expected 32 pixels or more")
    return width, height


def count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"found {text}, expected 1 or more")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--people", type=count, nargs="+", default=[1, 5, 10, 20])
    parser.add_argument("--size", type=image_size, default="1333x800", metavar="WxH")
    parser.add_argument("--repeats", type=count, default=7, help="turns that are timed")
    parser.add_argument(
        "--config-file", default="configs/muco_coco/hmor_rcnn_R_50_FPN.yaml", help="of the model"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=count, default=torch.get_num_threads(), help="on the CPU")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="time of the processor, for a busy machine; with --threads 1",
    )
    parser.add_argument(
        "--stock-rivals",
        action="store_true",
        help="do not let optimize_for_inference change rivals",
    )
    parser.add_argument(
        "--profile", action="store_true", help="our largest costs, with the most people"
    )
    parser.add_argument("--json", "--output", dest="json", help="file for the figures")


def run(args: argparse.Namespace) -> None:
    if args.cpu_time and (args.threads > 1 or args.device != "cpu"):
        raise SystemExit("--cpu-time needs --threads 1 and --device cpu: others wait for work")
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    cfg = read_config(args.config_file)
    cfg.MODEL.DEVICE = args.device
    models = build_models(cfg, optimize_rivals=not args.stock_rivals)
    where = f"{args.threads} threads, {platform.processor() or platform.machine()}"
    if args.device != "cpu":
        where = torch.cuda.get_device_name(torch.device(args.device))
    width, height = args.size
    kind = "processor time" if args.cpu_time else "time"
    in_bfloat16 = args.device == "cpu" and has_bfloat16_units()
    number = "float32 and bfloat16" if in_bfloat16 else "float32"
    print(
        f"{width}x{height}, {kind}, median of {args.repeats} turns (quartiles), {number}, "
        f"torch {torch.__version__}, {where}\n\n"
        f"{'people':>6}{'':4}{'':16}{'seconds':<26}{'times ours':<26}times of {min(args.people)}"
    )
    clock = Clock(args.device, time.process_time if args.cpu_time else time.perf_counter)
    rows = measure(models, (height, width), args.people, args.repeats, clock)
    for row in rows:
        print_row(row)
    costs = None
    if args.profile:
        costs = profile_ours(models[OURS], (height, width), max(args.people))
        print_costs(costs)
    if args.json:
        figures = {
            "size": [width, height],
            "config_file": args.config_file,
            "clock": kind,
            "device": where,
            "torch": torch.__version__,
            "number": number,
            "stock_rivals": args.stock_rivals,
            "repeats": args.repeats,
            "rows": rows,
            "profile": costs,
        }
        Path(args.json).write_text(json.dumps(figures, indent=1) + "\n")
        print(f"\nWrote {args.json}")


def build_models(cfg: CfgNode, optimize_rivals: bool) -> dict[str, nn.Module]:
    """Ours first, then ours without optimize_for_inference, then the rivals."""
    device = cfg.MODEL.DEVICE
    plain = build_model(cfg).eval()
    joints = plain.skeleton.num_joints
    return {
        OURS: optimize_for_inference(plain),
        PLAIN: plain,
        "Keypoint R-CNN": build_keypoint_rcnn(device, optimize_rivals),
        "crops": build_crop_route(joints, device, optimize_rivals),
    }


class Clock:
    """Times a model on a picture, in seconds."""

    def __init__(self, device: str, now: Callable[[], float]):
        self.is_cuda = device != "cpu"
        self.now = now

    def __call__(self, model: nn.Module, picture: dict, num_people: int) -> float:
        """Raises AssertionError if the model does not give as many poses as there are people."""
        start = self._read()
        (output,) = model([dict(picture)])
        seconds = self._read() - start
        people = output["instances"]
        field = "pred_keypoints_cam" if people.has("pred_keypoints_cam") else "pred_keypoints"
        assert len(people.get(field)) == num_people, f"{len(people)} people, not {num_people}"
        return seconds

    def _read(self) -> float:
        if self.is_cuda:
            torch.cuda.synchronize()
        return self.now()


def measure(
    models: dict[str, nn.Module],
    size: tuple[int, int],
    people: list[int],
    repeats: int,
    clock: Clock,
) -> list[dict]:
    """Time all models on all numbers of people, which take turns.

    Args:
        models: by name.
        size: (height, width) of the picture.
        people: numbers that are forced in all models.
        repeats: turns, after one to warm up.
        clock: measures one run.

    Returns:
        for each number people, and by name seconds, times_ours and times_fewest (over the same
        model's with the fewest people, of the same turn): dicts of median and quartiles
        [25 %, 75 %].
    """
    picture = make_picture(size)
    names = list(models)
    seconds = {(number, name): [] for number in people for name in names}
    for turn in tqdm(range(repeats + 1), desc="turns", disable=None):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            model = models[name]
            detector = getattr(model, "detector", model)
            for number in people:
                boxes = random_boxes(number, size).to(detector.device)
                with torch.inference_mode(), FixedPeople(detector, boxes):
                    seconds[number, name].append(clock(model, picture, number))
    seconds = {key: times[1:] for key, times in seconds.items()}

    def ratios(of: tuple[int, str], to: tuple[int, str]) -> dict:
        return summary([a / b for a, b in zip(seconds[of], seconds[to], strict=True)])

    return [
        {
            "people": number,
            "seconds": {name: summary(seconds[number, name]) for name in names},
            "times_ours": {name: ratios((number, name), (number, OURS)) for name in names},
            "times_fewest": {name: ratios((number, name), (min(people), name)) for name in names},
        }
        for number in people
    ]


def make_picture(size: tuple[int, int]) -> dict:
    """A random (height, width) image and its camera, as the models take them."""
    height, width = size
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, height, width), generator=generator).to(torch.uint8)
    camera = PinholeCameras.from_fov([size], 55.0).tensor[0]
    return {"image": image, "height": height, "width": width, "intrinsics": camera}


def profile_ours(model: nn.Module, size: tuple[int, int], num_people: int) -> dict:
    """Costs of one picture, see ``profile_step``."""
    picture, people = make_picture(size), random_boxes(num_people, size).to(model.device)
    with torch.inference_mode(), FixedPeople(model, people):
        return profile_step(lambda: model([dict(picture)]), model)


def summary(values: list[float]) -> dict:
    """Median and quartiles of one number or more."""
    low, middle, high = (
        statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    )
    return {"median": middle, "quartiles": [low, high]}


def print_row(row: dict) -> None:
    """Print what ``measure`` gives, a line a model."""
    for i, (name, seconds) in enumerate(row["seconds"].items()):
        ratio = row["times_ours"][name]
        people = row["people"] if i == 0 else ""
        times = "" if name == OURS else with_quartiles(ratio, 2)
        growth = with_quartiles(row["times_fewest"][name], 2)
        line = f"{people:>6}    {name:<16}{with_quartiles(seconds, 3):<26}{times:<26}{growth}"
        print(line.rstrip(), flush=True)


def with_quartiles(values: dict, digits: int) -> str:
    """What ``summary`` gives, as text."""
    low, high = values["quartiles"]
    return f"{values['median']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
