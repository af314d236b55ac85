"""Gradient projection memory: no layer changes its answer to the inputs that mattered."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor, nn

from lifelong.errors import require
from lifelong.methods.base import Claim, LearnerView, Method, Phase, Step, StreamSize
from lifelong.methods.inference import number_of, subset
from lifelong.methods.layers import check_statistics, layer_inputs, weight_layers
from lifelong.methods.per_sample import way_of
from lifelong.methods.subspace import NOISE, adaptive, extended, outside, principal
from lifelong.models import Head, Network, headed, selecting
from lifelong.models.per_task import PerTask, TaskNorm, norms_per_task
from lifelong.types import Data, Space, Tree

__all__ = ["GPM", "GPMState"]


@dataclass
class GPMState:
    """Per layer the orthonormal directions (K, D) of the inputs that mattered; θ at the start of the task; the tasks
    learned; and whether a row of the head is one that past tasks answer with (C,).
    """

    start_P: Tensor
    bases: dict[str, Tensor] = field(default_factory=dict)
    tasks: list[int] = field(default_factory=list)
    held: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.bool))


@dataclass(frozen=True)
class GPM(Method[GPMState]):
    """Step in each layer's weights only orthogonally to the inputs that the layer had in past tasks.

    Chinese: 每一层的权重只沿与以往任务中该层输入正交的方向更新。

    Formula: ∇_W ← ∇_W − ∇_W M Mᵀ, where the columns of M are an orthonormal basis of the layer's important inputs.
    After each task, from inputs R of the layer and R̂ = R − M Mᵀ R = U Σ Vᵀ, M gains the first k columns of U, k the
    least with ‖M Mᵀ R‖² + ‖R̂_k‖² ≥ ε ‖R‖².

    Arguments:
        threshold: ε in 0 … 1, the part of the inputs' energy that is to be kept in every layer; 0 is fine-tuning, bit
            for bit; with 1 what past inputs span does not change at all.
        samples: random examples of a task that are sent through the network for R.

    Stores: one vector for each direction of each layer, at most 4 · (P + Σ D²) bytes for P float32 parameters and
    layers of D inputs; in a convolution D is channels · height · width of the kernel; a bias is one more input.

    Reference: Saha, Garg & Roy 2021, Gradient Projection Memory for Continual Learning, equations 6-9, algorithm 1.

    Deviations: biases are learned and protected, as the weights of one more input that is always 1 (the paper has
    none). ε is the same for all layers and tasks (the paper may raise it with each task), and energy below 1e-8 of the
    whole is taken for rounding. The way walked since the start of the task is projected, after every step, so that it
    is orthogonal with any optimiser. For gradient descent, with momentum and weight decay too, which is linear in ∇,
    that is the formula; a clipped norm is that of the whole ∇. With Adam ∇ is projected as well. In the scenario
    `task`, rows of the head that no past task answers with are free, as the paper's separate heads are, and
    normalisation layers are each task's own: statistics, scale and shift. In other scenarios they must be frozen.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import GPM
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", GPM(threshold=0.9), digits.space, epochs=5, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.6
        True
    """

    threshold: float = 0.98
    samples: int = 300

    name = "gpm"
    family = "gradient"
    reference = "Saha et al. 2021"
    state_class = GPMState
    one_kind = True
    needs = ("task boundaries",)
    claims = Claim.RELIES_ON_WEIGHTS
    phase = Phase.PROJECT
    disabled_settings = MappingProxyType({"threshold": 0.0})

    def validate(self) -> None:
        require(0 <= self.threshold <= 1, f"gpm.threshold must be in 0 … 1, got {self.threshold}")
        require(self.samples >= 1, f"gpm.samples must be 1 or more, got {self.samples}")

    def adapt(self, model: nn.Module, space: Space, seed: int) -> nn.Module:
        if (network := headed(model)) is not None and space.scenario == "task":
            model = Network(norms_per_task(network.backbone), network.head)
        if self.threshold > 0:
            check_statistics(self.name, model)
        for name, layer in weight_layers(model):
            plain = not isinstance(layer, nn.Conv2d) or (
                layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
            )
            require(
                plain,
                f"gpm: layer {name} must be a convolution with groups=1 and a number of zeros as its padding, "
                f"got {layer}; change it, or use ogd",
            )
        for name, part in model.named_modules():
            require(
                isinstance(part, TaskNorm) or not isinstance(part, PerTask) or all(False for _ in part.parameters()),
                f"gpm: {name} is a {type(part).__name__}, which has weights of its own for each task, and gpm is about "
                "those that tasks share; use one of the two methods alone",
            )
        return model

    def declared_bytes(self, size: StreamSize) -> int:
        # a layer keeps no more directions than it has inputs; in a convolution one example may give them all
        return 4 * (size.parameters + sum(width**2 for width in size.widths)) + 8 * size.tasks + size.outputs

    def init(self, learner: LearnerView) -> GPMState:
        return GPMState(torch.zeros_like(learner.flat.theta_P.detach()))

    def check_data(self, state: GPMState, learner: LearnerView, task: Data) -> None:
        if self.threshold == 0:
            return
        model, one = learner.model, task.at(slice(0, 1))
        called = layer_inputs(learner, one)
        missing = [name for name, _ in weight_layers(model) if name not in called]
        require(
            not missing and way_of(learner, task).complete,
            f"gpm must see all that {', '.join(missing) or 'a layer'} is given, and the network uses weights without "
            "calling their layer: call it, or use ogd",
        )

    def begin_task(self, state: GPMState, learner: LearnerView, task: Data) -> GPMState:
        state.start_P.copy_(learner.flat.theta_P.detach())
        rows = sum(layer.classes for layer in learner.model.modules() if isinstance(layer, Head))
        apart = learner.objective.scenario == "task"
        state.held = torch.full((rows,), not apart, device=state.start_P.device)
        for past in state.tasks if apart else ():
            state.held[list(learner.objective.classes[past])] = True
        return state

    def gradient(self, state: GPMState, step: Step, grad_P: Tensor) -> Tensor:
        if state.bases and adaptive(step):
            _take_inside(state, step.learner, grad_P, grad_P)
        return grad_P

    def correct(self, state: GPMState, step: Step) -> None:
        if state.bases:
            _take_inside(state, step.learner, step.theta_P, step.theta_P - state.start_P)

    def forward(self, state: GPMState, learner: LearnerView, x: Tree, task: int | Tensor) -> Tensor:
        with selecting(learner.model, task):
            answer: Tensor = learner.model(x)
            return answer

    def end_task(self, state: GPMState, learner: LearnerView, task: Data) -> GPMState:
        inputs = layer_inputs(learner, subset(learner, task, self.samples)) if self.threshold > 0 else {}
        for name, rows_ND in inputs.items():
            known_KD = state.bases.get(name, rows_ND.new_zeros(0, rows_ND.shape[1]))
            exact_ND = rows_ND.double()
            rest_ND = outside(exact_ND, known_KD.double())
            squares_K, new_KD = principal(rest_ND)
            left_K = rest_ND.square().sum() - squares_K.cumsum(0) + squares_K  # before each direction is taken
            lacking_K = left_K > max(1 - self.threshold, NOISE**2) * exact_ND.square().sum()
            state.bases[name] = extended(known_KD, new_KD[lacking_K].to(known_KD))
        state.tasks = sorted({*state.tasks, number_of(task)})
        return state


def _take_inside(state: GPMState, learner: LearnerView, vector_P: Tensor, way_P: Tensor) -> None:
    """Take from `vector_P`, in place, what `way_P` has inside the bases of its layers."""
    walked, now = learner.flat.named(way_P), learner.flat.named(vector_P)
    for name, basis_KD in state.bases.items():
        weight, bias = (f"{name}.{part}" if name else part for part in ("weight", "bias"))
        way_HD, rows_HD = walked[weight].flatten(1), now[weight].flatten(1)
        inputs_KD = basis_KD[:, : way_HD.shape[1]]
        inside_HK = way_HD @ inputs_KD.T
        if bias in walked:
            inside_HK.addr_(walked[bias], basis_KD[:, -1])
        if isinstance(learner.model.get_submodule(name), Head):
            inside_HK *= state.held[:, None]
        rows_HD.addmm_(inside_HK, inputs_KD, alpha=-1)
        if bias in walked:
            now[bias].addmv_(inside_HK, basis_KD[:, -1], alpha=-1)
