#!/usr/bin/env python
"""Does memory grow in a long run?  Training steps, or pictures of many sizes.

    python tools/check_memory.py training --config-file CONFIG --steps 2000 --output memory/
    python tools/check_memory.py inference --config-file CONFIG --steps 2000 --output memory/

Samples the resident memory of the process and a loader's workers (Linux), and compares the median
of the last tenth with that of the second.  Writes <command>.json and <command>.png.  Exit code: 0,
or 1 if it grew by more than --limit percent.
"""

import argparse
import json
import logging
import sys
from pathlib import Path

import torch
from memory_growth.plot import plot_growth
from memory_growth.resident import MIN_SAMPLES, GrowthRecorder

from hmor_d2.atomic_file import write_atomically
from hmor_d2.config_file import read_config


def number_of_steps(text: str) -> int:
    value = int(text)
    if value < MIN_SAMPLES:
        raise argparse.ArgumentTypeError(f"found {text}, expected {MIN_SAMPLES} or more")
    return value


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("training", help="steps of train_net.py on DATASETS.TRAIN")
    inference = commands.add_parser("inference", help="pictures of random sizes, one by one")
    for command in (training, inference):
        add = command.add_argument
        add("--config-file", required=True, metavar="FILE")
        add("--steps", type=number_of_steps, default=2000, metavar="N", help="(2000)")
        add("--limit", type=float, default=2.0, metavar="PERCENT", help="growth allowed (2)")
        add("--threads", type=int, default=torch.get_num_threads(), metavar="N")
        add("--output", type=Path, required=True, metavar="DIR")
    add = inference.add_argument
    add("--sides", type=int, nargs=2, default=(240, 1600), metavar=("MIN", "MAX"),
        help="of the pictures, pixels (240 1600)")  # fmt: skip
    add("--people", type=int, default=20, metavar="N", help="0 to N in each picture (20)")
    add("--precise", action="store_true", help="without optimize_for_inference")
    add("--seed", type=int, default=0)
    for command in (training, inference):
        command.add_argument(
            "--opts",
            nargs=argparse.REMAINDER,
            default=[],
            metavar="KEY VALUE",
            help="of the config",
        )
    args = parser.parse_args(arguments)
    if args.command == "inference" and not 16 <= args.sides[0] <= args.sides[1]:
        parser.error(f"--sides: found {args.sides}, expected MIN of 16 or more, MAX not below")
    return args


def main(arguments: list[str] | None = None) -> int:
    args = parse_arguments(arguments)
    torch.set_num_threads(args.threads)
    logging.basicConfig(level=logging.WARNING)
    sys.path.append(str(Path(__file__).parents[1]))  # train_net
    from memory_growth.workloads import infer, train

    cfg = read_config(args.config_file, args.opts)
    cfg.freeze()
    recorder = GrowthRecorder(args.steps)
    if args.command == "training":
        train(cfg, args.steps, recorder.after)
    else:
        infer(
            cfg,
            args.steps,
            recorder.after,
            sides=tuple(args.sides),
            max_people=args.people,
            precise=args.precise,
            seed=args.seed,
        )
    report = recorder.report()
    good = report["growth_percent"] <= args.limit
    settings = {
        key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()
    }
    args.output.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"settings": settings, "torch": torch.__version__, **report}) + "\n"
    write_atomically(
        str(args.output / f"{args.command}.json"), lambda file: file.write(content.encode())
    )
    growth = f"{report['growth_percent']:+.2f} %"
    title = f"{args.command}, {args.steps} steps: {growth} after the first tenth"
    plot_growth(report, title, args.output / f"{args.command}.png")
    peak = f"peak {report['peak_mib']:.0f} MiB"
    print(f"{title} (limit {args.limit:g} %), {peak}: {'ok' if good else 'FAIL'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
