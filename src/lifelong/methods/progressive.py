"""Progressive networks: a new column of layers for every task, which reads the columns before it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from lifelong.errors import require
from lifelong.methods.base import LearnerView
from lifelong.methods.isolation import Frozen, Isolation, IsolationState, network_of, rows_of
from lifelong.models import Network
from lifelong.models.columns import Columns
from lifelong.types import Data, Space

__all__ = ["Progressive"]


@dataclass(frozen=True)
class Progressive(Isolation[IsolationState]):
    """Add a column of layers for each task, with lateral connections from the frozen columns of the tasks before.

    Chinese: 每个任务增加一列网络层，并从以往冻结的各列引入横向连接。

    Formula: h_i^k = relu(W_i^k h_{i−1}^k + Σ_{j<k} U_i^{k:j} h_{i−1}^j) for task k; W, U and the head's rows of past
    tasks are frozen.

    Stores: a mark and a value per weight that is trained, 8 · P bytes. The network itself grows: with T tasks and
    hidden layers of H units about T · H² weights per layer and T² / 2 · H² laterals; `learner.parameters` counts them.
    Capacity is never used up, so `capacity_used` is 0.

    Reference: Rusu et al. 2016, Progressive Neural Networks, equation 1.

    Deviations: laterals are linear, as in equation 1; the adapters of section 2 (a scale and a hidden layer between)
    are left out. The laterals to the output layer pass through the head: logits = V (h_L^k + Σ_j U^j h_L^j). Laterals
    start uniform in ±1/√fan-in. The first column takes the weights of the network given, later ones start at random.
    A task is learned once: a second time under the same number is refused.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import Progressive
        >>> digits = stream("split-digits", scenario="task", tasks=2)
        >>> learner = Learner("mlp:32", Progressive(), digits.space, epochs=3, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.9
        True
    """

    name = "progressive"
    reference = "Rusu et al. 2016"
    state_class = IsolationState

    def adapt(self, model: nn.Module, space: Space, seed: int) -> nn.Module:
        network = network_of(model, self.name)
        layers = list(network.backbone) if isinstance(network.backbone, nn.Sequential) else [network.backbone]
        order = [layer for layer in layers if not isinstance(layer, (nn.Flatten, nn.Identity))]
        linear = [layer for layer in order[::2] if type(layer) is nn.Linear and layer.bias is not None]
        kinds = ", ".join(type(layer).__name__ for layer in layers)
        require(
            len(linear) > 0 and [type(layer) for layer in order] == [nn.Linear, nn.ReLU] * len(linear),
            f"progressive makes columns of Linear layers, each followed by ReLU, got {kinds}; use mlp:400,400",
        )
        return Network(Columns(linear, seed), network.head)

    def init(self, learner: LearnerView) -> IsolationState:
        return IsolationState([], Frozen.empty(learner.flat.theta_P.detach()), 0)

    def _first(self, learner: LearnerView) -> int:
        return learner.flat.slices["head.weight"].start  # past columns are no part of θ

    def end_task(self, state: IsolationState, learner: LearnerView, task: Data) -> IsolationState:
        state = super().end_task(state, learner, task)
        state.frozen.freeze(rows_of(learner, state.tasks[-1]), learner.flat.theta_P.detach())
        return state
