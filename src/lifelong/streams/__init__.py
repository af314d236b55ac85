"""Ordered, lazy sequences of tasks: the named ones, and those of your own data."""

from lifelong.streams.babi.encode import Story, decode_story
from lifelong.streams.catalogue import NAMES, settings_for, stream
from lifelong.streams.images import from_folder
from lifelong.streams.kinds import NOISE
from lifelong.streams.split import split_by_class
from lifelong.streams.stream import Stream
from lifelong.streams.table import from_csv

__all__ = [
    "NAMES",
    "NOISE",
    "Story",
    "Stream",
    "decode_story",
    "from_csv",
    "from_folder",
    "settings_for",
    "split_by_class",
    "stream",
]
