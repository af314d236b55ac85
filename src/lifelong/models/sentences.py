"""Sentences as vectors: the words of each, embedded and summed with weights that tell their order.

Suffixes: B batch, S sentences, R different ones, W words in a sentence, V different words, E numbers in a vector.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["Sentences", "distinct", "trimmed"]


def distinct(x_RW: Tensor, numbers: int) -> tuple[Tensor, Tensor]:
    """The different rows of `x_RW` and, for each row of it, which of them it is; entries are 0 … `numbers` − 1.

    As many entries as fit are put into one whole number at a time: far faster than sorting rows.

    >>> rows, which = distinct(torch.tensor([[1, 2], [0, 3], [1, 2]]), numbers=4)
    >>> rows.tolist(), which.tolist()
    ([[1, 2], [0, 3]], [0, 1, 0])
    """
    at_once = int(math.log(2**62 / (len(x_RW) + 1), numbers))
    which_R = torch.zeros(len(x_RW), dtype=torch.int64, device=x_RW.device)
    for part in x_RW.split(at_once, dim=1):
        power = torch.tensor([numbers**place for place in range(part.shape[1])], device=x_RW.device)
        whole_R = (part * power).sum(1) + which_R * numbers ** part.shape[1]
        _, which_R = whole_R.unique(return_inverse=True)
    rows = x_RW.new_empty(int(which_R.max()) + 1, x_RW.shape[1])
    rows[which_R] = x_RW
    return rows, which_R


def trimmed(x: Tensor) -> Tensor:
    """Stories x (B, S, W) without the last rows that no story of the batch needs; a single one is left as it is.

    >>> trimmed(torch.tensor([[[1, 2], [0, 0], [0, 0]], [[1, 2], [3, 0], [0, 0]]])).shape
    torch.Size([2, 2, 2])
    """
    if len(x) == 1:  # it may be one of many under vmap, where shapes must not depend on the data
        return x
    used_S = (x > 0).any(-1).any(0)
    used_S[0] = True
    return x[:, : int(used_S.nonzero().max()) + 1]


class Sentences(nn.Module):
    """Words x (B, S, W), numbers from 1 and 0 for none, to one vector (B, S, E) per sentence, 0 where there is none.

        m_k = Σ_j l_kj · A_k,x_j,  l_kj = (1 − j/J) − (k/d) (1 − 2j/J),  j = 1 … J words, k = 1 … d numbers

    Arguments: `words`, one more than the largest number; `size`, d; `copies`, embeddings side by side: E = copies · d.

    The sum is Σ_j (1 − j/J) A_k,x_j − (k/d) Σ_j (1 − 2j/J) A_k,x_j: two bags of weighted words, with weights that do
    not depend on k. A bag is a row with an amount of every word, and the sum a matrix product. A sentence that is in
    many stories of the batch is encoded once.

    >>> encode = Sentences(words=5, size=3)
    >>> vectors = encode(torch.tensor([[[1, 4, 0], [0, 0, 0]]]))
    >>> vectors.shape, vectors[0, 1].tolist()
    (torch.Size([1, 2, 3]), [0.0, 0.0, 0.0])

    Reference: Sukhbaatar et al. 2015, End-To-End Memory Networks, section 4.1, "position encoding"; weights are drawn
    from N(0, 0.1²) as in its section 4.2.
    """

    def __init__(self, words: int, size: int, copies: int = 1) -> None:
        super().__init__()
        self.size, self.copies = size, copies
        self.weight = nn.Parameter(torch.empty(words - 1, copies * size).normal_(0, 0.1))

    def forward(self, x: Tensor) -> Tensor:
        if len(x) == 1:  # as above
            return self._summed(x)
        vectors_RE, which_BS = self.apart(x)
        return vectors_RE.index_select(0, which_BS.flatten()).view(*x.shape[:2], -1)

    def apart(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors (R, E) of the R different sentences in x (B, S, W), and which of them each one is, (B, S)."""
        if len(x) == 1:  # as above
            return self._summed(x[0]), torch.arange(x.shape[1], device=x.device)[None]
        rows, which = distinct(x.flatten(0, 1), len(self.weight) + 1)
        return self._summed(rows), which.view(x.shape[:2])

    def _summed(self, x: Tensor) -> Tensor:
        words, like = len(self.weight), {"dtype": self.weight.dtype, "device": x.device}
        real = x > 0
        place = torch.arange(1, x.shape[-1] + 1, **like) / real.sum(-1, keepdim=True).clamp_min(1)
        amounts = torch.stack([(1 - place) * real, (1 - 2 * place) * real], -2)
        number = (x.long() - 1).clamp_min(0).unsqueeze(-2).expand(amounts.shape)  # 0 where the amount is 0
        bags = amounts.new_zeros(*amounts.shape[:-1], words).scatter_add_(-1, number, amounts)
        first, second = (bags @ self.weight).unbind(-2)
        return first - (torch.arange(1, self.size + 1, **like) / self.size).repeat(self.copies) * second
