"""Hard attention to the task: which units a task uses is learned with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lifelong.errors import require
from lifelong.methods.base import Inner, LearnerView, Step, StreamSize
from lifelong.methods.isolation import Frozen, Isolation, IsolationState, mask_of, network_of, rows_of, shared
from lifelong.models.gated import Gated, GatedLayers, gated
from lifelong.models.gates import AttentionGate
from lifelong.types import Data, Space, Tree

__all__ = ["HAT", "HATState", "compensation", "hat_schedule"]

WIDEST = 6.0  # |e| is kept below, so that no gate is closed for ever
STEEPEST = 50.0  # |s·e| is cut there before cosh, which would overflow


def hat_schedule(number: int, steps: int, per_epoch: int, s_max: float) -> float:
    """s of step `number` of `steps`: evenly from 1 / s_max to s_max within each pass of `per_epoch` steps.

    In passes of one step, within all steps.

    >>> [round(hat_schedule(number, 6, 3, 100.0), 3) for number in (1, 2, 3, 4)]
    [0.01, 50.005, 100.0, 0.01]
    """
    batches = min(per_epoch, steps) if per_epoch > 1 else steps
    done = (number - 1) % batches / max(1, batches - 1)
    return 1 / s_max + (s_max - 1 / s_max) * done


def compensation(e: Tensor, s: float, s_max: float) -> Tensor:
    """The factor s_max (cosh(s e) + 1) / (s (cosh(e) + 1)) of the gradient with respect to e.

    As σ'(z) = 1 / (2 (cosh z + 1)), it makes s σ'(s e), the slope of the gate, s_max σ'(e).
    """
    steep = torch.cosh((s * e).clamp(-STEEPEST, STEEPEST)) + 1
    return s_max / s * steep / (torch.cosh(e) + 1)


@dataclass
class HATState(IsolationState):
    """Beside what is frozen: the s of this step, and what an open gate costs, c / Σ (1 − a^{<t}) or 0."""

    scale: float
    share_H: Tensor


@dataclass(frozen=True)
class HAT(Isolation[HATState]):
    """Learn for each task a nearly binary gate on every hidden unit, and freeze what lies between units in use.

    Chinese: 为每个任务在每个隐藏单元上学一个近乎二值的门，并冻结正在使用的单元之间的权重。

    Formula: h_l ← h_l ⊙ a_l^t, a_l^t = σ(s e_l^t). Loss: L + c Σ_{l,i} a_{l,i}^t (1 − a_{l,i}^{<t}) / Σ_{l,i} (1 −
    a_{l,i}^{<t}), with a^{<t} the largest gate of the tasks before. Within a pass of B batches s = 1/s_max + (s_max −
    1/s_max) (b − 1) / (B − 1). The gradient of w_{l,ij} is multiplied by 1 − min(a_{l,i}^{<t}, a_{l−1,j}^{<t}), that
    of e by s_max (cosh(s e) + 1) / (s (cosh(e) + 1)).

    Arguments:
        s_max: the steepest gate, s in the last batch of a pass.
        sparsity: c ≥ 0, the price of a unit that no task used before.
        threshold: a gate counts as open where σ(s_max e) is above it.

    Stores: a mark and a value per weight and a price per unit, less than 9 · P bytes for P float32 parameters; the
    embeddings e, one number per unit and task, are parameters of the network. Capacity:
    `method.capacity_used(state)` is the fraction of the layers that is frozen; near 1, a new task can only choose among
    the units of others.

    Reference: Serrà et al. 2018, Overcoming catastrophic forgetting with hard attention to the task.

    Deviations: answers are given with gates that are exactly 0 or 1 (`threshold`), where the paper uses σ(s_max e);
    so what is frozen is frozen exactly and past answers last bit for bit. Frozen weights are put back after each step,
    for momentum and weight decay move them. In a pass of one batch s rises over the passes of the task instead. The
    rows of the head are frozen with their task. A task is learned once: a second time is refused. In networks that are
    no stack of layers with ReLU between (with skip connections or normalisation) a gate is behind each layer, or behind
    its normalisation, which is each task's own; there a whole row is frozen with its unit, so that fewer tasks fit.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import HAT
        >>> digits = stream("split-digits", scenario="task", tasks=2)
        >>> learner = Learner("mlp:100", HAT(), digits.space, epochs=10, lr=0.05)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.8
        True
        >>> 0 < learner.method.capacity_used(learner.state) < 1
        True
    """

    s_max: float = 100.0
    sparsity: float = 0.2
    threshold: float = 0.5

    name = "hat"
    reference = "Serrà et al. 2018"
    state_class = HATState

    def validate(self) -> None:
        require(self.s_max > 1, f"hat.s_max must be above 1, got {self.s_max}")
        require(self.sparsity >= 0, f"hat.sparsity must be 0 or more, got {self.sparsity}")
        require(0 < self.threshold < 1, f"hat.threshold must be between 0 and 1, got {self.threshold}")

    def declared_bytes(self, size: StreamSize) -> int:
        return 9 * size.parameters

    def adapt(self, model: nn.Module, space: Space, seed: int) -> nn.Module:
        def make(place: int, units: int) -> AttentionGate:
            return AttentionGate(units, self.s_max, self.threshold, seed, place)

        return gated(model, self.name, make, space)

    def init(self, learner: LearnerView) -> HATState:
        layers = shared(learner, "backbone.layers.")
        return HATState([], Frozen.empty(learner.flat.theta_P.detach()), layers, self.s_max, torch.empty(0))

    def begin_task(self, state: HATState, learner: LearnerView, task: Data) -> HATState:
        state = super().begin_task(state, learner, task)
        state.scale = 1 / self.s_max
        new_H = torch.cat([~gate.hard(state.tasks[:-1]).any(0) for gate in _gates(learner)]).float()
        state.share_H = self.sparsity * new_H / new_H.sum().clamp_min(1)
        return state

    def loss(self, state: HATState, step: Step, inner: Inner) -> Tensor:
        state.scale = hat_schedule(step.number, step.steps, step.per_epoch, self.s_max)
        loss = inner(step)
        open_H = torch.cat([gate.soft(step.task, state.scale) for gate in _gates(step.learner)])
        return loss + open_H @ state.share_H

    def forward(self, state: HATState, learner: LearnerView, x: Tree, task: int | Tensor) -> Tensor:
        for gate in _gates(learner):
            gate.annealed = (state.tasks[-1], state.scale)
        try:
            return super().forward(state, learner, x, task)
        finally:
            for gate in _gates(learner):
                gate.annealed = None

    def gradient(self, state: HATState, step: Step, grad_P: Tensor) -> Tensor:
        grad_P = super().gradient(state, step, grad_P)
        place = _embeddings(step.learner)
        grad_P[place].mul_(compensation(step.theta_P[place], state.scale, self.s_max))
        return grad_P

    def correct(self, state: HATState, step: Step) -> None:
        step.theta_P[_embeddings(step.learner)].clamp_(-WIDEST, WIDEST)
        super().correct(state, step)

    def end_task(self, state: HATState, learner: LearnerView, task: Data) -> HATState:
        state = super().end_task(state, learner, task)
        backbone = network_of(learner.model, self.name).backbone
        assert isinstance(backbone, (Gated, GatedLayers))
        masks = backbone.between([gate.hard(state.tasks).any(0) for gate in _gates(learner)])
        used_P = mask_of(learner, {f"backbone.{name}": mask for name, mask in masks.items()})
        used_P |= rows_of(learner, state.tasks[-1])
        used_P[_embeddings(learner)] = True
        state.frozen.freeze(used_P, learner.flat.theta_P.detach())
        return state


def _gates(learner: LearnerView) -> list[AttentionGate]:
    backbone = learner.model.get_submodule("backbone")
    assert isinstance(backbone, (Gated, GatedLayers))
    return [gate for gate in backbone.gates if isinstance(gate, AttentionGate)]


def _embeddings(learner: LearnerView) -> slice:
    """Where in θ the embeddings are: next to each other, after the layers of the backbone."""
    places = [place for name, place in learner.flat.slices.items() if name.endswith(".embedding")]
    return slice(places[0].start, places[-1].stop)
