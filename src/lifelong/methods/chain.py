"""Several methods as one."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lifelong.errors import require
from lifelong.methods.base import Inner, LearnerView, Method, Need, Phase, Step, StreamSize
from lifelong.methods.compatibility import Claim, check_compatible
from lifelong.types import Data, Scenario, Space

__all__ = ["Chain"]

State = tuple[Any, ...]


@dataclass(frozen=True)
class ChainOf(Method[State]):
    """Use several methods together; on the command line `ewc+er`.

    Formula: losses nest, the first method outermost, one that leaves out the loss of others (iCaRL, ER-ACE) innermost;
    gradients and corrections are folded by phase: who measures, penalties, projections, frozen weights; states form a
    tuple.

    Arguments:
        methods: two or more different methods.

    Stores: what its methods store.

    Reference: none, this is composition.

    Deviations: answers come from the one method that has its own way to give them; two such, or a method that takes
    no step of gradient descent, are refused. Refused, too: one that begins tasks anew (joint, gdumb, independent)
    next to one that relies on what past tasks left, and one that learns from stored examples in its own way (joint,
    gdumb, iCaRL) next to one that stores its batches (replay, GEM, DGR). A method that measures g (SI, RWalk)
    sees that of the whole loss, with what the others add to it (replay, distillation), and no penalty or projection.

    Example:
        >>> from lifelong import EWC, ER, Chain
        >>> Chain(EWC(strength=10.0), ER(capacity=100)).name
        'ewc+er'
    """

    methods: tuple[Method[Any], ...]

    family = "chain"
    reference = "-"

    def validate(self) -> None:
        names = [method.name for method in self.methods]
        require(len(names) >= 2, f"a chain needs two methods or more, got {names}")
        require(len(set(names)) == len(names), f"a chain takes each method once, got {'+'.join(names)}")
        require(
            not any(isinstance(method, ChainOf) for method in self.methods),
            "a chain cannot hold a chain; give it the methods one by one",
        )
        check_compatible(self.methods)
        require(bool(self.scenarios), f"{self.name} has no scenario in which all of its methods are defined")
        require(bool(self.objectives), f"{self.name} has no objective that all of its methods learn")

    @property
    def name(self) -> str:  # pyrefly: ignore
        return "+".join(method.name for method in self.methods)

    @property
    def title(self) -> str:
        return self.label or "+".join(method.title for method in self.methods)

    @property
    def needs(self) -> tuple[Need, ...]:  # pyrefly: ignore
        return tuple(sorted({need for method in self.methods for need in method.needs}))

    @property
    def scenarios(self) -> tuple[Scenario, ...]:  # pyrefly: ignore
        return tuple(s for s in Method.scenarios if all(s in method.scenarios for method in self.methods))

    @property
    def objectives(self) -> tuple[str, ...]:  # pyrefly: ignore
        return tuple(name for name in Method.objectives if all(name in method.objectives for method in self.methods))

    @property
    def one_kind(self) -> bool:  # pyrefly: ignore
        return any(method.one_kind for method in self.methods)

    def claimed(self) -> Claim:
        return functools.reduce(Claim.__or__, (method.claimed() for method in self.methods))

    @property
    def state_type(self) -> type[State]:
        parts = tuple(method.state_type for method in self.methods)
        whole: Any = types.GenericAlias(tuple, parts)  # tuple[A, B, …], which is only known here
        return whole

    def check(self, size: StreamSize) -> None:
        for method in self.methods:
            method.check(size)

    def check_data(self, state: State, learner: LearnerView, task: Data) -> None:
        for method, own in zip(self.methods, state, strict=True):
            method.check_data(own, learner, task)

    def adapt(self, model: nn.Module, space: Space, seed: int) -> nn.Module:
        for method in sorted(self.methods, key=_freezes_first):  # the others treat the network that is learned
            model = method.adapt(model, space, seed)
        return model

    def init(self, learner: LearnerView) -> State:
        return tuple(method.init(learner) for method in self.methods)

    def begin_task(self, state: State, learner: LearnerView, task: Data) -> State:
        return tuple(m.begin_task(s, learner, task) for m, s in zip(self.methods, state, strict=True))

    def examples(self, state: State, task: Data) -> Data:
        for method, own in zip(self.methods, state, strict=True):
            task = method.examples(own, task)
        return task

    def loss(self, state: State, step: Step, inner: Inner) -> Tensor:
        nested = inner
        for method, own in self._with(state, self._innermost_first):
            nested = _wrapped(method, own, nested)
        return nested(step)

    def gradient(self, state: State, step: Step, grad_P: Tensor) -> Tensor:
        for method, own in self._with(state, self._by_phase):
            grad_P = method.gradient(own, step, grad_P)
        return grad_P

    def correct(self, state: State, step: Step) -> None:
        for method, own in self._with(state, self._by_phase):
            method.correct(own, step)

    def after_step(self, state: State, step: Step) -> None:
        for method, own in self._with(state, range(len(state))):
            method.after_step(own, step)

    def end_task(self, state: State, learner: LearnerView, task: Data) -> State:
        return tuple(m.end_task(s, learner, task) for m, s in zip(self.methods, state, strict=True))

    def forward(self, state: State, learner: LearnerView, x: Tensor, task: int | Tensor) -> Tensor:
        for method, own in zip(self.methods, state, strict=True):
            if type(method).forward is not Method.forward:
                return method.forward(own, learner, x, task)
        return super().forward(state, learner, x, task)

    def predict(self, state: State, learner: LearnerView, x: Tensor, task: int) -> Tensor:
        for method, own in zip(self.methods, state, strict=True):
            if type(method).predict is not Method.predict:
                return method.predict(own, learner, x, task)
        return super().predict(state, learner, x, task)

    @functools.cached_property
    def _by_phase(self) -> list[int]:
        return sorted(range(len(self.methods)), key=lambda place: self.methods[place].phase)

    @functools.cached_property
    def _innermost_first(self) -> list[int]:
        def outside(place: int) -> bool:
            return Claim.REPLACES_LOSS not in self.methods[place].claimed()

        return sorted(range(len(self.methods) - 1, -1, -1), key=outside)

    def _with(self, state: State, places: Iterable[int]) -> list[tuple[Method[Any], Any]]:
        return [(self.methods[place], state[place]) for place in places]

    def declared_bytes(self, size: StreamSize) -> int:
        return sum(method.declared_bytes(size) for method in self.methods)

    def capacity_used(self, state: State) -> float | None:
        used = [method.capacity_used(own) for method, own in zip(self.methods, state, strict=True)]
        return max((part for part in used if part is not None), default=None)

    def parameters(self, state: State) -> int:
        return sum(method.parameters(own) for method, own in zip(self.methods, state, strict=True))


class Chain(ChainOf):
    """`ChainOf` with the methods one by one: `Chain(EWC(), ER())`."""

    def __init__(self, *methods: Method[Any], label: str = "") -> None:
        super().__init__(methods, label=label)


def _freezes_first(method: Method[Any]) -> bool:
    return method.phase is not Phase.FREEZE


def _wrapped(method: Method[Any], state: Any, inner: Inner) -> Inner:
    return lambda step: method.loss(state, step, inner)
