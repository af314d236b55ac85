"""Sequences of tokens: language modelling and sequence-to-sequence, with padding.

The answer has logits (B, L, V); the target (B, L) holds the token of each position, `padding` where there is none.
The loss of an example is the mean of −log p over its positions that are not padding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from lifelong.errors import DataError, require
from lifelong.objectives import metrics
from lifelong.objectives.base import Objective
from lifelong.objectives.classes import softmax_distance
from lifelong.types import Scenario, Target, Tokens, Tree

__all__ = ["TokenObjective"]


class TokenObjective(Objective):
    """1/|L| Σ_{l in L} −log softmax(logits_l)_{y_l} over the positions L that are not padding.

    Every task shares the vocabulary. R holds the token accuracy. Sequences whose target is padding alone have loss 0.

    Example:
        >>> objective = TokenObjective(Tokens(vocabulary=5, padding=0))
        >>> objective.losses(torch.zeros(1, 3, 5), torch.tensor([[2, 4, 0]]), 1).exp().round().tolist()
        [5.0]
    """

    name = "tokens"
    noun = "tokens"
    scenarios = ("domain",)

    def __init__(
        self, target: Target | None = None, scenario: Scenario = "domain", announced_only: bool = False
    ) -> None:
        super().__init__(target, scenario, announced_only)
        self.padding = target.padding if isinstance(target, Tokens) else 0

    def losses(self, answer: Tensor, y: Tensor, task: int | Tensor) -> Tensor:
        each_BL = F.cross_entropy(answer.transpose(1, 2), y, reduction="none")
        real_BL = y != self.padding
        return torch.where(real_BL, each_BL, 0.0).sum(1) / real_BL.sum(1).clamp_min(1)

    def draw(self, answer: Tensor, task: int | Tensor, generator: torch.Generator) -> Tensor:
        """A token for each position, none of them padding.

        The positions that were padding are not known here: their tokens count too, as those of longer sequences.
        """
        p = answer.softmax(-1).double().cpu()
        p[..., self.padding] = 0
        drawn = torch.multinomial(p.flatten(0, 1).clamp_min(1e-300), 1, generator=generator)
        return drawn.view(answer.shape[:2]).to(answer.device)

    def distance(self, answer: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """The mean over all positions of T² · KL(softmax(teacher / T) ‖ softmax(logits / T))."""
        return softmax_distance(answer.flatten(0, 1), teacher.flatten(0, 1), temperature)

    def decide(self, answer: Tensor) -> Tensor:
        return answer.argmax(-1)

    def collect(self, answer: Tensor, y: Tensor, task: int | Tensor) -> dict[str, Tensor]:
        """The decisions and the losses; the logits of a whole exam would not fit in memory."""
        each_BL = F.cross_entropy(answer.transpose(1, 2), y, reduction="none")
        real_BL = y != self.padding
        return {"decision": self.decide(answer), "y": y, "nll": torch.where(real_BL, each_BL, 0.0).double().sum(1)}

    def scores(self, collected: Mapping[str, Tensor]) -> dict[str, float]:
        decision_NL, y_NL = collected["decision"], collected["y"]
        real_NL = y_NL != self.padding
        count = max(1, int(real_NL.sum()))
        mean = float(collected["nll"].sum()) / count
        return {
            "token_accuracy": int(((decision_NL == y_NL) & real_NL).sum()) / count,
            "perplexity": math.exp(min(mean, 700.0)),
            "sequence_accuracy": float(((decision_NL == y_NL) | ~real_NL).all(1).double().mean()),
            **metrics.text_scores(decision_NL, y_NL, self.padding),
        }

    def check(self, y: Tree, place: str) -> None:
        if not isinstance(y, Tensor) or y.ndim != 2 or y.dtype != torch.int64:
            found = f"{y.dtype} of shape {tuple(y.shape)}" if isinstance(y, Tensor) else f"fields {sorted(y)}"
            raise DataError(f"{place}: expected int64 tokens (N, L), padded with {self.padding}, got {found}")
        if isinstance(self.target, Tokens) and (int(y.min()) < 0 or int(y.max()) >= self.target.vocabulary):
            raise DataError(
                f"{place}: tokens must be in 0 … {self.target.vocabulary - 1}, got {int(y.min())} … {int(y.max())}"
            )

    def check_answer(self, answer: Tensor, y: Tensor) -> None:
        require(
            isinstance(answer, Tensor) and answer.ndim == 3 and answer.shape[1] == y.shape[1],
            f"the model must map (B, …) to logits of tokens (B, {y.shape[1]}, V), "
            f"got {getattr(answer, 'shape', type(answer))}",
        )
