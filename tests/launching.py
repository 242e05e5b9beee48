"""What tests with several processes need of Detectron2."""

import pytest
from detectron2.utils import comm

# Detectron2's launch learned to start processes without GPUs together with this function.
needs_launch_on_cpu = pytest.mark.skipif(
    not hasattr(comm, "create_local_process_group"),
    reason="Detectron2 v0.6 launches processes on GPUs alone",
)
