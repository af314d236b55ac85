"""Experience replay: every batch is learned together with a few stored examples."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from lifelong.errors import require
from lifelong.memory import Reservoir
from lifelong.methods.base import Claim, Inner, LearnerView, Method, Step, StreamSize
from lifelong.types import Examples

__all__ = ["ER"]


@dataclass(frozen=True)
class ER(Method[Reservoir]):
    """Replay examples from a reservoir beside each batch, with one gradient for both.

    Formula: g = ∇ 1/(|B| + |M_B|) Σ_{(x, y) in B ∪ M_B} −log p(y | x, θ), with M_B drawn from the reservoir.

    Arguments:
        capacity: examples stored, a uniform sample of all that were ever seen.
        replay_batch: |M_B|, stored examples drawn for each step (all of them where fewer are stored).

    Stores: capacity · (4 · D + 16) bytes for inputs of D float32 numbers.

    Reference: Chaudhry et al. 2019, On Tiny Episodic Memories in Continual Learning, algorithms 1 and 2 (reservoir).

    Deviations: the reservoir is filled in the first pass over a task only, so that in several epochs it still holds
    every example with the same probability.

    Example:
        >>> from lifelong import ER, Learner, stream
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", ER(capacity=200), digits.space, epochs=3, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.4
        True
    """

    capacity: int = 500
    replay_batch: int = 32

    name = "er"
    family = "replay"
    reference = "Chaudhry et al. 2019"
    needs = ("labels", "memory")
    claims = Claim.STORES_BATCHES
    disabled_settings = MappingProxyType({"capacity": 0})

    def validate(self) -> None:
        require(self.capacity >= 0, f"er.capacity must be 0 or more, got {self.capacity}")
        require(self.replay_batch >= 1, f"er.replay_batch must be 1 or more, got {self.replay_batch}")

    @property
    def state_type(self) -> type[Reservoir]:
        return Reservoir

    def declared_bytes(self, size: StreamSize) -> int:
        return self.capacity * (size.input_bytes + 16)

    def init(self, learner: LearnerView) -> Reservoir:
        return Reservoir(self.capacity)

    def loss(self, state: Reservoir, step: Step, inner: Inner) -> Tensor:
        if len(state) == 0:
            return inner(step)
        replayed = state.sample(self.replay_batch, step.generator)
        return inner(step.on(Examples.cat([step.batch, replayed])))

    def after_step(self, state: Reservoir, step: Step) -> None:
        if step.epoch == 1:
            state.add(step.batch, step.generator)
