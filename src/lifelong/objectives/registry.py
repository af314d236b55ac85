"""The objective of a target."""

from __future__ import annotations

from lifelong.objectives.base import Objective
from lifelong.objectives.classes import ClassObjective
from lifelong.objectives.labels import LabelObjective
from lifelong.objectives.numbers import NumberObjective
from lifelong.objectives.tokens import TokenObjective
from lifelong.types import Labels, Numbers, Scenario, Target, Tokens

__all__ = ["OBJECTIVES", "objective_for"]

OBJECTIVES: dict[str, type[Objective]] = {
    kind.name: kind for kind in (ClassObjective, NumberObjective, LabelObjective, TokenObjective)
}


def objective_for(target: int | Target | None, scenario: Scenario, announced_only: bool = False) -> Objective:
    """The objective that learns `target` in `scenario`.

    Example:
        >>> objective_for(Numbers(2), "domain").name, objective_for(10, "class").name
        ('numbers', 'classes')
    """
    kinds: dict[type, type[Objective]] = {Numbers: NumberObjective, Labels: LabelObjective, Tokens: TokenObjective}
    plain = None if isinstance(target, int) else target
    return kinds.get(type(target), ClassObjective)(plain, scenario, announced_only)
