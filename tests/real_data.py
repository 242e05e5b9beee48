"""Where tests find real data, which the repository does not contain."""

import os
from pathlib import Path

import pytest

_DEFAULT = Path(__file__).resolve().parents[1] / "../shared/data/real"


def real_data(*parts: str) -> Path:
    """A path under ``HMOR_REAL_DATA`` (default ``../shared/data/real`` beside the repository).

    Skips the calling test, naming the path, where it is absent.
    """
    path = Path(os.getenv("HMOR_REAL_DATA", _DEFAULT), *parts).resolve()
    if not path.exists():
        pytest.skip(f"no real data at {path} (set HMOR_REAL_DATA)")
    return path
