"""Training speed of one process with a whole batch and of several with equal shares of it.

Every process has as many threads, so on a CPU twice the processes have twice the cores, as on GPUs;
with --total-threads they share the cores instead, which shows how to divide a machine.
Each step is forward, backward with the exchange of gradients, and SGD with momentum, on the same
random people however many processes share them.  Proposals are fixed, as random weights would find
others.  The numbers of processes take turns; a speed is that of n processes over that of one in the
same turn, an efficiency that by n.  Loading data is not part of it.

The exchange of gradients is also timed alone.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.engine import create_ddp_model
from detectron2.modeling import build_model
from detectron2.modeling.backbone.resnet import BottleneckBlock
from detectron2.utils import comm
from detectron2.utils.events import EventStorage
from torch import distributed, nn

from benchmarks.inference import count, image_size, summary, with_quartiles
from benchmarks.training_scenes import FixedProposals, make_training_input, proposals_around
from hmor_d2.config_file import read_config
from hmor_d2.engine import launch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config-file", default="configs/Base-HMOR-RCNN-R50-half-FPN.yaml")
    parser.add_argument("--processes", type=count, nargs="+", default=[2], help="beside 1")
    parser.add_argument("--batch", type=count, default=8, help="images, of all processes together")
    parser.add_argument("--image-size", type=image_size, default="512x384", metavar="WxH")
    parser.add_argument("--people", type=count, default=3, help="annotated in each image")
    parser.add_argument("--steps", type=count, default=5, help="timed, after one to warm up")
    parser.add_argument("--repeats", type=count, default=3, help="turns")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    threads = parser.add_mutually_exclusive_group()
    threads.add_argument("--threads", type=count, default=1, help="of each process")
    threads.add_argument("--total-threads", type=count, help="of all processes together")
    parser.add_argument("--json", help="file for the figures")


def run(args: argparse.Namespace) -> None:
    numbers = sorted({1, *args.processes})
    if any(args.batch % n for n in numbers):
        raise SystemExit(f"--batch is {args.batch}, expected a multiple of each of {numbers}")
    if args.total_threads and any(args.total_threads % n for n in numbers):
        raise SystemExit(
            f"--total-threads is {args.total_threads}, expected a multiple of each of {numbers}"
        )
    rows = {n: [] for n in numbers}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.repeats):
            for n in numbers:
                file = Path(folder) / "row.json"
                launch(measure, n, dist_url="auto", args=(args, str(file)))
                rows[n].append(json.loads(file.read_text()))
    figures = {
        "config_file": args.config_file,
        "image_size": list(args.image_size),
        "batch": args.batch,
        "people": args.people,
        "threads": args.threads,
        "total_threads": args.total_threads,
        "device": args.device,
        "processor": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "gradient_megabytes": rows[1][0]["gradient_bytes"] / 1e6,
        "rows": [make_row(n, rows[n], rows[1]) for n in numbers],
    }
    print_table(figures)
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1) + "\n")
        print(f"\nWrote {args.json}")


def measure(args: argparse.Namespace, file: str) -> None:
    """One process's work; the first one writes the figures."""
    threads = torch.get_num_threads()
    shared = args.total_threads and args.total_threads // comm.get_world_size()
    torch.set_num_threads(shared or args.threads)
    try:
        step = ScalingStep(training_config(args), args)
        step()
        seconds = []
        for _ in range(args.steps):
            comm.synchronize()
            start = time.perf_counter()
            step()
            if args.device != "cpu":
                torch.cuda.synchronize()
            comm.synchronize()
            seconds.append(time.perf_counter() - start)
        row = {
            "seconds": statistics.median(seconds),
            "exchange_seconds": step.exchange_seconds(),
            "gradient_bytes": step.gradient_bytes,
        }
    finally:
        torch.set_num_threads(threads)
    if comm.is_main_process():
        Path(file).write_text(json.dumps(row))


def training_config(args: argparse.Namespace) -> CfgNode:
    cfg = read_config(args.config_file)
    cfg.MODEL.DEVICE = args.device
    for head in (cfg.MODEL.ROI_POSE_HEAD, cfg.MODEL.ROI_DEPTH_HEAD):
        if args.device == "cpu" and head.NORM == "SyncBN":  # which PyTorch has on GPUs alone
            head.NORM = "naiveSyncBN_N"
    return cfg


class ScalingStep:
    """A training step of this process's share of the batch; called, it takes the step.

    Attributes:
        gradient_bytes: that a process has to exchange in a step.
    """

    def __init__(self, cfg: CfgNode, args: argparse.Namespace):
        torch.manual_seed(0)
        self._model = build_model(cfg).train()
        for module in self._model.backbone.modules():
            if isinstance(module, BottleneckBlock):  # random ones would double features
                nn.init.constant_(module.conv3.norm.weight, 0.2)
        trained = [p for p in self._model.parameters() if p.requires_grad]
        self.gradient_bytes = sum(p.numel() * p.element_size() for p in trained)
        self._optimizer = torch.optim.SGD(trained, lr=1e-8, momentum=0.9, weight_decay=1e-4)
        where = {"device_ids": None} if args.device == "cpu" else {}
        self._parallel = create_ddp_model(self._model, broadcast_buffers=False, **where)
        size, joints = args.image_size[::-1], self._model.skeleton.num_joints
        mine = range(comm.get_rank(), args.batch, comm.get_world_size())
        self._batch = [make_training_input(size, args.people, joints, seed=i) for i in mine]
        total = cfg.MODEL.RPN.POST_NMS_TOPK_TRAIN
        self._proposals = [
            proposals_around(x["instances"].gt_boxes, size, 16, total) for x in self._batch
        ]

    def __call__(self) -> None:
        with EventStorage(), FixedProposals(self._model, self._proposals):
            loss = sum(self._parallel(self._batch).values())
        assert loss.isfinite(), f"found a loss of {loss}"
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()

    def exchange_seconds(self) -> float:
        """Median time to sum the gradients over the processes, in DistributedDataParallel's 25 MB.

        0 for one process.
        """
        if comm.get_world_size() == 1:
            return 0.0
        device = self._model.device
        sizes = [25 * 2**20] * (self.gradient_bytes // (25 * 2**20))
        sizes.append(self.gradient_bytes - sum(sizes))
        buckets = [torch.zeros(size // 4, device=device) for size in sizes]
        seconds = []
        for _ in range(5):
            comm.synchronize()
            start = time.perf_counter()
            for bucket in buckets:
                distributed.all_reduce(bucket)
            if device.type != "cpu":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds)


def make_row(processes: int, turns: list[dict], one: list[dict]) -> dict:
    pairs = list(zip(one, turns, strict=True))
    return {
        "processes": processes,
        "seconds": summary([turn["seconds"] for turn in turns]),
        "speed": summary([a["seconds"] / b["seconds"] for a, b in pairs]),
        "efficiency": summary([a["seconds"] / (processes * b["seconds"]) for a, b in pairs]),
        "exchange_seconds": summary([turn["exchange_seconds"] for turn in turns]),
    }


def print_table(figures: dict) -> None:
    width, height = figures["image_size"]
    threads = f"{figures['threads']} threads a process"
    if figures["total_threads"]:
        threads = f"{figures['total_threads']} threads in all"
    print(
        f"{figures['config_file']}, {figures['batch']} images of {width}x{height} a step with "
        f"{figures['people']} people each, {threads}\n"
        f"{figures['gradient_megabytes']:.0f} MB of gradients, torch {figures['torch']}, "
        f"{figures['device']} ({figures['processor']}); medians (quartiles)\n"
    )
    print(f"{'processes':<11}{'seconds a step':<26}{'speed':<24}{'efficiency':<24}exchange")
    for row in figures["rows"]:
        print(
            f"{row['processes']:<11}{with_quartiles(row['seconds'], 3):<26}"
            f"{with_quartiles(row['speed'], 2):<24}"
            f"{with_quartiles(row['efficiency'], 2):<24}"
            f"{row['exchange_seconds']['median']:.3f} s"
        )
