"""Dark experience replay: stored examples are held to the answers that they once had."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lifelong.errors import require
from lifelong.memory import Reservoir, Rows, columns_of
from lifelong.methods.base import Inner, LearnerView, Step, StreamSize
from lifelong.methods.inference import chunks, evaluating
from lifelong.methods.rehearsal import Rehearsal, in_one_pass
from lifelong.models import headed
from lifelong.types import Data

__all__ = ["DER"]

CHUNK = 2048


@dataclass(frozen=True)
class DER(Rehearsal[Reservoir]):
    """Replay stored inputs against the logits that the network gave when they were stored.

    Chinese: 重放保存的输入，使网络保持保存时给出的 logits。

    Formula: L(θ) = CE(B) + α · mean over (x, z) in M_B of (h_θ(x) − z)², with h the logits and M_B from a reservoir.

    Arguments:
        capacity: examples stored, a uniform sample of all that were ever seen.
        replay_batch: |M_B|, stored examples drawn for each step (all of them where fewer are stored).
        alpha: α ≥ 0, the weight of the past answers.

    Stores: capacity · (4 · D + 4 · C + 16) bytes for inputs of D float32 numbers and C outputs (of each position).

    Reference: Buzzega et al. 2020, Dark Experience for General Continual Learning: a Strong, Simple Baseline,
    equation 6, algorithm 1.

    Deviations: the squares are averaged over samples and outputs, as in the authors' code (equation 6 sums over the
    outputs), and over all outputs in the scenario task too. The authors have all outputs from the start; where the
    network grows, an output's logits for what was stored before it are those with which it begins. As in the
    authors' code every pass over a task is offered to the reservoir (an example may be stored twice), as the answers
    of the first pass are poor. In a chain after a method that changes the batch, the logits stored are those after the
    optimiser's step. Batch and replay go through the network in one pass, but where it has batch normalisation: there
    they go apart, as in the authors' code, and each moves the running statistics. Answers of any shape may be stored.

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

    alpha: float = 0.5

    name = "der"
    reference = "Buzzega et al. 2020"
    state_class = Reservoir
    needs = ("memory",)

    def validate(self) -> None:
        super().validate()
        require(self.alpha >= 0, f"{self.name}.alpha must be 0 or more, got {self.alpha}")

    def declared_bytes(self, size: StreamSize) -> int:
        positions = max(1, size.target_bytes // 8)  # of a sequence, whose target is a number for each
        return self.capacity * (size.example_bytes + 4 * size.outputs * positions)

    @torch.no_grad()
    def begin_task(self, state: Reservoir, learner: LearnerView, task: Data) -> Reservoir:
        state = super().begin_task(state, learner, task)
        for table in state.tables:
            if table.size > 0 and headed(learner.model) is not None:
                table.columns["answer"] = _widened(table, learner)
        return state

    def loss(self, state: Reservoir, step: Step, inner: Inner) -> Tensor:
        if len(state) == 0:
            return inner(step)
        table, place_B = state.draw(self.replay_batch, step.generator)
        step, replay = in_one_pass(step, table.at(place_B))
        return inner(step) + self.alpha * F.mse_loss(replay.answer.float(), table.column("answer", place_B))

    def after_step(self, state: Reservoir, step: Step) -> None:
        table, place, chosen = state.choose(step.batch, step.generator)
        if len(place) > 0:
            with torch.no_grad():
                answer = step.answer.detach().float()
            table.write(place, chosen, {**columns_of(step.batch), "answer": answer})


def _widened(table: Rows, learner: LearnerView) -> Tensor:
    """The stored answers with the outputs that came since: as the network answers now."""
    known = table.columns["answer"]
    fresh = []
    for some in chunks(learner, table.examples(), CHUNK):
        with evaluating(learner.model, some.task), learner.autocast():
            answer = learner.model(some.x)[..., known.shape[-1] :].float()
        if answer.shape[-1] == 0:
            return known
        fresh.append(answer)
    new = torch.cat(fresh)
    wider = F.pad(known, (0, new.shape[-1]))
    wider[: len(new), ..., known.shape[-1] :] = new
    return wider
