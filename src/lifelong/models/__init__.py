"""Networks, their output heads, and which outputs count for which task."""

from lifelong.models.head import Head, Headed, headed
from lifelong.models.networks import (
    Network,
    announce,
    build,
    cut_head,
    factory_of,
    from_factory,
    named_plainly,
    with_head,
    with_outputs,
)
from lifelong.models.per_task import per_task_parts, select, selecting

__all__ = [
    "Head",
    "Headed",
    "Network",
    "announce",
    "build",
    "cut_head",
    "factory_of",
    "from_factory",
    "headed",
    "named_plainly",
    "per_task_parts",
    "select",
    "selecting",
    "with_head",
    "with_outputs",
]
