"""Dark experience replay: stored examples are held to the answers that they once had."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

from lifelong.errors import require
from lifelong.memory import Reservoir
from lifelong.memory.reservoir import write
from lifelong.methods.base import Claim, Inner, LearnerView, Method, Step, StreamSize
from lifelong.methods.evaluating import evaluating
from lifelong.methods.per_sample import chunks
from lifelong.models import Network
from lifelong.types import Examples

__all__ = ["DER", "DERState"]


@dataclass
class DERState:
    """A reservoir, and per place the logits of the moment of storing."""

    memory: Reservoir
    logits_MC: Tensor = field(default_factory=lambda: torch.empty(0, 0))


@dataclass(frozen=True)
class DER(Method[DERState]):
    """Replay stored inputs against the logits that the network gave when they were stored.

    Formula: L(θ) = CE(B) + α · mean over (x, z) in M_B of (h_θ(x) − z)², with h the logits and M_B from a reservoir.

    Arguments:
        capacity: examples stored, a uniform sample of all that were ever seen.
        replay_batch: |M_B|, stored examples drawn for each step (all of them where fewer are stored).
        alpha: α ≥ 0, the weight of the past answers.

    Stores: capacity · (4 · D + 4 · C + 16) bytes for inputs of D float32 numbers and C outputs.

    Reference: Buzzega et al. 2020, Dark Experience for General Continual Learning: a Strong, Simple Baseline,
    equation 6, algorithm 1.

    Deviations: the squares are averaged over samples and outputs, as in the authors' code (equation 6 sums over the
    outputs), and over all outputs in the scenario task too. The authors have all outputs from the start; where the
    network grows, an output's logits for what was stored before it are those with which it begins. As in the
    authors' code every pass over a task is offered to the reservoir (an example may be stored twice), as the answers
    of the first pass are poor. In a chain after a method that changes the batch, the logits stored are those after the
    optimiser's step.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import DER
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", DER(capacity=200), digits.space, epochs=3, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.4
        True
    """

    capacity: int = 500
    replay_batch: int = 32
    alpha: float = 0.5

    name = "der"
    family = "replay"
    reference = "Buzzega et al. 2020"
    needs = ("memory",)
    claims = Claim.STORES_BATCHES
    disabled_settings = MappingProxyType({"capacity": 0})

    def validate(self) -> None:
        require(self.capacity >= 0, f"{self.name}.capacity must be 0 or more, got {self.capacity}")
        require(self.replay_batch >= 1, f"{self.name}.replay_batch must be 1 or more, got {self.replay_batch}")
        require(self.alpha >= 0, f"{self.name}.alpha must be 0 or more, got {self.alpha}")

    @property
    def state_type(self) -> type[DERState]:
        return DERState

    def declared_bytes(self, size: StreamSize) -> int:
        return self.capacity * (size.input_bytes + 4 * size.outputs + 16)

    def init(self, learner: LearnerView) -> DERState:
        return DERState(Reservoir(self.capacity))

    @torch.no_grad()
    def begin_task(self, state: DERState, learner: LearnerView, task: Examples) -> DERState:
        held, known = state.memory.examples(), state.logits_MC.shape[1]
        model = learner.model
        if len(held) == 0 or not isinstance(model, Network) or model.head.classes == known:
            return state
        fresh = []
        for some in chunks(held, 2048):
            with evaluating(model, some.task), learner.autocast():
                fresh.append(model(some.x)[:, known:].float())
        fresh_MC = torch.cat(fresh)
        logits_MC = F.pad(state.logits_MC, (0, fresh_MC.shape[1]))
        logits_MC[: len(held), known:] = fresh_MC
        return DERState(state.memory, logits_MC)

    def loss(self, state: DERState, step: Step, inner: Inner) -> Tensor:
        loss = inner(step)
        if len(state.memory) == 0:
            return loss
        place_B = state.memory.draw(self.replay_batch, step.generator)
        now_BC = step.on(state.memory.at(place_B)).answer.float()
        return loss + self.alpha * F.mse_loss(now_BC, state.logits_MC.index_select(0, place_B))

    def after_step(self, state: DERState, step: Step) -> None:
        place, kept = state.memory.add(step.batch, step.generator)
        if len(place) == 0:
            return
        with torch.no_grad():
            logits_BC = step.answer.detach().float()
        if len(state.logits_MC) == 0:
            state.logits_MC = logits_BC.new_zeros(self.capacity, logits_BC.shape[1])
        write(state.logits_MC, place, logits_BC, kept)
