"""What a method is: frozen hyper-parameters, explicit state, and hooks that do nothing by default.

A method sees batches, θ, g and task boundaries; never streams, optimisers, files or the loop. Within a task it
writes its state in place; at a boundary it returns a state. The loop calls the hooks in this order:

    check                                 before the life, and before each task
    adapt, init                           once
    check_data                            before anything changes for a task
    begin_task, examples                  at the start of a task
      loss, gradient, correct, after_step every step: loss → backward → gradient → step → correct → after_step
    end_task                              at its end
    forward                               whenever the network answers in training
    predict                               whenever an answer is asked for; `forward` unless a method knows better
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from html import escape
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn

from lifelong.flat import Flat
from lifelong.methods.compatibility import Claim, Phase, StreamSize, check_room, check_types
from lifelong.objectives import Objective
from lifelong.types import Data, Examples, Scenario, Space, Tree

__all__ = [
    "Augment",
    "Claim",
    "Forward",
    "Inner",
    "LearnerView",
    "Method",
    "Mix",
    "NoState",
    "Phase",
    "Step",
    "StreamSize",
]

StateT = TypeVar("StateT")

Need = Literal["task boundaries", "task number at test", "labels", "memory", "all past data"]
Family = Literal[
    "bounds", "springs", "gradient", "replay", "distillation", "generative", "isolation", "prototypes", "chain"
]

#: inputs (B, …) and their task number(s) → logits (B, C)
Forward = Callable[[Tensor, "int | Tensor"], Tensor]


@dataclass(frozen=True, slots=True)
class Mix:
    """Each input is `share` of an example of the batch and 1 − `share` of the one at its place in `order_B`."""

    share: float
    order_B: Tensor


class Augment(Protocol):
    """What is done to the inputs of a batch in training."""

    @property
    def mixes(self) -> bool:
        """Whether inputs are mixtures of two examples."""
        ...

    def __call__(self, x: Tree) -> tuple[Tree, Mix | None]:
        """New inputs of the same shapes; with a `Mix` they are mixtures of two examples each."""
        ...


class LearnerView(Protocol):
    """What a method may see of its learner at a task boundary."""

    @property
    def model(self) -> nn.Module:
        """The network; its parameters are views into `flat.theta_P`."""
        ...

    @property
    def flat(self) -> Flat:
        """θ and g."""
        ...

    @property
    def objective(self) -> Objective:
        """What an answer means: its loss, and which outputs count for which task."""
        ...

    @property
    def space(self) -> Space:
        """What the stream asks: scenario, inputs, outputs, and whether there are boundaries between tasks."""
        ...

    @property
    def generator(self) -> torch.Generator:
        """The method's own random numbers (CPU); part of the saved state."""
        ...

    def restart(self) -> None:
        """Put the weights back to the random initialisation and forget the optimiser's moments."""
        ...

    def autocast(self) -> AbstractContextManager[object]:
        """The precision in which forward passes run."""
        ...


@dataclass(slots=True)
class Step:
    """One step of training, as a method sees it.

    Args:
        learner: Whose step it is.
        forward: The method's own forward.
        batch: The examples of the step, as the stream or a memory gave them.
        task: The number of the task being learned.
        number: The step within the task (from 1) of `steps`.
        steps: Of the task.
        epoch: The pass over its examples (from 1), of `per_epoch` steps.
        per_epoch: Steps of a pass.
        lr: The optimiser's step size.
        max_stable_stiffness: The most curvature that an explicit step carries.
        augment: What is done to inputs before the network sees them, drawn anew for each batch that is asked about.
    """

    learner: LearnerView
    forward: Forward
    batch: Examples
    task: int
    number: int
    steps: int
    epoch: int
    per_epoch: int
    lr: float
    max_stable_stiffness: float
    augment: Augment | None = None
    _x: Tree = None
    _mix: Mix | None = None
    _answer: Tensor | None = None

    @property
    def theta_P(self) -> Tensor:
        """θ, to read."""
        return self.learner.flat.theta_P.detach()

    @property
    def generator(self) -> torch.Generator:
        """The method's own random numbers."""
        return self.learner.generator

    @property
    def x(self) -> Tree:
        """The inputs as the network sees them: those of the batch, augmented once."""
        if self.augment is None:
            return self.batch.x
        if self._x is None:
            self._x, self._mix = self.augment(self.batch.x)
        return self._x

    @property
    def mixes(self) -> bool:
        """Whether inputs are mixtures of two examples, whose loss `base_loss` alone knows."""
        return self.augment is not None and self.augment.mixes

    @property
    def answer(self) -> Tensor:
        """The model's answers to the batch; computed once per step."""
        if self._answer is None:
            with self.learner.autocast():
                self._answer = self.forward(self.x, self.batch.task)
        return self._answer

    def base_loss(self) -> Tensor:
        """The objective's loss of the batch: the loss without any defence."""
        answer, batch, loss = self.answer.float(), self.batch, self.learner.objective.loss
        if self._mix is None:
            return loss(answer, batch.y, batch.task)
        other = batch.at(self._mix.order_B.to(batch.device))
        share = self._mix.share
        return share * loss(answer, batch.y, batch.task) + (1 - share) * loss(answer, other.y, other.task)

    def on(self, batch: Examples) -> Step:
        """The same step on other examples."""
        return Step(
            self.learner,
            self.forward,
            batch,
            self.task,
            self.number,
            self.steps,
            self.epoch,
            self.per_epoch,
            self.lr,
            self.max_stable_stiffness,
            self.augment,
        )

    def gradient_on(self, batch: Examples) -> Tensor:
        """The gradient of the objective's loss on `batch` at θ, as a new vector (P,)."""
        return self.learner.flat.gradient(self.on(batch).base_loss())


Inner = Callable[[Step], Tensor]


@dataclass
class NoState:
    """The state of a method that remembers nothing."""


@dataclass(frozen=True)
class Method(Generic[StateT]):
    """The hooks, each doing nothing; a method overrides those it needs.

    State tensors whose name ends in `P` run over the parameters in their last dimension: the learner lays them out
    anew when the model grows.
    """

    name: ClassVar[str]
    family: ClassVar[Family]
    reference: ClassVar[str]
    #: what it asks for beside the examples of the task; `labels` of what it keeps or measures, beside those of the loss
    needs: ClassVar[tuple[Need, ...]] = ()
    #: what it does not share with other methods, or rests upon (`compatibility.Claim`); hooks claim for themselves
    claims: ClassVar[Claim] = Claim(0)
    #: when its `gradient` and its `correct` are called among those of others
    phase: ClassVar[Phase] = Phase.MEASURE
    #: the objectives that it can learn
    objectives: ClassVar[tuple[str, ...]] = ("classes", "numbers", "labels", "tokens")
    #: whether its tasks must be alike in their inputs and targets
    one_kind: ClassVar[bool] = False
    #: settings with which it is fine-tuning, bit for bit; None where no settings make it so
    disabled_settings: ClassVar[Mapping[str, object] | None] = None
    #: settings that may be infinite, as its card says; others must be finite
    unbounded: ClassVar[tuple[str, ...]] = ()
    #: the dataclass of the state
    state_class: ClassVar[type[Any]] = NoState
    #: the scenarios in which it is defined
    scenarios: ClassVar[tuple[Scenario, ...]] = ("task", "domain", "class")

    #: what it is called in results; empty: by its name
    label: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        check_types(self.name, self, self.unbounded)
        self.validate()

    def validate(self) -> None:
        """Raise `SettingError` for settings out of range; their types are checked before."""

    @classmethod
    def settings(cls) -> tuple[str, ...]:
        """The names of the settings: all fields but the label."""
        return tuple(field.name for field in fields(cls) if field.name != "label")

    @property
    def title(self) -> str:
        """What results call it: its label, or its name."""
        return self.label or self.name

    def _repr_html_(self) -> str:
        """The settings as a table, for notebooks."""
        values = {name: str(getattr(self, name)) for name in self.settings()}
        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in values.items())
        return f"<p><b>{escape(self.title)}</b></p><table>{rows}</table>"

    def claimed(self) -> Claim:
        """The declared claims, and those that follow from the hooks that are overridden."""
        kind = type(self)
        chooses = Claim.CHOOSES_DATA if kind.examples is not Method.examples else Claim(0)
        answers = Claim.ANSWERS if kind.predict is not Method.predict else Claim(0)
        return self.claims | chooses | answers

    @property
    def state_type(self) -> type[StateT]:
        """The dataclass of the state, from which a saved one is read back."""
        return self.state_class

    def check(self, size: StreamSize) -> None:
        """Raise `SettingError` where the settings cannot serve a life of this size.

        Asked before a life begins, and before each of its tasks with the size so far. A memory that is in use must
        have room for one example of each class, and of each task of a life that is known whole, unless a method knows
        better: a life without end outgrows every memory, and a sample of it is still a sample.
        """
        capacity = getattr(self, "capacity", None)
        if "memory" in self.needs and isinstance(capacity, int):
            enough = size.classes if size.open_ended else max(size.classes, size.tasks)
            check_room(self.name, capacity, enough, "tasks" if enough > size.classes else "classes")

    def check_data(self, state: StateT, learner: LearnerView, task: Data) -> None:
        """Raise `DataError` or `SettingError` where the method cannot learn `task`; asked before anything changes."""

    def adapt(self, model: nn.Module, space: Space, seed: int) -> nn.Module:
        """The network to learn with, made from the one given; `seed` is the learner's.

        Raises `SettingError` for a network that the method cannot treat.
        """
        return model

    def init(self, learner: LearnerView) -> StateT:
        """The state before the first task."""
        return self.state_type()

    def begin_task(self, state: StateT, learner: LearnerView, task: Data) -> StateT:
        """At the start of a task; `task` holds its training examples."""
        return state

    def examples(self, state: StateT, task: Data) -> Data:
        """What to learn from: the task's examples unless a method (joint) knows better."""
        return task

    def loss(self, state: StateT, step: Step, inner: Inner) -> Tensor:
        """The loss of a step; `inner(step)` is the loss of the methods inside, at the core the cross-entropy."""
        return inner(step)

    def gradient(self, state: StateT, step: Step, grad_P: Tensor) -> Tensor:
        """The gradient to step along; `grad_P` may be changed in place."""
        return grad_P

    def correct(self, state: StateT, step: Step) -> None:
        """After the optimiser: move θ (`step.theta_P`) in place, by a proximal step, a projection, or back."""

    def after_step(self, state: StateT, step: Step) -> None:
        """At the end of a step: note what happened; θ is final, `step.batch` holds what the stream gave."""

    def end_task(self, state: StateT, learner: LearnerView, task: Data) -> StateT:
        """At the end of a task; `task` holds its training examples."""
        return state

    def forward(self, state: StateT, learner: LearnerView, x: Tensor, task: int | Tensor) -> Tensor:
        """The network's answers (B, C) to `x` while it learns; `task` is the task number of all rows or of each."""
        logits_BC: Tensor = learner.model(x)
        return logits_BC

    def predict(self, state: StateT, learner: LearnerView, x: Tensor, task: int) -> Tensor:
        """Logits (B, C) for `x`; `task` is the number of the task it belongs to."""
        return self.forward(state, learner, x, task)

    def declared_bytes(self, size: StreamSize) -> int:
        """The most that the state takes after a life of this size; it is checked against the memory there is."""
        return 0

    def capacity_used(self, state: StateT) -> float | None:
        """The fraction of what its tasks share that is used up; None where a method has no such end."""
        return None

    def parameters(self, state: StateT) -> int:
        """Parameters kept for prediction beside the model's own."""
        return 0
