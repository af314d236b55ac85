"""What a shell offers to complete: names of methods and streams."""

from __future__ import annotations

__all__ = ["methods_like", "streams_like"]


def methods_like(begin: str) -> list[str]:
    """The methods that begin as what was typed; after a plus, the next one of a chain.

    >>> methods_like("ewc+e")
    ['ewc+er', 'ewc+er-ace', 'ewc+ewc']
    """
    from lifelong.methods import METHODS

    chain, plus, last = begin.rpartition("+")
    return sorted(f"{chain}{plus}{name}" for name in METHODS if name.startswith(last))


def streams_like(begin: str) -> list[str]:
    """The streams that begin as what was typed.

    >>> streams_like("rotated-d")
    ['rotated-digits']
    """
    from lifelong.streams import NAMES

    return sorted(name for name in NAMES if name.startswith(begin))
