"""iCaRL: exemplars of every class, distillation of the old ones, answers by the nearest class mean."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong.errors import require
from lifelong.memory import herd
from lifelong.methods.base import Claim, Inner, LearnerView, Method, Step, StreamSize
from lifelong.methods.evaluating import evaluating
from lifelong.methods.snapshot import Snapshot, answers, classes_of, freeze
from lifelong.models import Network
from lifelong.types import Examples, Space

__all__ = ["ICaRL", "ICaRLState"]


@dataclass
class ICaRLState:
    """Per class: label, exemplars as herded, task, mean feature; the previous network, the classes asked of it; the
    classes of all tasks so far, which the loss is over."""

    classes: list[int] = field(default_factory=list)
    exemplars: list[Tensor] = field(default_factory=list)
    task: list[int] = field(default_factory=list)
    means_CH: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    teacher: Snapshot | None = None
    old: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    seen: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))


@dataclass(frozen=True)
class ICaRL(Method[ICaRLState]):
    """Learn features with exemplars and distillation; answer with the class whose mean feature is nearest.

    Formula: learn from the task's examples and the exemplars with Σ_c BCE(σ(z_c), q_c) over the classes so far, the
    mean over the batch, where q_c = [c = y] for the task's classes and q_c = σ(z*_c), from the network before the task,
    for the old ones. Answer argmin_c ‖φ(x) − μ_c‖, φ the features with norm 1 and μ_c the mean of the exemplars' with
    norm 1.

    Arguments:
        capacity: exemplars in all, shared evenly by the classes so far; as many as there are classes, or more.

    Stores: capacity · 4 · D bytes for inputs of D float32 numbers, the previous network (4 · P), the mean features.

    Reference: Rebuffi et al. 2017, iCaRL: Incremental Classifier and Representation Learning, algorithms 1-5.

    Deviations: the mean features are taken once, when a task ends, not for each answer. An example is an exemplar once
    at most. Before the first task ends, and in the scenario task for a task of unknown classes, the network answers. A
    class that comes back is learned by its labels and herded anew among its exemplars and its new examples.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import ICaRL
        >>> digits = stream("split-digits", scenario="class", tasks=2)
        >>> learner = Learner("mlp:32", ICaRL(capacity=100), digits.space, epochs=3, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.5
        True
    """

    capacity: int = 500

    name = "icarl"
    family = "replay"
    reference = "Rebuffi et al. 2017"
    needs = ("task boundaries", "labels", "memory")
    claims = Claim.REPLACES_LOSS | Claim.RELIES_ON_WEIGHTS
    scenarios = ("task", "class")

    def validate(self) -> None:
        require(self.capacity >= 1, f"icarl.capacity must be 1 or more, got {self.capacity}")

    @property
    def state_type(self) -> type[ICaRLState]:
        return ICaRLState

    def check(self, size: StreamSize) -> None:
        self._check_room(size.outputs)

    def adapt(self, model: nn.Module, space: Space, seed: int) -> nn.Module:
        require(
            isinstance(model, Network),
            f"icarl needs the features before the output layer, which a {type(model).__name__} does not show; name a "
            "network, as mlp:400,400, or make yours with lifelong.models.with_head(backbone, features, space)",
        )
        return model

    def declared_bytes(self, size: StreamSize) -> int:
        return self.capacity * size.input_bytes + 8 * size.parameters + 16 * size.outputs

    def begin_task(self, state: ICaRLState, learner: LearnerView, task: Examples) -> ICaRLState:
        here = task.y.unique().tolist()
        self._check_room(len({*state.classes, *here}))
        seen = task.y.new_tensor(classes_of(learner.objective, learner.objective.classes))
        if not state.classes:
            return replace(state, seen=seen)
        past = task.y.new_tensor([label for label in state.classes if label not in here])
        return replace(state, teacher=freeze(learner), old=past, seen=seen)

    def examples(self, state: ICaRLState, task: Examples) -> Examples:
        parts = zip(state.exemplars, state.classes, state.task, strict=True)
        held = [Examples(x, task.y.new_full((len(x),), label), number) for x, label, number in parts]
        return Examples.cat([task, *held])

    def loss(self, state: ICaRLState, step: Step, inner: Inner) -> Tensor:
        logits_BC = step.answer.float()
        target_BC = torch.zeros_like(logits_BC).scatter_(1, step.batch.y[:, None], 1.0)
        if state.teacher is not None:
            then_BC = answers(step, state.teacher, step.batch.x, step.batch.task)
            target_BC.index_copy_(1, state.old, then_BC.index_select(1, state.old).sigmoid())
        logits_BS, target_BS = (values_BC.index_select(1, state.seen) for values_BC in (logits_BC, target_BC))
        return F.binary_cross_entropy_with_logits(logits_BS, target_BS, reduction="sum") / len(target_BS)

    def end_task(self, state: ICaRLState, learner: LearnerView, task: Examples) -> ICaRLState:
        held = dict(zip(state.classes, zip(state.exemplars, state.task, strict=True), strict=True))
        here = task.y.unique().tolist()
        quota = self.capacity // len({*held, *here})
        for label in here:
            own = task.at(task.y == label)
            x = torch.cat([held[label][0], own.x]) if label in held else own.x
            held[label] = x[herd(_features(learner, x), quota)], int(own.task_numbers()[0])
        kept = [x[:quota].clone() for x, _ in held.values()]
        means = [F.normalize(_features(learner, x).mean(0), dim=0) for x in kept]
        numbers = [number for _, number in held.values()]
        return replace(state, classes=list(held), exemplars=kept, task=numbers, means_CH=torch.stack(means))

    def predict(self, state: ICaRLState, learner: LearnerView, x: Tensor, task: int) -> Tensor:
        logits_BC = super().predict(state, learner, x, task)
        asked = learner.objective.classes.get(task, ()) if learner.objective.scenario == "task" else state.classes
        if not set(asked) & set(state.classes):
            return logits_BC
        scores_BC = torch.full_like(logits_BC, float("-inf"), dtype=torch.float32)
        scores_BC[:, state.classes] = -torch.cdist(_features(learner, x), state.means_CH).square()
        return scores_BC

    def _check_room(self, classes: int) -> None:
        require(
            self.capacity >= classes,
            f"icarl.capacity must hold one of each of {classes} classes, got {self.capacity}; raise it to {classes}",
        )


@torch.no_grad()
def _features(learner: LearnerView, x: Tensor) -> Tensor:
    """φ(x) (N, H) with norm 1, in evaluation mode."""
    model = learner.model
    assert isinstance(model, Network)
    with evaluating(model), learner.autocast():
        return torch.cat([F.normalize(model.backbone(piece).float().flatten(1), dim=1) for piece in x.split(2048)])
