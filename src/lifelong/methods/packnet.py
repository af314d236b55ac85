"""PackNet: prune after learning, freeze what is kept, and give what was pruned to the next task."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lifelong.errors import require
from lifelong.methods.base import LearnerView, Step, StreamSize
from lifelong.methods.isolation import (
    Frozen,
    Isolation,
    IsolationState,
    features_with,
    network_of,
    rows_of,
    shared,
    task_logits,
)
from lifelong.methods.layers import weight_layers
from lifelong.models import Network
from lifelong.models.per_task import TaskNorm, norms_per_task
from lifelong.types import Data, Space, Tree

__all__ = ["PackNet", "PackNetState"]

FREE, RELEASED = 0, 255


@dataclass
class PackNetState(IsolationState):
    """Beside what is frozen: the task that owns a weight (1: the first that was learned; 0: none; 255: pruned, and held
    at zero until the end of the task), and whether this task has been pruned."""

    owner_P: Tensor
    pruned: bool


@dataclass(frozen=True)
class PackNet(Isolation[PackNetState]):
    """Learn with the free weights, keep the largest of them for the task, and free the rest for the next one.

    Chinese: 用空闲的权重学习，为该任务保留其中最大的，其余留给下一个任务。

    Formula: after `train_fraction` of the steps, in each layer the `keep` · n largest |w| of its n free weights become
    the task's own; the other free ones are set to 0, and the own ones are trained on. Task t is answered with the
    weights of the tasks 1 … t alone.

    Arguments:
        keep: the fraction of the free weights of each layer that a task keeps; at least one where there is one.
        train_fraction: the fraction of a task's steps before the pruning; the others train what was kept.

    Stores: the owner, a mark and a value per weight, 9 · P bytes for P float32 parameters. Capacity:
    `method.capacity_used(state)` is the fraction of the backbone that tasks own, 1 − (1 − keep)^T after T tasks.

    Reference: Mallya & Lazebnik 2018, PackNet: Adding Multiple Tasks to a Single Network by Iterative Pruning.

    Deviations: the paper begins with a network trained on ImageNet; here the first task begins with the weights given.
    The steps after the pruning are part of the task's budget. Normalisation layers, which the paper freezes, are each
    task's own: statistics, scale and shift. A task learned twice is refused. Biases are the first task's, as in the
    paper. The rows of the head are not pruned; they are frozen with their task.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import PackNet
        >>> digits = stream("split-digits", scenario="task", tasks=2)
        >>> learner = Learner("mlp:32", PackNet(keep=0.5), digits.space, epochs=3, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.9
        True
        >>> round(learner.method.capacity_used(learner.state), 2)
        0.75
    """

    keep: float = 0.2
    train_fraction: float = 0.3

    name = "packnet"
    reference = "Mallya & Lazebnik 2018"
    state_class = PackNetState

    def validate(self) -> None:
        require(0 < self.keep <= 1, f"packnet.keep must be in 0 … 1 (0 excluded), got {self.keep}")
        require(0 < self.train_fraction <= 1, f"packnet.train_fraction must be in 0 … 1, got {self.train_fraction}")

    def declared_bytes(self, size: StreamSize) -> int:
        return 9 * size.parameters

    def check(self, size: StreamSize) -> None:
        require(size.tasks < RELEASED, f"packnet tells at most {RELEASED - 1} tasks apart, got {size.tasks}")
        weights = size.parameters if size.smallest is None else size.smallest
        free = weights
        for _ in range(size.tasks - 1):
            free -= self._kept(free)
        require(
            free > 0,
            f"packnet.keep = {self.keep} leaves no weight for task {size.tasks} in the smallest layer, which has "
            f"{weights}; use keep={1 / size.tasks:.2g} or wider layers",
        )

    def adapt(self, model: nn.Module, space: Space, seed: int) -> nn.Module:
        network = network_of(model, self.name)
        backbone = norms_per_task(network.backbone)
        require(len(weight_layers(backbone)) > 0, "packnet needs layers to share, got none; use mlp:400,400 or cnn")
        fixed = [part for part in backbone.modules() if isinstance(part, TaskNorm) or not part.training]
        owned = {id(buffer) for part in fixed for buffer in part.buffers()}
        buffers = ", ".join(name for name, buffer in backbone.named_buffers() if id(buffer) not in owned)
        require(not buffers, f"packnet cannot keep {buffers} as they were for each task; use layers without buffers")
        return Network(backbone, network.head)

    def init(self, learner: LearnerView) -> PackNetState:
        theta_P = learner.flat.theta_P.detach()
        return PackNetState(
            [], Frozen.empty(theta_P), shared(learner), torch.zeros_like(theta_P, dtype=torch.uint8), False
        )

    def begin_task(self, state: PackNetState, learner: LearnerView, task: Data) -> PackNetState:
        done = len(state.tasks)
        layers = _weights(learner).items()
        full = [name for name, place in layers if not bool((state.owner_P[place] == FREE).any())]
        require(
            not full,
            f"packnet has no free weight left after {done} tasks in {', '.join(full)}; "
            "use a smaller keep or wider layers",
        )
        require(done < RELEASED - 1, f"packnet tells at most {RELEASED - 1} tasks apart, and {done} are learned")
        state.pruned = False
        return super().begin_task(state, learner, task)

    def correct(self, state: PackNetState, step: Step) -> None:
        super().correct(state, step)
        if step.number == max(1, round(self.train_fraction * step.steps)):
            self._prune(state, step.learner)

    def end_task(self, state: PackNetState, learner: LearnerView, task: Data) -> PackNetState:
        state = super().end_task(state, learner, task)
        if not state.pruned:  # no step was taken
            self._prune(state, learner)
        theta_P, owner_P, place = learner.flat.theta_P.detach(), state.owner_P, len(state.tasks)
        own_P = rows_of(learner, state.tasks[-1])
        own_P[: state.shared] = True  # biases; of the weights none is left without an owner
        owner_P[own_P & (owner_P == FREE)] = place
        owner_P[owner_P == RELEASED] = FREE
        state.frozen = Frozen.empty(theta_P)
        state.frozen.freeze(owner_P != FREE, theta_P)
        return state

    def predict(self, state: PackNetState, learner: LearnerView, x: Tree, task: int) -> Tensor:
        if task not in state.tasks[:-1]:  # the newest has all weights, and those that are free are zero at its end
            return super().predict(state, learner, x, task)
        place = state.tasks.index(task) + 1
        active_P = (state.owner_P != FREE) & (state.owner_P <= place)
        weights_P = torch.where(active_P, learner.flat.theta_P.detach(), 0.0)
        return task_logits(learner, features_with(learner, weights_P, x), task)

    def _kept(self, free: int) -> int:
        """How many of so many free weights of a layer a task keeps."""
        return min(free, max(1, round(self.keep * free)))

    def _prune(self, state: PackNetState, learner: LearnerView) -> None:
        """Give the task the largest of the free weights of each layer, and set the others to zero."""
        theta_P = learner.flat.theta_P.detach()
        for place in _weights(learner).values():
            owner_P, free_P = state.owner_P[place], state.owner_P[place] == FREE
            free = int(free_P.sum())
            size_P = theta_P[place].abs().masked_fill_(~free_P, -1.0)
            owner_P[free_P] = RELEASED
            owner_P[size_P.topk(self._kept(free)).indices] = len(state.tasks)
        released_P = state.owner_P == RELEASED
        theta_P[released_P] = 0.0
        state.frozen.freeze(released_P, theta_P)
        state.pruned = True


def _weights(learner: LearnerView) -> dict[str, slice]:
    """Where in θ the weights of each layer of the backbone are, by its name; not the biases."""
    backbone, slices = learner.model.get_submodule("backbone"), learner.flat.slices
    names = (f"backbone.{name}" if name else "backbone" for name, _ in weight_layers(backbone))
    return {name: slices[f"{name}.weight"] for name in names}
