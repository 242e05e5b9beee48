"""Time and memory of the HMOR losses beside a straightforward loop over pairs.

The loop treats one pair of one image at a time, all of its views at once.  It runs on the first
image; its time for the batch is that times the number of images.  Both are timed forward and
backward, alternately, and give the same losses.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.training_step import training_step_seconds
from hmor_d2.losses.hmor import hmor_losses_batched
from hmor_d2.losses.views import sample_view_normals
from hmor_d2.skeleton import Skeleton, available_skeletons, get_skeleton


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--people", type=int, default=8, help="people in each image")
    parser.add_argument("--views", type=int, default=9, help="the camera's and virtual ones")
    parser.add_argument("--skeleton", default="muco17", choices=available_skeletons())
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="on the CPU")
    parser.add_argument("--rounds", type=int, default=3, help="alternations of both")
    parser.add_argument("--max-pairs", type=int, default=0, help="sample beyond; 0: all pairs")
    parser.add_argument(
        "--training-step",
        action="store_true",
        help="also time the full model's training step, at 1333x800 on one image",
    )
    parser.add_argument("--growth", action="store_true", help="also vary people and views")
    parser.add_argument("--json", help="file for the figures")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    skeleton = get_skeleton(args.skeleton)
    scene = make_batch(args.images, args.people, args.views, skeleton, args.device)
    device = torch.device(args.device)
    where = f"{args.threads} threads, {platform.processor() or platform.machine()}"
    if device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    print(
        f"{args.images} images x {args.people} people x {skeleton.num_joints} joints x "
        f"{args.views} views, float32, forward + backward, torch {torch.__version__}, {where}\n"
    )

    vectorised = Step(lambda pred: batched_losses(pred, *scene[1:], skeleton, args.max_pairs))
    first = [tensor[0] for tensor in scene]
    loop = Step(lambda pred: loop_losses(pred, *first[1:], skeleton))
    times, loop_times = [], []
    for _ in range(2):
        vectorised(scene[0])
    for _ in range(args.rounds):
        times += [vectorised(scene[0]) for _ in range(10)]
        loop_times.append(loop(first[0]) * args.images)
    if not args.max_pairs:
        check_equal(scene, skeleton)

    ratio = statistics.median(loop_times) / statistics.median(times)
    rows = [
        ("hmor_losses_batched", times, f"{ratio:.0f}x faster"),
        ("loop over pairs", loop_times, f"1 image measured, x {args.images}"),
    ]
    print(f"{'':<22}{'median':>12}{'best':>12}")
    for name, values, remark in rows:
        print(
            f"{name:<22}{statistics.median(values) * 1e3:>9.1f} ms{min(values) * 1e3:>9.1f} ms"
            f"   {remark}"
        )
    memory = peak_memory(vectorised, scene[0])
    print(f"\npeak extra memory of hmor_losses_batched: {memory:.1f} MB")
    figures = {
        "device": where,
        "torch": torch.__version__,
        "options": {name: value for name, value in vars(args).items() if name != "benchmark"},
        "seconds": {name: statistics.median(values) for name, values, _ in rows},
        "ratio": ratio,
        "peak_memory_mb": memory,
    }
    if args.training_step:
        step = training_step_seconds(args.people, args.device) * args.images
        share = statistics.median(times) / step
        figures |= {"training_step_seconds": step, "share_of_training_step": share}
        print(
            f"training step of the R50-FPN model at 1333x800: {step:.1f} s (1 image measured, x "
            f"{args.images}); hmor_losses_batched is {100 * share:.3f}% of it"
        )
    if args.growth:
        figures["growth"] = print_growth(args, skeleton)
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1) + "\n")
        print(f"\nWrote {args.json}")


def make_batch(
    num_images: int, num_people: int, num_views: int, skeleton: Skeleton, device: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(pred, gt, valid, normals): people 3 to 8 m away, predictions about 30 cm off."""
    generator = torch.Generator().manual_seed(0)
    shape = (num_images, num_people, skeleton.num_joints, 3)
    places = torch.rand(num_images, num_people, 1, 3, generator=generator) * 5000
    places += torch.tensor([-2500.0, -2500.0, 3000.0])
    gt = places + torch.randn(shape, generator=generator) * 350
    pred = gt + torch.randn(shape, generator=generator) * 200
    valid = torch.ones(shape[:3], dtype=torch.bool)
    normals = sample_view_normals(
        num_views - 1, generator, batch_size=num_images, include_camera=True
    )
    return tuple(tensor.to(device) for tensor in (pred, gt, valid, normals))


def batched_losses(pred, gt, valid, normals, skeleton, max_pairs=0) -> dict[str, Tensor]:
    return hmor_losses_batched(pred, gt, valid, skeleton, normals, max_pairs=max_pairs)[0]


def loop_losses(
    pred: Tensor, gt: Tensor, valid: Tensor, normals: Tensor, skeleton: Skeleton
) -> dict[str, Tensor]:
    """The losses of one image, pair by pair; arguments as of ``hmor_losses``."""
    pred, gt = pred / 1000, gt / 1000

    def depth_error(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Tensor:
        relation = torch.sign(normals @ (b[1] - a[1]))
        return torch.log1p(torch.relu(relation * (normals @ (a[0] - b[0])))).mean()

    def angle_error(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Tensor:
        relation = -torch.sign(normals @ torch.linalg.cross(a[1], b[1]))
        return torch.relu(relation * (normals @ torch.linalg.cross(a[0], b[0]))).mean()

    def mean_over_pairs(items: list, error: Callable) -> Tensor:
        errors = [error(a, b) for a, b in itertools.combinations(items, 2)]
        return torch.stack(errors).mean() if errors else pred.sum() * 0

    people, parts, joints = [], [], []
    for person_pred, person_gt, person_valid in zip(pred, gt, valid.tolist(), strict=True):
        known = [j for j, is_valid in enumerate(person_valid) if is_valid]
        joints += [(person_pred[j], person_gt[j]) for j in known]
        if known:
            people.append((person_pred[known].mean(0), person_gt[known].mean(0)))
        for start, end in skeleton.parts:
            if person_valid[start] and person_valid[end]:
                parts.append(tuple(p[end] - p[start] for p in (person_pred, person_gt)))
    return {
        "loss_hmor_instance": mean_over_pairs(people, depth_error),
        "loss_hmor_part": mean_over_pairs(parts, angle_error),
        "loss_hmor_joint": mean_over_pairs(joints, depth_error),
    }


class Step:
    """Times one forward and backward pass of losses of a prediction, in seconds."""

    def __init__(self, losses: Callable[[Tensor], dict[str, Tensor]]):
        self.losses = losses

    def __call__(self, pred: Tensor) -> float:
        pred = pred.detach().requires_grad_()
        self._synchronize(pred)
        start = time.perf_counter()
        sum(self.losses(pred).values()).backward()
        self._synchronize(pred)
        return time.perf_counter() - start

    @staticmethod
    def _synchronize(tensor: Tensor) -> None:
        if tensor.is_cuda:
            torch.cuda.synchronize(tensor.device)


def check_equal(scene: tuple[Tensor, ...], skeleton: Skeleton) -> None:
    """Raise AssertionError if both give the first image other losses."""
    expected = loop_losses(*(tensor[0] for tensor in scene), skeleton)
    actual = batched_losses(*(tensor[:1] for tensor in scene), skeleton)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-7)


def peak_memory(step: Step, pred: Tensor) -> float:
    """Most memory, in MB, that a pass holds beyond what was there before."""
    if pred.is_cuda:
        torch.cuda.reset_peak_memory_stats(pred.device)
        before = torch.cuda.memory_allocated(pred.device)
        step(pred)
        return (torch.cuda.max_memory_allocated(pred.device) - before) / 1e6
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler reports its start and stop
    with torch.profiler.profile(profile_memory=True) as profiler:
        step(pred)
    events = profiler.profiler.kineto_results.events()
    changes = [event.nbytes() for event in events if event.name() == "[memory]"]
    return max(itertools.accumulate(changes, initial=0)) / 1e6


def print_growth(args: argparse.Namespace, skeleton: Skeleton) -> list[dict]:
    """Print a table of time and memory over numbers of people and views; returns its rows."""
    rows = []
    print(f"\n{'people':>6}{'views':>7}{'joint pairs':>13}{'time':>11}{'memory':>11}")
    varied = [(n, args.views) for n in (1, 2, 4, 8, 16)]
    varied += [(args.people, v) for v in (1, 3, 5, 17)]
    for people, views in varied:
        scene = make_batch(args.images, people, views, skeleton, args.device)
        step = Step(lambda pred, s=scene: batched_losses(pred, *s[1:], skeleton, args.max_pairs))
        step(scene[0])
        milliseconds = statistics.median(step(scene[0]) for _ in range(5)) * 1e3
        joints = people * skeleton.num_joints
        row = {
            "people": people,
            "views": views,
            "joint_pairs": args.images * joints * (joints - 1) // 2,
            "milliseconds": milliseconds,
            "peak_memory_mb": peak_memory(step, scene[0]),
        }
        rows.append(row)
        print(
            f"{people:>6}{views:>7}{row['joint_pairs']:>13}{milliseconds:>8.1f} ms"
            f"{row['peak_memory_mb']:>8.1f} MB"
        )
    return rows
