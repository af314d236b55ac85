"""A backbone for tasks whose inputs differ: an encoder for each kind of input, and one trunk for all.

Suffixes: B batch, L positions, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lifelong.errors import SettingError
from lifelong.models.sequences import mean_of_tokens
from lifelong.types import Field, InputKind, Space, Tree, input_kind

__all__ = ["Encoders", "Words"]


class Words(nn.Module):
    """Tokens x (B, …) to the mean of their embeddings (B, D); token 0 is padding, and counts in no mean.

    >>> Words(vocabulary=9, width=4)(torch.ones(2, 5, dtype=torch.long)).shape
    torch.Size([2, 4])
    """

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)

    def forward(self, x: Tensor) -> Tensor:
        x_BL = x.flatten(1).long()
        return mean_of_tokens(self.tokens(x_BL), x_BL != 0)


class Encoders(nn.Module):
    """h = trunk(relu(Σ encoder(input) over the inputs of the kind)): every part is there before the first task.

    Kinds of input are told apart by their names and shapes, and by whether they are tokens; of those that are alike the
    largest vocabulary holds for all.

    Args:
        kinds: The spaces of the stream.
        numbers: Makes the encoder of an input of numbers: (B, …) → (B, D).
        width: D.
        trunk: (B, D) → features.

    Example:
        >>> kinds = [Space((1, 8, 8), 10), Space(Field((5,), vocabulary=9), 2)]
        >>> model = Encoders(kinds, lambda field: nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), 4, nn.Linear(4, 3))
        >>> model(torch.zeros(2, 1, 8, 8)).shape, model(torch.ones(2, 5, dtype=torch.long)).shape
        (torch.Size([2, 3]), torch.Size([2, 3]))
    """

    def __init__(
        self, kinds: Sequence[Space], numbers: Callable[[Field], nn.Module], width: int, trunk: nn.Module
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleList()
        #: which encoders read the inputs of a kind, by name
        self.places: dict[InputKind, dict[str, int]] = {}
        for kind in kinds:
            alike = [other.fields for other in kinds if other.input_kind == kind.input_kind]
            if kind.input_kind not in self.places:
                self.places[kind.input_kind] = {name: len(self.encoders) + at for at, name in enumerate(kind.fields)}
                for name, field in kind.fields.items():
                    most = max(fields[name].vocabulary or 0 for fields in alike)
                    self.encoders.append(Words(most, width) if most else numbers(field))
        self.trunk = trunk

    def forward(self, x: Tree) -> Tensor:
        places = self.places.get(input_kind(x))
        if places is None:
            raise SettingError(f"the network has no encoder for inputs {input_kind(x)}, only for {list(self.places)}")
        parts = [self.encoders[at](x[name] if isinstance(x, dict) else x) for name, at in places.items()]
        h_BD: Tensor = self.trunk(torch.relu(torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]))
        return h_BD
