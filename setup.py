import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "hmor_d2/__init__.py").read_text()).group(1)

setup(
    name="hmor_d2",
    version=VERSION,
    description="Hierarchical Multi-person Ordinal Relations (HMOR) for Detectron2",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[*find_packages(include=["hmor_d2", "hmor_d2.*"]), "hmor_d2.model_zoo.configs"],
    # The configs are installed where hmor_d2.model_zoo looks for them, as Detectron2's are.
    package_dir={"hmor_d2.model_zoo.configs": "configs"},
    package_data={
        "hmor_d2.model_zoo": ["*.pth", "README.md", "LICENSE.*"],
        "hmor_d2.model_zoo.configs": ["**/*.yaml"],
        "hmor_d2.visualization": ["page_assets/*"],
    },
    # Detectron2 is left out on purpose: users have their own build of it (see README.md).
    install_requires=[
        "torch>=2.1",  # the first with get_ema_multi_avg_fn
        "torchvision",
        "fvcore>=0.1.5",
        "numpy>=1.23",
        "opencv-python>=4.6",
        "orjson>=3.9",
        "pycocotools>=2.0.6",
        "scipy>=1.9",
        "tqdm",
    ],
    extras_require={
        "demo": ["matplotlib>=3.6", "Pillow>=9.4", "plotly>=6"],
        "synthetic": ["numba>=0.60"],
        "export": ["onnx>=1.15", "onnxruntime>=1.17"],
        # playwright drives a Chromium that is on the path, or 'playwright install chromium' gets
        # one; without any, the tests in a browser are skipped.
        "tests": [
            "hypothesis>=6",
            "playwright>=1.40",
            "plotly>=6",
            "pytest>=7",
            "pytest-xdist>=3",
            "ruff",
        ],
    },
)
