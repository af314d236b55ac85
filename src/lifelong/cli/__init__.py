"""The command line: a thin shell over the library."""

from lifelong.cli.app import app, main

__all__ = ["app", "main"]
