"""Settings of all tests."""

import os

# Beside other processes of tests one thread each; PyTorch reads this when it starts.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

# A busy machine must not fail a test that is right.
settings.register_profile("hmor_d2", deadline=None)
settings.load_profile("hmor_d2")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """File names that are no UTF-8, in what a test logged, could not be sent between processes."""
    report = (yield).get_result()
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode())
        for title, text in report.sections
    ]
