"""Stored examples for rehearsal."""

from lifelong.memory.herding import herd
from lifelong.memory.policies import Archive, Balanced, Memory, PriorityBuffer, Reservoir, Ring
from lifelong.memory.rows import Rows, columns_of, kind_of, one_kind

__all__ = [
    "Archive",
    "Balanced",
    "Memory",
    "PriorityBuffer",
    "Reservoir",
    "Ring",
    "Rows",
    "columns_of",
    "herd",
    "kind_of",
    "one_kind",
]
