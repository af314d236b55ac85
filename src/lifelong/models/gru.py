"""A recurrent network that reads a story sentence by sentence, and then the question.

Suffixes: B batch, S sentences, W words in a sentence, E numbers in an embedding, H numbers in the state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lifelong.models.sentences import Sentences, trimmed

__all__ = ["GRU"]


class GRU(nn.Module):
    """A question and its story, x (B, 1 + S, W) with the newest sentence first, to the state h (B, H) after both.

        r, z = σ(W_rz s + U_rz h + b_rz),  n = tanh(W_n s + b_n + r (U_n h + c_n)),  h ← (1 − z) n + z h

    where s is a sentence as `Sentences` encodes it, oldest first and the question last; h begins at 0.

    Arguments: `words`, one more than the largest number in x; `size`, E; `hidden`, H.

    >>> network = GRU(words=5, size=8, hidden=16)
    >>> network(torch.tensor([[[4, 3], [1, 2], [0, 0]]])).shape
    torch.Size([1, 16])

    Reference: Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder, in the form of
    `torch.nn.GRU`.
    """

    def __init__(self, words: int, size: int, hidden: int) -> None:
        super().__init__()
        self.sentences = Sentences(words, size)
        self.input = nn.Linear(size, 3 * hidden)
        self.state = nn.Linear(hidden, 3 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = trimmed(x)
        told_BS1 = (x > 0).any(-1, keepdim=True)
        input_BS = self.input(self.sentences(x))
        h_BH = input_BS.new_zeros(len(x), self.state.in_features)
        for input_B, told_B1 in zip(reversed(input_BS.unbind(1)), reversed(told_BS1.unbind(1)), strict=True):
            (rz, n), (more_rz, more_n) = (
                both.tensor_split([2 * h_BH.shape[1]], 1) for both in (input_B, self.state(h_BH))
            )
            r_BH, z_BH = (rz + more_rz).sigmoid().chunk(2, 1)
            new_BH = torch.lerp((n + r_BH * more_n).tanh(), h_BH, z_BH)
            h_BH = torch.where(told_B1, new_BH, h_BH)
        return h_BH
