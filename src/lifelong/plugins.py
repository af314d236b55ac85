"""Objects from outside the package: by import path (`package.module:name`), and by entry points of installed packages.

An import path runs the module that it names. So it is resolved only where the person who starts the program wrote it
(Python, flags, `experiment.toml`), never where it came in a data file, a saved learner or a request. An entry point is
a short name that an installed package registers in its `pyproject.toml`:

    [project.entry-points."lifelong.methods"]
    mine = "mypackage.methods:MyMethod"
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Literal

from lifelong.errors import SettingError, unknown_name

__all__ = [
    "Kind",
    "add_working_folder",
    "call_with",
    "entry_points",
    "find",
    "import_path_of",
    "is_import_path",
    "load_object",
    "required_arguments",
]

Kind = Literal["model", "method", "stream", "objective", "metric", "augmentation"]

GROUPS: dict[str, str] = {kind: f"lifelong.{kind}s" for kind in ("model", "method", "stream")}
NAME = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"


def is_import_path(text: str) -> bool:
    """Whether `text` has the form `package.module:name`.

    Example:
        >>> is_import_path("mypackage.nets:resnet"), is_import_path("mlp:400,400"), is_import_path("ewc:strength=1")
        (True, False, False)
    """
    return re.fullmatch(f"{NAME}:{NAME}", text) is not None


def load_object(path: str, kind: Kind) -> Any:
    """The object at an import path.

    Args:
        path: `package.module:name`; `name` may be an attribute of an attribute, as in `nets:Nets.small`.
        kind: What it is meant to be, for the error.

    Raises:
        SettingError: No such module, no such name in it, or a module that raises when it is imported.

    Example:
        >>> load_object("fractions:Fraction", "method")
        <class 'fractions.Fraction'>
        >>> load_object("fractions:Fractoin", "method")
        Traceback (most recent call last):
        lifelong.errors.SettingError: method 'fractions:Fractoin': the module fractions has no 'Fractoin'; did you mean
        'Fraction'?
    """
    module_name, _, name = path.partition(":")
    value: Any = _imported(module_name, f"{kind} {path!r}")
    for part in name.split("."):
        if not hasattr(value, part):
            hint = str(unknown_name("name", part, [known for known in dir(value) if not known.startswith("_")]))
            nearest = re.search(r"did you mean '.*'\?", hint)
            where = f"the module {module_name}" if inspect.ismodule(value) else repr(value)
            fix = nearest[0] if nearest else f"add it there, or correct the {kind}'s name"
            raise SettingError(f"{kind} {path!r}: {where} has no {part!r}; {fix}")
        value = getattr(value, part)
    return value


def _imported(module_name: str, what: str) -> Any:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise SettingError(
                f"{what}: there is no module {error.name!r} to import; start from the folder that holds it, "
                "install it, or set PYTHONPATH"
            ) from error
        raise SettingError(f"{what}: importing {module_name} needs {error.name!r}, which is not installed") from error
    except Exception as error:  # the module is the user's own: anything may go wrong in it
        raise SettingError(f"{what}: importing {module_name} failed with {type(error).__name__}: {error}") from error


def entry_points(kind: Kind) -> dict[str, metadata.EntryPoint]:
    """What installed packages have registered as `lifelong.models`, `lifelong.methods` or `lifelong.streams`, by name.

    Nothing is imported.
    """
    return {point.name: point for point in metadata.entry_points(group=GROUPS[kind])} if kind in GROUPS else {}


def find(name: str, kind: Kind, *, import_paths: bool = True) -> Any | None:
    """The object that `name` means outside the package: an entry point, or an import path where these are allowed.

    Raises:
        SettingError: The object is named rightly and cannot be loaded, or import paths are not allowed here.
    """
    point = entry_points(kind).get(name)
    if point is not None:
        return load_object(point.value.partition("[")[0].replace(" ", ""), kind)
    if not is_import_path(name):
        return None
    if not import_paths:
        raise SettingError(
            f"{kind} {name!r}: an import path is followed only where the program is started from (Python, flags, "
            f"experiment.toml), not from a file or a request; name a {kind} of lifelong or an entry point"
        )
    return load_object(name, kind)


def import_path_of(value: object) -> str | None:
    """The import path that leads to this very object, also in another process; None where there is none, as for what
    stands in `__main__` or within a function.

    Example:
        >>> import_path_of(inspect.signature), import_path_of(lambda: 0)
        ('inspect:signature', None)
    """
    module_name, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if module_name is None or name is None or module_name == "__main__" or not is_import_path(f"{module_name}:{name}"):
        return None
    top = module_name.partition(".")[0]
    if not any(finder.find_spec(top, None) for finder in sys.meta_path):
        return None
    other: Any = sys.modules.get(module_name)
    for part in name.split("."):
        other = getattr(other, part, None)
    return f"{module_name}:{name}" if other is value else None


def required_arguments(function: Callable[..., Any]) -> list[str]:
    """The names of the positional arguments that a function or a class cannot be called without.

    Example:
        >>> required_arguments(lambda space, width=3: 0)
        ['space']
    """
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind in positional and p.default is inspect.Parameter.empty]


def call_with(function: Callable[..., Any], settings: Mapping[str, Any], offered: Mapping[str, Any], what: str) -> Any:
    """Call `function` with `settings`, and with what is `offered` where it has an argument of that name.

    Raises:
        SettingError: The function does not take a setting, or needs an argument that nobody gave.
    """
    parameters = inspect.signature(function).parameters
    takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for name in settings:
        if name not in parameters and not takes_all:
            raise unknown_name(f"setting of {what}", name, parameters)
    arguments = {name: value for name, value in offered.items() if name in parameters} | dict(settings)
    missing = [name for name in required_arguments(function) if name not in arguments]
    if missing:
        raise SettingError(f"{what} needs {', '.join(missing)}; give defaults, or set them")
    return function(**arguments)


def add_working_folder() -> None:
    """Make the modules of the working folder importable, as `python -m` does, for commands that take import paths."""
    folder = str(Path.cwd())
    if folder not in sys.path and "" not in sys.path:
        sys.path.insert(0, folder)
