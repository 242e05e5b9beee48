"""Settings of all tests."""

from hypothesis import settings

# A busy machine must not fail a test that is right.
settings.register_profile("hmor_d2", deadline=None)
settings.load_profile("hmor_d2")
