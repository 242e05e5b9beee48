"""What tests of several evaluators share."""

import pytest

from tests.evaluation.protocol_scenes import registering


@pytest.fixture
def register():
    """Registers records under a name and returns the name; undone afterwards."""
    yield from registering()
