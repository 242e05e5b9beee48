"""Time of a training step beside that of Detectron2's Keypoint R-CNN R50-FPN.

Forward, backward and a step of SGD with momentum on the same images with the same people, by
turns; a ratio is of the two times of one turn.  Which of the two goes first changes from turn to
turn.  Weights are random, so the proposals that a trained network would make are given to both,
after their own proposal generators' work: --proposals-per-person boxes around each person and
others anywhere.  How many of these train which head is each model's own rule.

Ours runs with MODEL.CHANNELS_LAST; --plain leaves that out.  --profile lists the five largest costs
of our step, by operator and by module.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import torch
from detectron2.modeling import build_model
from detectron2.modeling.backbone.resnet import BottleneckBlock
from detectron2.utils.events import EventStorage
from torch import nn

from benchmarks.inference import count, image_size, summary, with_quartiles
from benchmarks.rivals import build_keypoint_rcnn
from benchmarks.step_profile import print_costs, profile_step
from benchmarks.training_scenes import (
    FixedProposals,
    make_training_input,
    proposals_around,
    with_coco_joints,
)
from hmor_d2.config_file import read_config

OURS, RIVAL = "ours", "Keypoint R-CNN"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config-file", default="configs/muco_coco/hmor_rcnn_R_50_FPN.yaml", help="of our model"
    )
    parser.add_argument("--image-size", type=image_size, default="1333x800", metavar="WxH")
    parser.add_argument("--people", type=count, default=5, help="annotated in each image")
    parser.add_argument("--batch", type=count, default=1, help="images")
    parser.add_argument("--proposals-per-person", type=count, default=16)
    parser.add_argument("--repeats", type=count, default=5, help="turns that are timed")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=count, default=torch.get_num_threads(), help="on the CPU")
    parser.add_argument("--plain", action="store_true", help="ours without channels_last memory")
    parser.add_argument("--profile", action="store_true", help="our largest costs")
    parser.add_argument("--json", help="file for the figures")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    steps = build_steps(args)
    where = f"{args.threads} threads, {platform.processor() or platform.machine()}"
    if args.device != "cpu":
        where = torch.cuda.get_device_name(torch.device(args.device))
    memory = "contiguous" if args.plain else "channels_last"
    width, height = args.image_size
    print(
        f"a batch of {args.batch}, {width}x{height}, {args.people} people an image, {memory}\n"
        f"forward, backward, SGD, float32, torch {torch.__version__}, {where}\n"
        f"median of {args.repeats} turns (quartiles)\n"
    )
    seconds = measure(steps, args.repeats)
    figures = {
        "image_size": [width, height],
        "people": args.people,
        "batch": args.batch,
        "proposals_per_person": args.proposals_per_person,
        "config_file": args.config_file,
        "memory": memory,
        "device": where,
        "torch": torch.__version__,
        "repeats": args.repeats,
        "seconds": {name: summary(times) for name, times in seconds.items()},
        "times_ours": summary([a / b for a, b in zip(seconds[RIVAL], seconds[OURS], strict=True)]),
        "people_in_heads": {name: step.people_in_heads for name, step in steps.items()},
    }
    print(f"{'':16}{'seconds':<26}{'times ours':<22}boxes in the pose head")
    for name, times in figures["seconds"].items():
        ratio = with_quartiles(figures["times_ours"], 2) if name == RIVAL else ""
        boxes = figures["people_in_heads"][name]
        print(f"{name:<16}{with_quartiles(times, 3):<26}{ratio:<22}{boxes}")
    if args.profile:
        figures["profile"] = profile_step(steps[OURS], steps[OURS].model)
        print_costs(figures["profile"])
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1) + "\n")
        print(f"\nWrote {args.json}")


def build_steps(args: argparse.Namespace) -> dict[str, "TrainingStep"]:
    """Ours and the rival's, on the same images, people and proposals."""
    cfg = read_config(args.config_file)
    cfg.MODEL.DEVICE = args.device
    cfg.MODEL.CHANNELS_LAST = not args.plain
    models = {OURS: build_model(cfg), RIVAL: build_keypoint_rcnn(args.device, optimize=False)}
    size = args.image_size[::-1]
    joints = models[OURS].skeleton.num_joints
    batch = [make_training_input(size, args.people, joints, seed=i) for i in range(args.batch)]
    batches = {OURS: batch, RIVAL: [with_coco_joints(picture) for picture in batch]}
    total = cfg.MODEL.RPN.POST_NMS_TOPK_TRAIN
    proposals = [
        proposals_around(x["instances"].gt_boxes, size, args.proposals_per_person, total)
        for x in batch
    ]
    heads = {OURS: "pose_head", RIVAL: "keypoint_head"}
    return {
        name: TrainingStep(model, getattr(model.roi_heads, heads[name]), batches[name], proposals)
        for name, model in models.items()
    }


class TrainingStep:
    """One step of a model; called, it takes the step.

    Attributes:
        model: being trained.
        people_in_heads: boxes that its pose or keypoint head got in the last step.
    """

    def __init__(self, model: nn.Module, pose_head: nn.Module, batch: list[dict], proposals: list):
        self.model = model.train()
        self.people_in_heads = 0
        self._batch = batch
        self._proposals = proposals
        _keep_features_small(model)
        trained = [p for p in model.parameters() if p.requires_grad]
        # So slow that random weights stay as they are.
        self._optimizer = torch.optim.SGD(trained, lr=1e-8, momentum=0.9, weight_decay=1e-4)
        pose_head.register_forward_pre_hook(self._count)

    def _count(self, module, inputs):
        self.people_in_heads = len(inputs[0])

    def __call__(self) -> None:
        with EventStorage(), FixedProposals(self.model, self._proposals):
            losses = self.model(self._batch)
        total = sum(losses.values())
        assert total.isfinite(), f"losses that are not finite: {losses}"
        self._optimizer.zero_grad()
        total.backward()
        with torch.profiler.record_function("optimiser"):
            self._optimizer.step()


def _keep_features_small(model: nn.Module) -> None:
    """Random residual blocks whose norms do nothing would double features with every block."""
    for module in model.backbone.modules():
        if isinstance(module, BottleneckBlock):
            nn.init.constant_(module.conv3.norm.weight, 0.2)


def measure(steps: dict[str, TrainingStep], repeats: int) -> dict[str, list[float]]:
    """Seconds of each step in each turn, after one turn to warm up."""
    seconds = {name: [] for name in steps}
    names = list(steps)
    for turn in range(repeats + 1):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            start = time.perf_counter()
            steps[name]()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - start)
    return {name: times[1:] for name, times in seconds.items()}
