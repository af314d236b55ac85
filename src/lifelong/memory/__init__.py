"""Stored examples for rehearsal."""

from lifelong.memory.archive import Archive
from lifelong.memory.reservoir import Reservoir
from lifelong.memory.ring import Ring

__all__ = ["Archive", "Reservoir", "Ring"]
