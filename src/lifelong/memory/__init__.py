"""Stored examples for rehearsal."""

from lifelong.memory.archive import Archive
from lifelong.memory.balanced import Balanced
from lifelong.memory.herding import herd
from lifelong.memory.reservoir import Reservoir
from lifelong.memory.ring import Ring
from lifelong.memory.scored import PriorityBuffer

__all__ = ["Archive", "Balanced", "PriorityBuffer", "Reservoir", "Ring", "herd"]
