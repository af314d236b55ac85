"""Networks of linear layers whose gradients the calls of the layers do not tell."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Bypassed", "Folded", "Reused", "Unheard"]


class Bypassed(nn.Module):
    """Uses the weights of a layer without calling it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(9, 5), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.b(F.linear(x, self.a.weight, self.a.bias).relu())
        return logits


class Reused(nn.Module):
    """Calls a layer, and uses its weights once more."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(9, 9), nn.Linear(9, 4)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.b(F.linear(self.a(x).relu(), self.a.weight.T).relu())
        return logits


class Folded(nn.Module):
    """Sends several vectors of each example through a layer, laid one below the other."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 5), nn.Linear(15, 4)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.b(self.a(x.reshape(-1, 3)).relu().view(len(x), 15))
        return logits


class Unheard(nn.Module):
    """Calls layers whose answers no gradient comes back by: one unused, one detached, one without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(9, 5), nn.Linear(5, 4)
        self.unused, self.detached, self.silent = nn.Linear(5, 2), nn.Linear(5, 1), nn.Linear(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.a(x).relu()
        self.unused(hidden)
        with torch.no_grad():
            scale = self.silent(hidden).sigmoid()
        logits: Tensor = scale * self.b(hidden) + self.detached(hidden).detach()
        return logits
