"""Measure the speed and memory of a piece of the project on this machine.

python tools/benchmark.py hmor --help
"""

import argparse
from collections.abc import Sequence

from benchmarks import (
    data,
    evaluation,
    hmor,
    inference,
    machine,
    rounding,
    scaling,
    synthetic,
    training,
)

# Each module has a docstring, whose first line is its help, ``add_arguments(parser)`` and
# ``run(args)``.
BENCHMARKS = {
    "data": data,
    "evaluation": evaluation,
    "hmor": hmor,
    "inference": inference,
    "machine": machine,
    "rounding": rounding,
    "scaling": scaling,
    "synthetic": synthetic,
    "training": training,
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="benchmark", required=True)
    for name, module in BENCHMARKS.items():
        summary = module.__doc__.strip().partition("\n")[0]
        command = commands.add_parser(
            name,
            help=summary,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
    args = parser.parse_args(argv)
    BENCHMARKS[args.benchmark].run(args)


if __name__ == "__main__":
    main()
