"""Ordered, lazy sequences of tasks: the named ones, and those of your own data."""

from lifelong.streams.catalogue import NAMES, settings_for, stream
from lifelong.streams.own import from_csv, from_folder, split_by_class
from lifelong.streams.stream import Stream

__all__ = ["NAMES", "Stream", "from_csv", "from_folder", "settings_for", "split_by_class", "stream"]
