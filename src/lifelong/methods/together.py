"""Whether methods go together in a chain: what one of them must have to itself, no other may want."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lifelong.errors import require
from lifelong.methods.base import Method

__all__ = ["after_step_order", "check_together", "holds"]


def holds(method: Method[Any]) -> bool:
    """Whether the method keeps weights where they are, whatever the others do."""
    return method.family == "isolation"


def after_step_order(methods: Sequence[Method[Any]]) -> list[int]:
    """The places of `methods` in the order of their `after_step`; a place may come twice.

    A projection comes first, as the others measure the step that was taken, and again after springs, which may move θ
    back into the span; who holds weights puts them back last.

    >>> from lifelong.methods import EWC, OGD, PackNet
    >>> after_step_order([PackNet(), EWC(), OGD()])
    [2, 1, 2, 0]
    """
    places = range(len(methods))
    projecting = [place for place in places if methods[place].projects]
    holding = [place for place in places if holds(methods[place])]
    others = [place for place in places if place not in projecting + holding]
    again = projecting if any(method.family == "springs" for method in methods) else []
    return [*projecting, *others, *again, *holding]


def check_together(methods: Sequence[Method[Any]]) -> None:
    """Raise `SettingError` where a chain of `methods` would not do what each of them says.

    >>> from lifelong.methods import ER, NCM, ICaRL, LwF
    >>> check_together([LwF(), ICaRL()])
    >>> check_together([ICaRL(), LwF()])
    Traceback (most recent call last):
    lifelong.errors.SettingError: icarl+lwf: icarl leaves out the loss of what comes after it (lwf); name it last
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
    restarting, holding = [m for m in methods if m.restarts], [m for m in methods if m.holds_past]
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
    choosing = [method for method in methods if type(method).examples is not Method.examples]
    require(
        len(choosing) <= 1,
        f"{label}: {_names(choosing)} each choose what is learned from, and only one can; take one of them",
    )
    keeping = [method for method in methods if method.keeps_batches]
    require(
        not (choosing and keeping),
        f"{label}: {_names(choosing)} learns from stored examples too, which {_names(keeping)} would take for new ones "
        "of the newest task; take one of them, or a method that keeps no examples in place of the other",
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
