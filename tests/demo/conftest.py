"""What tests of the whole program need: its log, no lasting handlers, and a small model."""

import logging

import pytest

from tests.demo.program import write_tiny_config

import demo  # isort: skip  # of demo/, which program puts on the path


@pytest.fixture(autouse=True)
def no_logging_setup(monkeypatch):
    """Handlers of the script would outlive it, and hide messages from later tests."""
    monkeypatch.setattr(demo, "setup_logger", lambda **_: None)


@pytest.fixture
def messages(caplog, monkeypatch):
    """What the program logs."""
    monkeypatch.setattr(logging.getLogger("hmor_d2"), "propagate", True)
    caplog.set_level("INFO", "hmor_d2")
    return caplog


@pytest.fixture
def config_file(tmp_path):
    return write_tiny_config(tmp_path / "config.yaml")
