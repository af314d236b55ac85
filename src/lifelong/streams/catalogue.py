"""The streams by name, a kind over a data set as in `permuted-digits` or `split-fashion-mnist`, and their cards."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import msgspec

from lifelong.errors import SettingError, require, unknown_name
from lifelong.plugins import call_with, find
from lifelong.streams.babi.stream import Babi
from lifelong.streams.kinds import KINDS, Kind
from lifelong.streams.skills import Skills
from lifelong.streams.sources import SOURCES, load
from lifelong.streams.stream import Stream

__all__ = ["NAMES", "card", "kind_of", "outside", "sentence", "settings_for", "stream"]

DATA = {
    "digits": "1,797 real handwritten digits of 8×8 pixels, embedded",
    "mnist-4k": "4,000 of MNIST's handwritten digits of 28×28 pixels, embedded",
    "mnist": "70,000 handwritten digits of 28×28 pixels",
    "fashion-mnist": "70,000 pictures of clothes of 28×28 pixels",
    "skills": "Embedded samples of real recordings, images and sentences",
    "babi": "The bAbI tasks: 1,000 questions each, simulated or from the official files",
}

SINGLE: dict[str, type[Babi | Skills]] = {"babi": Babi, "skills": Skills}

NAMES = (*(f"{kind}-{source}" for source in SOURCES for kind in KINDS), *SINGLE)


def kind_of(name: str) -> type[Kind | Babi | Skills]:
    """The class of the settings of the stream called `name`."""
    if name not in NAMES:
        raise unknown_name("stream", name, NAMES)
    return SINGLE[name] if name in SINGLE else KINDS[name.partition("-")[0]]


def settings_for(name: str, settings: Mapping[str, Any] | None = None) -> Kind | Babi | Skills:
    """The settings of the stream called `name`; values may be text, lists of numbers `0,20,40`.

    >>> settings_for("rotated-digits", {"tasks": "3", "angles": "0,45,90"}).angles
    (0.0, 45.0, 90.0)
    """
    kind = kind_of(name)
    known = [field.name for field in fields(kind)]
    given = dict(settings or {})
    for setting, value in given.items():
        if setting not in known:
            raise unknown_name(f"setting of {name}", setting, known)
        if isinstance(value, str) and (
            "," in value if setting == "classes_per_task" else _is_list(kind, setting, value)
        ):
            given[setting] = [part.strip() for part in value.split(",")]
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        text = ", ".join(f"{setting}={value!r}" for setting, value in given.items())
        raise SettingError(f"{name}: {error} (given: {text})") from error


def outside(name: str) -> Any | None:
    """The function or stream that an entry point or an import path leads to; None for the streams of this package."""
    return None if name in NAMES else find(name, "stream")


def _is_list(kind: type[Kind | Babi | Skills], setting: str, text: str) -> bool:
    """Whether `text` is a list, of numbers or of skills, and not the name of a file."""
    if setting == "classes_per_task":
        return "," in text
    if kind is Skills:
        return setting == "order"
    return setting in ("angles", "order") and set(text) <= set("0123456789.,- ")


def stream(name: str, *, data_dir: str | Path | None = None, **settings: Any) -> Stream:
    """The stream called `name`, with the settings of its kind (`Permuted`, `Rotated`, `ClassSplit`, `Noisy`) or `Babi`.

    A name may be an import path `package.module:name`, or an entry point `lifelong.streams`: of a `Stream`, or of a
    function that gives one. The function takes the settings by name; `seed` and `data_dir` where it has such arguments.

    Arguments: `data_dir` holds the files of a data set that is not embedded (default `$LIFELONG_DATA/<data set>`).

    Raises: `SettingError` for an unknown name or setting, `DataError` for files that are missing or damaged.

    >>> digits = stream("permuted-digits", tasks=3)
    >>> len(digits), digits.space.classes, len(digits.task(1).train)
    (3, 10, 1293)
    """
    if (outer := outside(name)) is not None:
        return _from_outside(outer, name, data_dir, settings)
    kind, folder = settings_for(name, settings), Path(data_dir) if data_dir is not None else None
    if isinstance(kind, Babi | Skills):
        return kind.build(name, folder)
    return kind.build(name, load(name.partition("-")[2], folder))


def _from_outside(outer: Any, name: str, data_dir: str | Path | None, settings: dict[str, Any]) -> Stream:
    others = {setting: value for setting, value in settings.items() if setting != "seed"}
    if isinstance(outer, Stream):
        require(not others, f"{name} is a stream with its settings, got {others}; name a function that takes them")
        return outer
    require(callable(outer), f"stream {name!r} is {outer!r}; expected a Stream, or a function that gives one")
    takes = signature(outer).parameters
    plain = {
        setting: _typed(name, takes[setting], value) if setting in takes else value for setting, value in others.items()
    }
    folder = None if data_dir is None else Path(data_dir)
    result = call_with(outer, plain, {"seed": settings.get("seed", 0), "data_dir": folder}, name)
    require(isinstance(result, Stream), f"stream {name!r} gave {result!r}; expected a lifelong.Stream")
    return result


def _typed(name: str, parameter: Parameter, value: Any) -> Any:
    """The value of a setting, which may be text, in the type of the parameter's default."""
    if parameter.default in (None, Parameter.empty):
        return value
    try:
        return msgspec.convert(value, type(parameter.default), strict=False)
    except msgspec.ValidationError as error:
        raise SettingError(f"{name}: {parameter.name}: {error} (given: {value!r})") from error


def sentence(name: str) -> str:
    """What the stream is, in one line.

    Example:
        >>> sentence("split-digits")
        'Every task brings new classes. 1,797 real handwritten digits of 8×8 pixels, embedded.'
    """
    data = name.partition("-")[2] or name
    return f"{card(name).splitlines()[0]} {DATA[data]}."


def card(name: str) -> str:
    """The card of a stream: its sentence and its settings."""
    return inspect.getdoc(kind_of(name)) or ""
