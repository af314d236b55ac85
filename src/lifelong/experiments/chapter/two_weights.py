"""A network of two weights and two tasks for it, so that a loss surface is a picture and nothing is left out.

Both tasks ask which of two digits an image shows, and see no more of it than the ink in two of its 4×4 fields:

    p(the second digit | x) = σ(w_1 x_1 + w_2 x_2)

3 or 6: the ink right of the middle tells all, that at the right edge hardly varies: the loss is a valley along w_2.
6 or 0: both tell, in the same sense, so one weight can stand in for the other, and the valley lies aslant. On the way
to it from the first valley gradient descent turns the sign of w_1; a stiff w_1 leaves w_2 to do the work.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong.streams import Stream, stream
from lifelong.types import Examples

__all__ = ["FIELDS", "PAIRS", "TwoWeights", "ink", "two_feature_stream"]

#: fields of the 4×4 grid, counted from the upper left row by row: both are in the second row, at its right end
FIELDS = (6, 7)
#: the two digits of each task
PAIRS = ((3, 6), (6, 0))


class TwoWeights(nn.Module):
    """Logits 0 and w · x: logistic regression without a bias.

    >>> model = TwoWeights(1.0, -1.0)
    >>> model(torch.tensor([[3.0, 1.0]])).tolist()
    [[0.0, 2.0]]
    """

    def __init__(self, first: float = 0.0, second: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([first, second]))

    def forward(self, x_B2: Tensor) -> Tensor:
        logit_B = x_B2 @ self.weight
        return torch.stack([torch.zeros_like(logit_B), logit_B], dim=1)


def ink(x: Tensor) -> Tensor:
    """The mean brightness of images (N, 1, height, width) in the two fields: (N, 2).

    >>> image = torch.arange(16.0).view(1, 1, 4, 4)
    >>> ink(image).tolist()
    [[6.0, 7.0]]
    """
    return F.adaptive_avg_pool2d(x, 4).flatten(1)[:, list(FIELDS)]


def two_feature_stream(data: str, data_dir: str | None = None, seed: int = 0) -> Stream:
    """The two tasks on real digits: features (N, 2), centred in each task (there is no bias), in units of one scale.

    Means and scale are those of the training parts.
    """
    images = stream(f"permuted-{data}", tasks=1, first_plain=True, data_dir=data_dir, seed=seed).task(1)
    scale_2 = ink(images.train.x).std(0)

    def pair(part: Examples, digits: tuple[int, int], centre_2: Tensor | None = None) -> tuple[Tensor, Tensor]:
        chosen = part.at((part.y == digits[0]) | (part.y == digits[1]))
        x_N2 = ink(chosen.x) / scale_2
        return x_N2 if centre_2 is None else x_N2 - centre_2, (chosen.y == digits[1]).long()

    centres = [pair(images.train, digits)[0].mean(0) for digits in PAIRS]
    datasets: list[tuple[object, object]] = [
        (pair(images.train, digits, centre_2), pair(images.test, digits, centre_2))
        for digits, centre_2 in zip(PAIRS, centres, strict=True)
    ]
    names = [f"{first} or {second}" for first, second in PAIRS]
    return Stream.from_datasets(datasets, validation=0.0, names=names, name=f"two-feature-{data}")
