"""Draw the figures of docs/hmor.md with the project's own losses and views.

python tools/draw_hmor_figures.py --output docs/figures
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from hmor_figures import arguments, optimisation, relations, sampling, views

FIGURES = {
    "hmor_relations": relations,
    "hmor_views": views,
    "hmor_sampling": sampling,
    "hmor_arguments": arguments,
    "hmor_optimisation": optimisation,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("docs/figures"))
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES))
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    for name in args.only:
        figure = FIGURES[name].draw()
        path = args.output / f"{name}.png"
        # No software version in the file: the same drawing gives the same bytes.
        figure.savefig(path, dpi=110, metadata={"Software": None})
        plt.close(figure)
        print(path)


if __name__ == "__main__":
    main()
