"""The student's file: imported by its path alone, and blamed by line where it fails."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from lifelong.errors import LifelongError, SettingError, require
from lifelong.methods import Method, as_method

__all__ = ["StudentError", "blaming", "load_method", "split_target"]

#: no import path leads to a module of this name, so that its methods run in this process only
MODULE = "<homework>"


class StudentError(LifelongError):
    """What is wrong with the student's code, with its line."""


def split_target(target: str) -> tuple[Path, str]:
    """The file and the class (empty: the only one) of `FILE[:Class]`.

    Raises:
        SettingError: There is no such file.

    Example:
        >>> split_target("nowhere.py:Mine")
        Traceback (most recent call last):
        lifelong.errors.SettingError: there is no file nowhere.py; write one with: lifelong homework start
    """
    file, colon, name = target.rpartition(":")
    if not (colon and name.isidentifier()):
        file, name = target, ""
    path = Path(file)
    require(path.is_file(), f"there is no file {path}; write one with: lifelong homework start")
    require(path.suffix == ".py", f"expected a file of Python, my_method.py, got {path}")
    return path.resolve(), name


def load_method(path: Path, name: str = "") -> Method[Any]:
    """The method that a file defines: the class `name`, or its only subclass of `lifelong.Method`.

    Raises:
        StudentError: The file cannot be imported, has no such class, or the class makes no method.
    """
    spec = spec_from_file_location(MODULE, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[MODULE] = module  # dataclasses look their module up
    with blaming(path):
        spec.loader.exec_module(module)
    values = [value for value in vars(module).values() if isinstance(value, type)]
    kinds = {kind.__name__: kind for kind in values if issubclass(kind, Method) and kind.__module__ == MODULE}
    if not name and len(kinds) == 1:
        [name] = kinds
    if name not in kinds:
        listed = ", ".join(kinds) or "none"
        fix = f"name one: {path.name}:{next(iter(kinds))}" if kinds else "write one as a subclass of lifelong.Method"
        raise StudentError(f"{path.name}: expected a method{f' {name}' if name else ''}, it defines {listed}; {fix}")
    with blaming(path):
        return as_method(kinds[name])


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Inside the block the student's code runs; what goes wrong becomes one message with its line."""
    try:
        yield
    except (Exception, SystemExit) as error:  # the code is the student's: anything may go wrong in it
        raise StudentError(_message(error, path)) from error


def _message(error: BaseException, path: Path) -> str:
    kind = f"{type(error).__name__}: {str(error).strip() or 'no message'}"
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path.name}, line {error.lineno}: {type(error).__name__}: {error.msg}" + _quoted(error.text)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if frames:
        return f"{path.name}, line {frames[-1].lineno}, in {frames[-1].name}: {kind}" + _quoted(frames[-1].line)
    if isinstance(error, AssertionError):
        return f"{path.name} breaks the contract of methods: {error}"
    if isinstance(error, SettingError):
        return f"{path.name}: {error}"
    return f"{path.name}: the library stopped with {kind}; check what the hooks return, and its shape"


def _quoted(line: str | None) -> str:
    return f"\n    {line.strip()}" if line and line.strip() else ""
