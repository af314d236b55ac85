"""A memory network: the sentences of a story are memories, and a question looks at them several times.

Suffixes: B batch, S sentences, R different sentences, L rows of T, W words in a sentence, D numbers in an embedding,
E those of all hops side by side.
"""

from __future__ import annotations

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

    Most sentences are in many stories of a batch, so u · m is asked of the different ones and picked for each story,
    and the attention on all copies of a sentence is summed before it weighs them: no vector per place in a story.

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
        told_BS = (x[:, 1:] > 0).any(-1)
        vectors_RE, which_BS = self.sentences.apart(x)
        asked_B, which_BS = which_BS[:, 0], which_BS[:, 1:]
        later_BS = self._later(told_BS)
        words, times = vectors_RE.split(self.size, -1), self.time.split(self.size, -1)
        u_BD = words[0].index_select(0, asked_B)
        nothing = torch.finfo(vectors_RE.dtype).min  # not −∞: a question without a story has no memory at all
        for hop in range(self.hops):
            match_BS = (u_BD @ words[hop].T).gather(1, which_BS) + (u_BD @ times[hop].T).gather(1, later_BS)
            p_BS = match_BS.masked_fill(~told_BS, nothing).softmax(1) * told_BS
            p_BR = p_BS.new_zeros(len(p_BS), len(vectors_RE)).scatter_add(1, which_BS, p_BS)
            p_BL = p_BS.new_zeros(len(p_BS), len(self.time)).scatter_add(1, later_BS, p_BS)
            u_BD = u_BD + p_BR @ words[hop + 1] + p_BL @ times[hop + 1]
        return u_BD

    def _later(self, told_BS: Tensor) -> Tensor:
        """Which row of T each sentence has (B, S): its distance from the question, in training with gaps in between."""
        distance_S = torch.arange(told_BS.shape[1], device=told_BS.device)
        if not self.training or self.noise == 0:
            return distance_S.expand(told_BS.shape)
        gaps_BS = (torch.rand(told_BS.shape, device=told_BS.device) < self.noise).cumsum(1)
        return (distance_S + gaps_BS).clamp_max(len(self.time) - 1)
