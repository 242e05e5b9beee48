"""What the time of a step goes to, by operator and by module."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.autograd.profiler_util import FunctionEvent

__all__ = ["print_costs", "profile_step"]

_NODE = "autograd::engine::evaluate_function: "
_MARK = "module: "
#: Parts of a model that are costed together, by the longest name that fits; others by their parent.
PARTS = (
    "backbone.bottom_up",
    "backbone",
    "proposal_generator",
    "depth_map_head",
    "roi_heads.box_pooler",
    "roi_heads.box_head",
    "roi_heads.box_predictor",
    "roi_heads.pose_pooler",
    "roi_heads.pose_head",
    "roi_heads.depth_head",
    "roi_heads.criterion",
    "roi_heads",
)


def profile_step(step: Callable[[], None], model: nn.Module, top: int = 5) -> dict[str, list[dict]]:
    """The largest costs of a step, which is taken once to warm up and once to measure.

    Args:
        step: forward pass of ``model``, and backward pass where there is one.
        model: whose parts (``PARTS``) are told apart.
        top: entries of each list.

    Returns:
        "operator" and "module" with a list each of name, seconds (time of its own on the CPU, for
        operators forward and backward apart), share of the sum of all, and calls.  A module's time
        is without that of the parts inside it; backward passes count for the module that called
        the operator forward.
    """
    step()
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler reports its start and stop
    handles = [h for name, part in _parts(model) for h in _mark(part, name)]
    try:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
            step()
    finally:
        for handle in handles:
            handle.remove()
    events = [e for e in profiler.events() if e.device_type == torch.autograd.DeviceType.CPU]
    operators, modules = defaultdict(list), defaultdict(list)
    part_of = _part_of_nodes(events)
    for event in events:
        own = event.self_cpu_time_total / 1e6
        if not event.name.startswith(_MARK):
            operators[event.name.removeprefix(_NODE)].append(own)
        modules[_part(event, part_of)].append(own)
    return {"operator": _largest(operators, top), "module": _largest(modules, top)}


def _parts(model: nn.Module) -> Iterable[tuple[str, nn.Module]]:
    modules = dict(model.named_modules())
    return ((name, modules[name]) for name in PARTS if name in modules)


def _mark(part: nn.Module, name: str) -> list:
    """Make a module's forward pass an event of the profiler; returns what undoes it."""
    ranges = []

    def enter(module, inputs):
        ranges.append(torch.profiler.record_function(_MARK + name))
        ranges[-1].__enter__()

    def leave(module, inputs, output):
        ranges.pop().__exit__(None, None, None)

    return [part.register_forward_pre_hook(enter), part.register_forward_hook(leave)]


def _part_of_nodes(events: list[FunctionEvent]) -> dict[int, str]:
    """The part that made each node of the graph, by the node's number.

    An operator has the number of the next node to be made, so of those with the same number the
    last one made it.
    """
    makers = {}
    for event in sorted(events, key=lambda e: e.time_range.start):
        if event.sequence_nr >= 0 and not event.name.startswith(_NODE) and not _node(event):
            makers[event.sequence_nr] = _marked(event)
    return makers


def _part(event: FunctionEvent, part_of: dict[int, str]) -> str:
    node = _node(event)
    if node is None:
        return _marked(event)
    return part_of.get(node.sequence_nr, "gradients of weights added up")


def _node(event: FunctionEvent | None) -> FunctionEvent | None:
    """The node of the backward pass that an event belongs to."""
    while event is not None and not event.name.startswith(_NODE):
        event = event.cpu_parent
    return event


def _marked(event: FunctionEvent | None) -> str:
    while event is not None:
        if event.name.startswith(_MARK):
            return event.name.removeprefix(_MARK)
        if event.name == "optimiser":
            return event.name
        event = event.cpu_parent
    return "other"


def _largest(times: dict[str, list[float]], top: int) -> list[dict]:
    total = sum(map(sum, times.values()))
    largest = sorted(times.items(), key=lambda item: -sum(item[1]))[:top]
    return [
        {"name": name, "seconds": sum(own), "share": sum(own) / total, "calls": len(own)}
        for name, own in largest
    ]


def print_costs(costs: dict[str, list[dict]]) -> None:
    """Print what ``profile_step`` gives."""
    for title, rows in costs.items():
        print(f"\n{'by ' + title:<44}{'share':>8}{'seconds':>10}{'calls':>8}")
        for row in rows:
            print(
                f"{row['name']:<44}{100 * row['share']:>7.1f}%{row['seconds']:>10.4f}"
                f"{row['calls']:>8}"
            )
