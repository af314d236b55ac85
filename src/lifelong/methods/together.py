"""Whether methods go together in a chain: what one of them must have to itself, no other may want."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lifelong.errors import require
from lifelong.methods.base import Method

__all__ = ["check_together", "holds"]


def holds(method: Method[Any]) -> bool:
    """Whether the method keeps weights where they are, whatever the others do."""
    return method.family == "isolation"


def check_together(methods: Sequence[Method[Any]]) -> None:
    """Raise `SettingError` where a chain of `methods` would not do what each of them says.

    >>> from lifelong.methods import ER, NCM, ICaRL
    >>> check_together([ER(), ICaRL()])
    >>> check_together([ICaRL(), ER()])
    Traceback (most recent call last):
    lifelong.errors.SettingError: icarl+er: icarl leaves out the loss of what comes after it (er); name it last
    >>> check_together([ER(), NCM()])
    Traceback (most recent call last):
    lifelong.errors.SettingError: er+ncm: ncm takes no step of gradient descent, and in a chain no other method would
        take one; use it alone
    """
    label = "+".join(method.name for method in methods)
    idle = [method for method in methods if not method.descends]
    require(
        not idle,
        f"{label}: {_names(idle)} takes no step of gradient descent, and in a chain no other method would take one; "
        "use it alone",
    )
    restarting, holding = [m for m in methods if m.restarts], [m for m in methods if holds(m)]
    require(
        not (restarting and holding),
        f"{label}: {_names(restarting)} begins tasks anew and would undo what {_names(holding)} holds; "
        "take one of them",
    )
    answering = [method for method in methods if type(method).predict is not Method.predict]
    require(
        len(answering) <= 1,
        f"{label}: {_names(answering)} each answer in a way of their own, and only one can; take one of them",
    )
    losing = [method for method in methods if method.own_loss]
    require(len(losing) <= 1, f"{label}: {_names(losing)} each leave out the loss of the other; take one of them")
    for place, method in enumerate(methods):
        lost = [other for other in methods[place + 1 :] if type(other).loss is not Method.loss]
        require(
            not (method.own_loss and lost),
            f"{label}: {method.name} leaves out the loss of what comes after it ({_names(lost)}); name it last",
        )


def _names(methods: Iterable[Method[Any]]) -> str:
    return ", ".join(method.name for method in methods)
