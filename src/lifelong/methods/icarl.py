"""iCaRL: exemplars of every class, distillation of the old ones, answers by the nearest class mean."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong.data import concat
from lifelong.errors import require
from lifelong.memory import Rows, herd
from lifelong.methods.base import Claim, Inner, LearnerView, Method, Step, StreamSize
from lifelong.methods.inference import Snapshot, answers, classes_of, evaluating, labels_of, snapshot
from lifelong.models import headed
from lifelong.types import Data, Examples, Space, Tree, leaves, tree_cat, tree_map

__all__ = ["ICaRL", "ICaRLState"]

CHUNK = 2048


@dataclass
class ICaRLState:
    """Per class: label, exemplars as herded, task, mean feature; the previous network, the classes asked of it; the
    classes of all tasks so far, which the loss is over."""

    classes: list[int] = field(default_factory=list)
    exemplars: list[Rows] = field(default_factory=list)
    task: list[int] = field(default_factory=list)
    means_CH: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    teacher: Snapshot | None = None
    old: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    seen: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))


@dataclass(frozen=True)
class ICaRL(Method[ICaRLState]):
    """Learn features with exemplars and distillation; answer with the class whose mean feature is nearest.

    Chinese: 用代表样本和蒸馏学习特征；回答特征均值最近的类别。

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
    objectives = ("classes",)
    family = "replay"
    reference = "Rebuffi et al. 2017"
    state_class = ICaRLState
    one_kind = True
    needs = ("task boundaries", "labels", "memory")
    claims = Claim.REPLACES_LOSS | Claim.RELIES_ON_WEIGHTS
    scenarios = ("task", "class")

    def validate(self) -> None:
        require(self.capacity >= 1, f"icarl.capacity must be 1 or more, got {self.capacity}")

    def check(self, size: StreamSize) -> None:
        self._check_room(size.outputs)

    def adapt(self, model: nn.Module, space: Space, seed: int) -> nn.Module:
        require(
            headed(model) is not None,
            f"icarl needs the features before the output layer, which a {type(model).__name__} does not show; name a "
            "network, as mlp:400,400, or make yours with lifelong.models.with_head(backbone, features, space)",
        )
        return model

    def declared_bytes(self, size: StreamSize) -> int:
        return self.capacity * size.input_bytes + 8 * size.parameters + 16 * size.outputs

    def begin_task(self, state: ICaRLState, learner: LearnerView, task: Data) -> ICaRLState:
        new, device = labels_of(learner, task).unique().tolist(), learner.flat.theta_P.device
        self._check_room(len({*state.classes, *new}))
        seen = torch.tensor(classes_of(learner.objective, learner.objective.classes), device=device)
        if not state.classes:
            return replace(state, seen=seen)
        past = torch.tensor([label for label in state.classes if label not in new], dtype=torch.int64, device=device)
        return replace(state, teacher=snapshot(learner), old=past, seen=seen)

    def examples(self, state: ICaRLState, task: Data) -> Data:
        device = task.device if isinstance(task, Examples) else torch.device("cpu")  # where data on disk is read to
        exemplars = [
            Examples(x := rows.tree("x"), torch.full((len(rows),), label, device=leaves(x)[0].device), number)
            for rows, label, number in zip(state.exemplars, state.classes, state.task, strict=True)
        ]
        return concat([task, *(each.to(device) for each in exemplars)])

    def loss(self, state: ICaRLState, step: Step, inner: Inner) -> Tensor:
        logits_BC = step.answer.float()
        target_BC = torch.zeros_like(logits_BC).scatter_(1, step.batch.y[:, None], 1.0)
        if state.teacher is not None:
            then_BC = answers(step, state.teacher, step.x, step.batch.task)
            target_BC.index_copy_(1, state.old, then_BC.index_select(1, state.old).sigmoid())
        logits_BS, target_BS = (values_BC.index_select(1, state.seen) for values_BC in (logits_BC, target_BC))
        return F.binary_cross_entropy_with_logits(logits_BS, target_BS, reduction="sum") / len(target_BS)

    def end_task(self, state: ICaRLState, learner: LearnerView, task: Data) -> ICaRLState:
        trees = [rows.tree("x") for rows in state.exemplars]
        stored = dict(zip(state.classes, zip(trees, state.task, strict=True), strict=True))
        y_N, device = labels_of(learner, task), learner.flat.theta_P.device
        new = y_N.unique().tolist()
        quota = self.capacity // len({*stored, *new})
        for label in new:  # a class of the task is in memory at a time
            of_class = task.at((y_N == label).nonzero()[:, 0].to(y_N.device)).to(device)
            x = tree_cat([stored[label][0], of_class.x]) if label in stored else of_class.x
            chosen = herd(_features(learner, x), quota)
            stored[label] = tree_map(lambda leaf, rows=chosen: leaf[rows], x), int(of_class.task_numbers()[0])
        exemplars = [tree_map(lambda leaf: leaf[:quota].clone(), x) for x, _ in stored.values()]
        means = [F.normalize(_features(learner, x).mean(0), dim=0) for x in exemplars]
        numbers = [number for _, number in stored.values()]
        rows = [Rows.of_inputs(x) for x in exemplars]
        return replace(state, classes=list(stored), exemplars=rows, task=numbers, means_CH=torch.stack(means))

    def predict(self, state: ICaRLState, learner: LearnerView, x: Tree, task: int) -> Tensor:
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
def _features(learner: LearnerView, x: Tree) -> Tensor:
    """φ(x) (N, H) with norm 1, in evaluation mode."""
    network = headed(learner.model)
    assert network is not None
    with evaluating(learner.model), learner.autocast():
        count = len(leaves(x)[0])
        pieces = [
            tree_map(lambda leaf, start=start: leaf[start : start + CHUNK], x) for start in range(0, count, CHUNK)
        ]
        return torch.cat([F.normalize(network.backbone(piece).float().flatten(1), dim=1) for piece in pieces])
