"""Networks for sequences of tokens: a transformer and an LSTM, with a feature vector per position or per sequence.

Suffixes: B batch, L positions, D width, H heads, K numbers per head. Token 0 is padding, at the end of a sequence.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["LSTM", "Transformer", "mean_of_tokens"]

HEAD_WIDTH = 16


def mean_of_tokens(h_BLD: Tensor, real_BL: Tensor) -> Tensor:
    """The mean over the positions that are no padding; 0 where all are padding.

    >>> mean_of_tokens(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]]))
    tensor([[2.]])
    """
    return (h_BLD * real_BL[..., None]).sum(1) / real_BL.sum(1, keepdim=True).clamp_min(1)


class Block(nn.Module):
    """h ← h + attention(norm(h)), then h ← h + W₂ gelu(W₁ norm(h))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_hidden = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.mixed = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.hidden = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, h_BLD: Tensor, visible: Tensor) -> Tensor:
        split = self.query_key_value(self.norm_attention(h_BLD)).unflatten(-1, (3, self.heads, -1))
        query_BHLK, key_BHLK, value_BHLK = split.permute(2, 0, 3, 1, 4)
        seen_BHLK = F.scaled_dot_product_attention(query_BHLK, key_BHLK, value_BHLK, attn_mask=visible)
        h_BLD = h_BLD + self.mixed(seen_BHLK.transpose(1, 2).flatten(2))
        result: Tensor = h_BLD + self.hidden(self.norm_hidden(h_BLD))
        return result


class Transformer(nn.Module):
    """Tokens x (B, L) to features: (B, L, D) where causal, else (B, D), the mean over the tokens.

    Layer norm comes before each part (Xiong et al. 2020), positions are learned, and there is no dropout. A causal
    position sees itself and those before it; otherwise each sees all tokens that are no padding.

    Arguments: `vocabulary` of the tokens; `length`, the most positions; `width`, D; `layers`; `causal`.

    >>> Transformer(vocabulary=9, length=5, width=16, layers=2, causal=True)(torch.ones(3, 5, dtype=torch.long)).shape
    torch.Size([3, 5, 16])
    """

    def __init__(self, vocabulary: int, length: int, width: int, layers: int, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        heads = width // HEAD_WIDTH if width % HEAD_WIDTH == 0 else 1
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x_BL = x.long()
        length, real_BL = x_BL.shape[1], x_BL != 0
        h_BLD = self.tokens(x_BL) + self.positions.weight[:length]
        if self.causal:
            visible = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
        else:
            visible = (real_BL | ~real_BL.any(1, keepdim=True))[:, None, None, :]
        for block in self.blocks:
            h_BLD = block(h_BLD, visible)
        h_BLD = self.norm(h_BLD)
        return h_BLD if self.causal else mean_of_tokens(h_BLD, real_BL)


class LSTM(nn.Module):
    """Tokens x (B, L) to the states of an LSTM: (B, L, D) where causal, else (B, D), their mean over the tokens.

    Arguments: `vocabulary` of the tokens; `width`, D, of embeddings and states; `causal`.

    >>> LSTM(vocabulary=9, width=16, causal=False)(torch.ones(3, 5, dtype=torch.long)).shape
    torch.Size([3, 16])
    """

    def __init__(self, vocabulary: int, width: int, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.tokens = nn.Embedding(vocabulary, width)
        self.memory = nn.LSTM(width, width, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x_BL = x.long()
        h_BLD: Tensor = self.memory(self.tokens(x_BL))[0]
        return h_BLD if self.causal else mean_of_tokens(h_BLD, x_BL != 0)
