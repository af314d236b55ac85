"""Context-dependent gating: for every task a random few of the hidden units are awake."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor, nn

from lifelong.errors import require
from lifelong.methods.base import LearnerView
from lifelong.methods.isolation import Frozen, Isolation, IsolationState, mask_of, network_of, rows_of, shared
from lifelong.models.gated import Gated, GatedLayers, gated
from lifelong.models.gates import RandomGate
from lifelong.types import Data, Space

__all__ = ["XdG"]


@dataclass(frozen=True)
class XdG(Isolation[IsolationState]):
    """Let a random subset of the hidden units work for each task, so that tasks share few weights.

    Chinese: 每个任务只让随机的一部分隐藏单元工作，使任务之间很少共用权重。

    Formula: h_l ← h_l ⊙ m_l^t, with m_l^t in {0, 1} drawn at random for task t, a fraction 1 − `gate` of it ones.
    With `freeze`, w_ij does not move after a task k with m_i^k m_j^k = 1.

    Arguments:
        gate: the fraction of the units of each hidden layer, or of the channels of a convolution, that is switched
            off; at least one stays on.
        freeze: hold the weights between units that a past task used, which makes its answers last bit for bit. False
            is the paper's gating, which only lessens interference; use it together with springs, as in `xdg+ewc`.

    Stores: a mark and a value per weight, 8 · P bytes for P float32 parameters. The gates are a function of the seed
    of the learner and the task number, and are stored nowhere. Capacity: `method.capacity_used(state)` is the fraction
    of the backbone that is frozen; near 1, a new task can learn its head only.

    Reference: Masse et al. 2018, Alleviating catastrophic forgetting using context-dependent gating and synaptic
    stabilization.

    Deviations: `freeze`, which is not in the paper; False switches it off. The rows of the head are frozen with
    their task as well. In networks that are no stack of layers with ReLU between (with skip connections or
    normalisation) a gate is behind each layer, or behind its normalisation, which is each task's own; there a whole row
    is frozen with its unit, so that fewer tasks fit. The paper gates exactly 80 % of the units; here it is rounded to
    whole units. A task is learned once: a second time under the same number is refused.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import XdG
        >>> digits = stream("split-digits", scenario="task", tasks=2)
        >>> learner = Learner("mlp:100", XdG(gate=0.8), digits.space, epochs=10, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.8
        True
        >>> 0.3 < learner.method.capacity_used(learner.state) < 0.4
        True
    """

    gate: float = 0.5
    freeze: bool = True

    name = "xdg"
    reference = "Masse et al. 2018"
    state_class = IsolationState
    disabled_settings = MappingProxyType({"gate": 0.0, "freeze": False})

    def validate(self) -> None:
        require(0 <= self.gate < 1, f"xdg.gate must be in 0 … 1 (1 excluded), got {self.gate}")

    def adapt(self, model: nn.Module, space: Space, seed: int) -> nn.Module:
        def make(place: int, units: int) -> RandomGate:
            return RandomGate(units, self.gate, seed, place)

        return gated(model, self.name, make, space)

    def init(self, learner: LearnerView) -> IsolationState:
        return IsolationState([], Frozen.empty(learner.flat.theta_P.detach()), shared(learner))

    def end_task(self, state: IsolationState, learner: LearnerView, task: Data) -> IsolationState:
        state = super().end_task(state, learner, task)
        if self.freeze:
            used_P = self._between(learner, state.tasks[-1]) | rows_of(learner, state.tasks[-1])
            state.frozen.freeze(used_P, learner.flat.theta_P.detach())
        return state

    def _between(self, learner: LearnerView, task: int) -> Tensor:
        """True (P,) for the weights and biases between units that are awake in `task`."""
        backbone = network_of(learner.model, self.name).backbone
        assert isinstance(backbone, (Gated, GatedLayers))
        masks = backbone.between([gate.of(task) > 0 for gate in backbone.gates if isinstance(gate, RandomGate)])
        return mask_of(learner, {f"backbone.{name}": mask for name, mask in masks.items()})
