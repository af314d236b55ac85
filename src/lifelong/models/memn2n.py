"""A memory network: the sentences of a story are memories, and a question looks at them several times.

Suffixes: B batch, S sentences, W words in a sentence, D numbers in an embedding, E those of all hops side by side.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from lifelong.models.sentences import Sentences, trimmed

__all__ = ["MemN2N"]


class MemN2N(nn.Module):
    """A question and its story, x (B, 1 + S, W) with the newest sentence first, to what is known in the end, u (B, D).

        m_i = PE_A(x_i) + T_A(i),  c_i = PE_C(x_i) + T_C(i),  u = PE_B(question)
        p_i = softmax_i(u · m_i),  u ← u + Σ_i p_i c_i          once per hop

    PE is the position encoding of `Sentences`, T a row for the sentence's distance from the question. Adjacent weight
    tying: the A of a hop is the C of the one before it, B is the first A.

    Arguments: `words`, one more than the largest number in x; `sentences`, S; `size`, D; `hops`; `noise`, in training
    the chance of a gap in time before each sentence, so that T learns order rather than position.

    >>> network = MemN2N(words=5, sentences=3, size=8, hops=2)
    >>> network(torch.tensor([[[4, 3], [1, 2], [0, 0], [0, 0]]])).shape
    torch.Size([1, 8])

    Reference: Sukhbaatar et al. 2015, End-To-End Memory Networks, sections 2 and 4.1 (arXiv:1503.08895).

    Deviations: the answer's weights are a layer of their own with a bias instead of the last C, as answers are classes
    here. No linear start. Gaps in time are no memories themselves, as in the authors' code.
    """

    def __init__(self, words: int, sentences: int, size: int, hops: int, noise: float = 0.1) -> None:
        super().__init__()
        self.size, self.hops, self.noise = size, hops, noise
        self.sentences = Sentences(words, size, copies=hops + 1)
        self.time = nn.Parameter(torch.empty(sentences, (hops + 1) * size).normal_(0, 0.1))

    def forward(self, x: Tensor) -> Tensor:
        x = trimmed(x)
        told_BS1 = (x[:, 1:] > 0).any(-1, keepdim=True)
        all_BSE = self.sentences(x)
        u_BD = all_BSE[:, 0, : self.size]
        memory = ((all_BSE[:, 1:] + self._time(told_BS1[..., 0])) * told_BS1).split(self.size, -1)
        nothing = torch.finfo(all_BSE.dtype).min  # not −∞: a question without a story has no memory at all
        for m_BSD, c_BSD in itertools.pairwise(memory):
            match_BS1 = (m_BSD * u_BD[:, None]).sum(-1, keepdim=True)  # faster than a batch of small products
            p_BS1 = match_BS1.masked_fill(~told_BS1, nothing).softmax(1)
            u_BD = u_BD + (p_BS1 * c_BSD).sum(1)
        return u_BD

    def _time(self, told_BS: Tensor) -> Tensor:
        """T of every sentence, (S, E) or (B, S, E)."""
        sentences = told_BS.shape[1]
        if not self.training or self.noise == 0:
            return self.time[:sentences]
        gaps_BS = (torch.rand(told_BS.shape, device=told_BS.device) < self.noise).cumsum(1)
        later_BS = (torch.arange(sentences, device=told_BS.device) + gaps_BS).clamp_max(len(self.time) - 1)
        return nn.functional.embedding(later_BS, self.time)
