"""The command line: a thin shell over the library."""

from lifelong.cli.app import app, main
from lifelong.cli.progress import counting, stopped_with

__all__ = ["app", "counting", "main", "stopped_with"]
