"""The least work at the end of a task of every method whose `end_task` does more than touch P numbers a few times.

Written by hand for an MLP 784-256-256-10 and `EXAMPLES` examples, as `by_hand.py` does for a step. ahead: forward on
all examples; back: from the logits to the outputs of every layer, once for each label where that is said; weights: the
products of inputs and output gradients. f64: in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from by_hand import WIDTHS
from torch import Tensor

__all__ = ["ENDS", "EXAMPLES", "End"]

EXAMPLES = 10_000
CHUNK = 2048
LABELS = WIDTHS[-1]
GPM_SAMPLES, OGD_SAMPLES, EXEMPLARS, WIDTH = 300, 50, 500, 1000


class Ends:
    """Examples, and weights of a network without biases, whose part is below a hundredth."""

    def __init__(self) -> None:
        self.x, self.y = torch.rand(EXAMPLES, WIDTHS[0]), torch.randint(LABELS, (EXAMPLES,))
        self.weights = [torch.randn(narrow, wide) / wide**0.5 for wide, narrow in pairwise(WIDTHS)]
        self.squares = [torch.zeros_like(weight) for weight in self.weights]

    def ahead(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """What each layer is given, and the logits."""
        inputs = [x]
        for weight in self.weights[:-1]:
            inputs.append((inputs[-1] @ weight.T).relu())
        return inputs, inputs[-1] @ self.weights[-1].T

    def back(self, inputs: list[Tensor], delta: Tensor) -> list[Tensor]:
        """The gradient of the output of each layer."""
        deltas = [delta]
        for weight, a in zip(self.weights[:0:-1], inputs[:0:-1], strict=True):
            deltas.append((deltas[-1] @ weight) * (a > 0))
        return deltas[::-1]

    def chunks(self) -> Iterator[tuple[list[Tensor], Tensor]]:
        """Inputs of the layers, and logits, some examples at a time."""
        for x in self.x.split(CHUNK):
            yield self.ahead(x)

    def fisher(self) -> None:
        """EWC: Σ_n Σ_y p_y (∂ log p_y)², every layer's as a product of squares."""
        for inputs, logits in self.chunks():
            p = logits.softmax(1)
            sizes = [torch.zeros(len(p), weight.shape[0]) for weight in self.weights]
            for label in range(LABELS):
                delta = -p
                delta[:, label] += 1
                for size, each in zip(sizes, self.back(inputs, delta), strict=True):
                    size.addcmul_(each.square(), p[:, label, None])
            for square, size, a in zip(self.squares, sizes, inputs, strict=True):
                square.addmm_(size.T, a.square())

    def sensitivity(self) -> None:
        """MAS: Σ_n |∂ ‖f‖²|."""
        for inputs, logits in self.chunks():
            for square, delta, a in zip(self.squares, self.back(inputs, 2 * logits), inputs, strict=True):
                square.addmm_(delta.abs().T, a.abs())

    def sliced(self) -> None:
        """SCP: the gradients of the mean logits, and (R G)² of them."""
        grads = [[torch.zeros_like(weight) for weight in self.weights] for _ in range(LABELS)]
        for inputs, logits in self.chunks():
            for label in range(LABELS):
                delta = torch.zeros_like(logits)
                delta[:, label] = 1
                for grad, each, a in zip(grads[label], self.back(inputs, delta), inputs, strict=True):
                    grad.addmm_(each.T, a)
        rows = torch.stack([torch.cat([grad.flatten() for grad in own]) for own in grads])
        (torch.rand(LABELS, LABELS) @ rows).square_().sum(0)

    def directions(self) -> None:
        """OGD: gradients of some examples as rows, and twice an orthonormal basis of them by their Gram matrix, f64."""
        inputs, _ = self.ahead(self.x[:OGD_SAMPLES])
        deltas = self.back(inputs, torch.nn.functional.one_hot(self.y[:OGD_SAMPLES], LABELS).float())
        rows = torch.cat([torch.einsum("nh,nd->nhd", d, a).flatten(1) for d, a in zip(deltas, inputs, strict=True)], 1)
        for _ in range(2):
            gram = torch.zeros(OGD_SAMPLES, OGD_SAMPLES, dtype=torch.float64)
            for piece in rows.split(8192, dim=1):
                exact = piece.double()
                gram.addmm_(exact, exact.T)
            values, axes = torch.linalg.eigh(gram)
            rows = (axes / values.clamp_min(1e-6).sqrt()).T.float() @ rows

    def subspaces(self) -> None:
        """GPM: the principal axes of what each layer is given, from the smaller Gram matrix, f64."""
        inputs, _ = self.ahead(self.x[:GPM_SAMPLES])
        for a in inputs:
            wide = a.double() if len(a) < a.shape[1] else a.T.double()
            values, axes = torch.linalg.eigh(wide @ wide.T)
            axes.T @ wide / values.clamp_min(1e-6).sqrt()[:, None]

    def exemplars(self) -> None:
        """iCaRL: features, and a product of all features of a class with one vector for each exemplar."""
        for x in self.x.tensor_split(LABELS):
            h = torch.nn.functional.normalize(self.ahead(x)[0][-1])
            mean, total = h.mean(0), torch.zeros(WIDTHS[-2])
            for number in range(EXEMPLARS // LABELS):
                total = total + h[int((h @ (number * mean - total)).argmin())]

    def scatter(self) -> None:
        """SLDA: the scatter of the inputs, f64, and a Cholesky factor of it."""
        total = torch.eye(WIDTHS[0], dtype=torch.float64)
        for x in self.x.split(CHUNK):
            wide = x.double()
            total.addmm_(wide.T, wide)
        torch.linalg.cholesky(total)

    def means(self) -> None:
        """NCM: the sum of each class, f64."""
        for x, y in zip(self.x.split(CHUNK), self.y.split(CHUNK), strict=True):
            torch.nn.functional.one_hot(y, LABELS).double().T @ x.double()

    def ridge(self) -> None:
        """RanPAC: the random layer on all inputs and the Gram matrix of it, f64; its eigenvalues and vectors."""
        projection, total = torch.randn(WIDTHS[0], WIDTH).double(), torch.eye(WIDTH, dtype=torch.float64)
        for x in self.x.split(CHUNK):
            h = (x.double() @ projection).relu_()
            total.addmm_(h.T, h)
        torch.linalg.eigh(total)
        torch.linalg.cholesky(total)


@dataclass(frozen=True)
class End:
    """What the end of a task consists of, in words, and it done."""

    words: str
    run: Callable[[Ends], None]

    def prepared(self) -> Callable[[], None]:
        """A call that does it once."""
        ends = Ends()
        return lambda: self.run(ends)


FISHER = End(f"ahead, {LABELS} back, weights once, of squares", Ends.fisher)

ENDS: dict[str, End] = {
    "ewc": FISHER,
    "online-ewc": FISHER,
    "mas": End("ahead, back, weights", Ends.sensitivity),
    "scp": End(f"ahead, {LABELS} back, {LABELS} weights", Ends.sliced),
    "ogd": End(f"ahead and back of {OGD_SAMPLES}, as rows; 2 Gram matrices, f64, and bases of them", Ends.directions),
    "gpm": End(f"ahead of {GPM_SAMPLES}; eigenvectors of a Gram matrix for each layer, f64", Ends.subspaces),
    "icarl": End(f"ahead; {EXEMPLARS} products of a class's features with a vector", Ends.exemplars),
    "ncm": End("sums of the classes, f64", Ends.means),
    "slda": End("scatter of the inputs and its Cholesky factor, f64", Ends.scatter),
    "ranpac": End("random layer, its Gram matrix, eigenvectors and a Cholesky factor, f64", Ends.ridge),
}
