"""The command line: a thin shell over the library."""

from lifelong.cli.app import main

__all__ = ["main"]
