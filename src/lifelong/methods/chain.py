"""Several methods as one."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lifelong.errors import require
from lifelong.methods.base import Inner, LearnerView, Method, Step, StreamSize
from lifelong.methods.compatibility import after_step_order, check_compatible, holds
from lifelong.types import Examples, Space

__all__ = ["Chain"]

State = tuple[Any, ...]


@dataclass(frozen=True, init=False)
class Chain(Method[State]):
    """Use several methods together; on the command line `ewc+er`.

    Formula: losses nest, the first method outermost; gradients are folded from first to last; states form a tuple.
    After a step projections (OGD, GPM) come first, and again after springs; the method that holds weights (isolation)
    has the last word.

    Arguments:
        methods: two or more different methods.

    Stores: what its methods store.

    Reference: none, this is composition.

    Deviations: answers come from the one method that has its own way to give them; two such, or a method that takes
    no step of gradient descent, are refused. A method whose loss leaves out that of the others (iCaRL, ER-ACE) comes
    last. Refused, too: one that begins tasks anew (joint, gdumb, independent) beside one that holds what past tasks
    left, and one that learns from stored examples in its own way (joint, gdumb, iCaRL) beside one that keeps what it
    is given (replay, GEM, DGR). A method that measures the gradient (SI, RWalk) sees that of the whole loss, with what
    the others add to it (replay, distillation) in either order, and what those before it make of the gradient itself
    (springs, projections): these it does not see if it is named before them.

    Example:
        >>> from lifelong import EWC, ER, Chain
        >>> Chain(EWC(strength=10.0), ER(capacity=100)).name
        'ewc+er'
    """

    methods: tuple[Method[Any], ...]

    name = "chain"
    family = "chain"
    reference = "-"

    def __init__(self, *methods: Method[Any]) -> None:
        names = [method.name for method in methods]
        require(len(methods) >= 2, f"a chain needs two methods or more, got {names}")
        require(len(set(names)) == len(names), f"a chain takes each method once, got {'+'.join(names)}")
        require(
            not any(isinstance(method, Chain) for method in methods),
            "a chain cannot hold a chain; give it the methods one by one",
        )
        object.__setattr__(self, "methods", methods)
        object.__setattr__(self, "name", "+".join(names))
        object.__setattr__(self, "needs", tuple(sorted({need for m in methods for need in m.needs})))
        object.__setattr__(self, "restarts", any(method.restarts for method in methods))
        check_compatible(methods)
        common = tuple(s for s in Method.scenarios if all(s in method.scenarios for method in methods))
        require(bool(common), f"{self.name} has no scenario in which all of its methods are defined")
        object.__setattr__(self, "scenarios", common)

    @property
    def state_type(self) -> type[State]:
        parts = tuple(method.state_type for method in self.methods)
        whole: Any = types.GenericAlias(tuple, parts)  # tuple[A, B, …], which is only known here
        return whole

    def check(self, size: StreamSize) -> None:
        for method in self.methods:
            method.check(size)

    def check_data(self, state: State, learner: LearnerView, task: Examples) -> None:
        for method, own in zip(self.methods, state, strict=True):
            method.check_data(own, learner, task)

    def adapt(self, model: nn.Module, space: Space, seed: int) -> nn.Module:
        for method in sorted(self.methods, key=holds, reverse=True):  # the others treat the network that is learned
            model = method.adapt(model, space, seed)
        return model

    def init(self, learner: LearnerView) -> State:
        return tuple(method.init(learner) for method in self.methods)

    def begin_task(self, state: State, learner: LearnerView, task: Examples) -> State:
        return tuple(m.begin_task(s, learner, task) for m, s in zip(self.methods, state, strict=True))

    def examples(self, state: State, task: Examples) -> Examples:
        for method, own in zip(self.methods, state, strict=True):
            task = method.examples(own, task)
        return task

    def loss(self, state: State, step: Step, inner: Inner) -> Tensor:
        nested = inner
        for method, own in reversed(list(zip(self.methods, state, strict=True))):
            nested = _wrapped(method, own, nested)
        return nested(step)

    def gradient(self, state: State, step: Step, grad_P: Tensor) -> Tensor:
        for method, own in zip(self.methods, state, strict=True):
            grad_P = method.gradient(own, step, grad_P)
        return grad_P

    def after_step(self, state: State, step: Step) -> None:
        for place in after_step_order(self.methods):
            self.methods[place].after_step(state[place], step)

    def end_task(self, state: State, learner: LearnerView, task: Examples) -> State:
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

    def declared_bytes(self, size: StreamSize) -> int:
        return sum(method.declared_bytes(size) for method in self.methods)

    def capacity_used(self, state: State) -> float | None:
        used = [method.capacity_used(own) for method, own in zip(self.methods, state, strict=True)]
        return max((part for part in used if part is not None), default=None)

    def parameters(self, state: State) -> int:
        return sum(method.parameters(own) for method, own in zip(self.methods, state, strict=True))


def _wrapped(method: Method[Any], state: Any, inner: Inner) -> Inner:
    return lambda step: method.loss(state, step, inner)
