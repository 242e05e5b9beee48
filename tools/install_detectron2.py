"""Install Detectron2 into the running environment, where it is not importable yet.

Detectron2 publishes no wheels for current Python and torch.  This takes ``sal-detectron2``,
upstream's code of April 2024 on PyPI, which is tagged for CPython 3.10 but whose Python code
runs on later versions; its compiled operators (rotated boxes, deformable convolution) are not
needed here.  Users who have Detectron2, from its GitHub repository or as v0.6, keep theirs.
"""

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "0.7.2"
SHA256 = "491af0c7f79bdb2d178e46f6cb16a97c4ac968d45c41ea3f6b6435d59bbee561"


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", *arguments, "--quiet"], check=True)


def main() -> None:
    if importlib.util.find_spec("detectron2") is not None:
        return
    with tempfile.TemporaryDirectory() as folder:
        pip(
            *("download", "--no-deps", "--only-binary=:all:", "--implementation", "cp"),
            *("--python-version", "3.10", "--platform", "manylinux2014_x86_64"),
            *("--dest", folder, f"sal-detectron2=={VERSION}"),
        )
        (wheel,) = Path(folder).glob("*.whl")
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != SHA256:
            sys.exit(f"{wheel.name}: expected SHA-256 {SHA256}, found {found}")
        renamed = wheel.rename(wheel.with_name(f"sal_detectron2-{VERSION}-py3-none-any.whl"))
        pip("install", "--no-deps", str(renamed))


if __name__ == "__main__":
    main()
