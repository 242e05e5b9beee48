#!/usr/bin/env python3
"""Train the rows of the paper's Table 4 on synthetic crowds, and put them beside the paper's.

Every row has the same budget, data, weights to start from and, seed by seed, the same training
pictures in the same order.  They start from MODEL.WEIGHTS of the base config, from a checkpoint
(--weights), or from a training without ordinal relations (--warm-start-iterations).  See
docs/ablation.md.  Run it again after an interruption: finished rows are skipped, the interrupted
one goes on.

    python tools/run_ablation.py
    python tools/run_ablation.py --rows a0_baseline c_sampled_views --seeds 1 2 3 4 5
    python tools/run_ablation.py --report-only
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ablation.jobs import Study, default_base, plan_jobs
from ablation.report import write_report
from ablation.results import MixedStudyError
from ablation.rows import ROOT, ROWS, row_named
from ablation.runner import OtherRunError, RunFailedError, Runner
from ablation.study import run_jobs


def row_name(text: str) -> str:
    try:
        return row_named(text).name
    except KeyError as error:
        raise argparse.ArgumentTypeError(error.args[0]) from None


def number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"found '{text}', expected a whole number, not negative")
    return int(text)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ", ".join(row.name for row in ROWS)
    add = parser.add_argument
    add("--rows", nargs="+", type=row_name, metavar="ROW", default=[row.name for row in ROWS],
        help=f"some of {names}; all by default")  # fmt: skip
    add("--seeds", nargs="+", type=number, metavar="S",
        help="of every row; by default 1 2 3 of the main rows, 1 of the others")  # fmt: skip
    add("--num-gpus", type=number, default=0, metavar="N",
        help="processes with a GPU each, with --opts MODEL.DEVICE cuda; 0: none")  # fmt: skip
    add("--base-config", type=Path, default=default_base(),
        help="what all rows share (default: synthetic crowds)")  # fmt: skip
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--warm-start-iterations", type=number, default=0, metavar="N",
                       help="of a training to start from instead")  # fmt: skip
    start.add_argument("--weights", type=Path, help="checkpoint that all rows start from instead")
    add("--output", type=Path, default=ROOT / "output/ablation", help="folder of the trainings")
    add("--results", type=Path, default=ROOT / "docs/ablation/results",
        help="folder of the results' JSONs")  # fmt: skip
    add("--report", type=Path, default=ROOT / "docs/ablation.md",
        help="document with the markers between which the tables go")  # fmt: skip
    add("--report-only", action="store_true", help="train nothing")
    add("--overwrite", action="store_true", help="delete results and trainings of other settings")
    add("--opts", nargs="+", default=[], metavar="KEY VALUE",
        help="over the base config, for all rows; a row's own keys go over them")  # fmt: skip
    args = parser.parse_args(arguments)
    if args.weights is not None and not args.weights.is_file():
        parser.error(f"--weights: found no file {args.weights}")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    try:
        if not args.report_only:
            weights = args.weights and args.weights.resolve()
            iterations = 0 if weights else args.warm_start_iterations
            study = Study(args.base_config.resolve(), tuple(args.opts), weights, iterations)
            jobs = plan_jobs(study, args.rows, args.seeds)
            runner = Runner(study, args.output, args.num_gpus)
            run_jobs(jobs, runner, args.results, args.overwrite)
        write_report(args.results, args.report)
    except (MixedStudyError, OtherRunError, RunFailedError) as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
