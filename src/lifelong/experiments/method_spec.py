"""Methods as plain values: what `-m`, a file and a worker process say of a method, and what results call it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from lifelong.errors import SettingError, require
from lifelong.methods import METHODS, Chain, Method, as_method, build, method_class, parts_of, settings_of
from lifelong.plugins import import_path_of

__all__ = ["MethodSpec", "distinct_titles", "labelled", "read_methods", "spec_from"]

#: a method with settings behind a colon
WITH_SETTINGS = re.compile(r"([^=]+?):([^\W\d][\w.]*=.*)")


@dataclass(frozen=True)
class MethodSpec:
    """A method as plain values, which a file and a worker process can hold.

    Args:
        name: As `-m` takes it: a name, an entry point, an import path `package.module:MyMethod`, or a chain of them
            with `+`.
        settings: All its settings; of a chain those of each part by its name.
        label: What results call it where that is not its name.

    Example:
        >>> MethodSpec.of("ewc", {"strength": 1}, "soft").title
        'soft'
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    def __post_init__(self) -> None:
        require(self.label.isprintable() and self.label == self.label.strip(), f"no such label: {self.label!r}")

    @property
    def title(self) -> str:
        """What results call it: its label, or its name."""
        return self.label or self.name

    @staticmethod
    def of(
        method: str | Method[Any] | type[Method[Any]], settings: Mapping[str, Any] | None = None, label: str = ""
    ) -> MethodSpec:
        """The complete settings of a method given by name, as an object or as a class.

        Raises:
            SettingError: There is no such method, or it is an object of a class that no import path leads to.
        """
        if isinstance(method, str):
            parts = parts_of(method)
            name = "+".join(map(_canonical, parts))
            chosen = dict(settings or {})
            if len(parts) > 1:
                chosen = {_canonical(part) if part in parts else part: some for part, some in chosen.items()}
            value = build(name, chosen, import_paths=True)
        else:
            value = as_method(method)
            name = "+".join(_name_of_class(part) for part in _parts(value))
        names = parts_of(name)
        plain = (
            settings_of(value) if len(names) == 1 else dict(zip(names, map(settings_of, _parts(value)), strict=True))
        )
        try:
            plain = msgspec.to_builtins(plain)
        except TypeError as error:
            raise SettingError(f"{name} has a setting that no file can hold: {error}") from error
        usual = value.title if value.title != name else ""
        return MethodSpec(name, plain, label or usual)

    def build(self) -> Method[Any]:
        """The method."""
        return build(self.name, self.settings, import_paths=True)


def read_methods(texts: Sequence[str]) -> list[tuple[str, dict[str, dict[str, str]], str]]:
    """Methods as they are written after `-m`: (name, settings of each part, label).

    Settings follow a colon, `ewc:strength=1` or `ewc+er:er.capacity=50,ewc.strength=1`; commas separate methods.

    Raises:
        SettingError: A text that is no such list.

    Example:
        >>> read_methods(["ewc:strength=1,decay=0.5,er"])
        [('ewc', {'ewc': {'strength': '1', 'decay': '0.5'}}, 'ewc:strength=1,decay=0.5'), ('er', {'er': {}}, '')]
    """
    pieces: list[str] = []
    for text in texts:
        begun = len(pieces)
        for piece in text.split(","):
            if "=" in piece and not WITH_SETTINGS.fullmatch(piece) and len(pieces) > begun:
                pieces[-1] += f",{piece}"  # one more setting of the same method
            else:
                pieces.append(piece.strip())
    methods = []
    for piece in pieces:
        require(bool(piece), f"expected methods as in ewc,er or ewc:strength=1, got {','.join(texts)!r}")
        match = WITH_SETTINGS.fullmatch(piece)
        name, text = (match[1], match[2]) if match else (piece, "")
        parts = parts_of(name)
        settings: dict[str, dict[str, str]] = {part: {} for part in parts}
        for setting in text.split(",") if text else ():
            path, equals, value = setting.partition("=")
            part, _, field_name = path.rpartition(".")
            part = part or (parts[0] if len(parts) == 1 else "")
            require(
                bool(equals and field_name) and part in settings,
                f"settings are written as in ewc:strength=1, of a chain as in ewc+er:er.capacity=50; got {piece!r}",
            )
            settings[part][field_name.strip()] = value.strip()
        methods.append((name, settings, piece if match else ""))
    return methods


def spec_from(name: str, settings: Mapping[str, Mapping[str, Any]], label: str = "") -> MethodSpec:
    """The specification of what `read_methods` gives: settings by part."""
    return MethodSpec.of(name, settings if len(parts_of(name)) > 1 else settings[name], label)


def labelled(specs: Sequence[MethodSpec]) -> tuple[MethodSpec, ...]:
    """`specs`, those of one title told apart by the settings in which they differ, as in `ewc:strength=1`.

    Raises:
        SettingError: Two have the same label, or the same settings.

    Example:
        >>> soft, stiff = MethodSpec.of("ewc", {"strength": 1}), MethodSpec.of("ewc", {"strength": 1e3})
        >>> [spec.title for spec in labelled([soft, stiff, MethodSpec.of("er")])]
        ['ewc:strength=1', 'ewc:strength=1000', 'er']
    """
    labels = distinct_titles([(spec.title, spec.settings) for spec in specs])
    return tuple(
        spec if label == spec.title else replace(spec, label=label) for spec, label in zip(specs, labels, strict=True)
    )


def distinct_titles(methods: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """One title for each of (title, settings), made of the settings that differ where a title occurs twice."""
    flat = [_flat(settings) for _, settings in methods]
    titles: list[str] = []
    for (title, _), settings in zip(methods, flat, strict=True):
        rivals = [other for (same, _), other in zip(methods, flat, strict=True) if same == title]
        differing = {name: value for name, value in settings.items() if any(r.get(name) != value for r in rivals)}
        titles.append(f"{title}:{_text(differing)}" if differing else title)
    twice = sorted({title for title in titles if titles.count(title) > 1})
    require(not twice, f"each method once, got {', '.join(twice)} twice; give other settings, or labels of their own")
    return titles


def _canonical(part: str) -> str:
    kind = method_class(part, import_paths=True)
    return kind.name if METHODS.get(kind.name) is kind else part


def _parts(method: Method[Any]) -> tuple[Method[Any], ...]:
    return method.methods if isinstance(method, Chain) else (method,)


def _name_of_class(method: Method[Any]) -> str:
    kind = type(method)
    if METHODS.get(method.name) is kind:
        return method.name
    path = import_path_of(kind)
    require(
        path is not None,
        f"no import path leads to the method {kind.__name__}, so that no file and no worker process can hold it; "
        "put its class into a module",
    )
    return path or ""


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name, those of the parts of a chain as `part.name`."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= {f"{name}.{inner}": some for inner, some in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _text(settings: Mapping[str, Any]) -> str:
    return ",".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in settings.items()
    )
