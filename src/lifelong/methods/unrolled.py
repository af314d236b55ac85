"""Recurrent layers of torch by plain operations, which `torch.func.vmap` can run; torch's own kernels it cannot.

Suffixes: B batch, D inputs, H units, L positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["unrolled", "unrolling"]


@contextmanager
def unrolling(model: nn.Module) -> Iterator[None]:
    """Inside the block the recurrent layers of `model` (RNN, LSTM, GRU) answer by `unrolled`."""
    layers: list[Any] = [layer for layer in model.modules() if type(layer) in (nn.RNN, nn.LSTM, nn.GRU)]
    for layer in layers:
        layer.forward = partial(unrolled, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def unrolled(layer: nn.RNNBase, x: Tensor, hx: Any = None) -> tuple[Tensor, Any]:
    """What `layer(x, hx)` gives in evaluation mode, position after position.

    Example:
        >>> layer, x = nn.GRU(2, 3, num_layers=2, bidirectional=True), torch.randn(5, 4, 2)
        >>> [torch.allclose(a, b, atol=1e-6) for a, b in zip(layer(x), unrolled(layer, x), strict=True)]
        [True, True]
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"recurrence over a {type(x).__name__} is known to torch alone")
    single = x.ndim == 2
    x_LBD = x[:, None] if single else (x.transpose(0, 1) if layer.batch_first else x)
    directions = 2 if layer.bidirectional else 1
    first = _first_states(layer, x_LBD, hx, single)
    last: list[tuple[Tensor, ...]] = []
    for depth in range(layer.num_layers):
        sides: list[Tensor] = []
        for side in range(directions):
            suffix = f"l{depth}{'_reverse' if side else ''}"
            steps = list(x_LBD.unbind(0))
            state, outputs = first[depth * directions + side], list[Tensor]()
            for x_BD in reversed(steps) if side else steps:
                state = _step(layer, suffix, x_BD, state)
                outputs.append(state[0])
            sides.append(torch.stack(outputs[::-1] if side else outputs))
            last.append(state)
        x_LBD = torch.cat(sides, -1)
    ends = [torch.stack(parts) for parts in zip(*last, strict=True)]
    ends = [end[:, 0] for end in ends] if single else ends
    answer = x_LBD[:, 0] if single else (x_LBD.transpose(0, 1) if layer.batch_first else x_LBD)
    return answer, tuple(ends) if layer.mode == "LSTM" else ends[0]


def _first_states(layer: nn.RNNBase, x_LBD: Tensor, hx: Any, single: bool) -> list[tuple[Tensor, ...]]:
    """The hidden state (and the cell of an LSTM) with which each layer and direction begins."""
    count, batch = layer.num_layers * (2 if layer.bidirectional else 1), x_LBD.shape[1]
    if hx is not None:
        parts = hx if isinstance(hx, tuple) else (hx,)
        parts = tuple(part[:, None] for part in parts) if single else parts
        return list(zip(*(part.unbind(0) for part in parts), strict=True))
    sizes = [layer.proj_size or layer.hidden_size, *([layer.hidden_size] if layer.mode == "LSTM" else [])]
    return [tuple(x_LBD.new_zeros(batch, size) for size in sizes) for _ in range(count)]


def _step(layer: nn.RNNBase, suffix: str, x_BD: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The state after one more position; see the formulas of `torch.nn.LSTM`, `GRU` and `RNN`."""
    biases = [getattr(layer, f"bias_{kind}_{suffix}") if layer.bias else None for kind in ("ih", "hh")]
    of_input = F.linear(x_BD, getattr(layer, f"weight_ih_{suffix}"), biases[0])
    of_state = F.linear(state[0], getattr(layer, f"weight_hh_{suffix}"), biases[1])
    if layer.mode == "GRU":
        reset, update, new = of_input.chunk(3, -1)
        reset_h, update_h, new_h = of_state.chunk(3, -1)
        update = torch.sigmoid(update + update_h)
        candidate = torch.tanh(new + torch.sigmoid(reset + reset_h) * new_h)
        return ((1 - update) * candidate + update * state[0],)
    if layer.mode == "LSTM":
        enter, forget, cell, leave = (of_input + of_state).chunk(4, -1)
        c = torch.sigmoid(forget) * state[1] + torch.sigmoid(enter) * torch.tanh(cell)
        h = torch.sigmoid(leave) * torch.tanh(c)
        return (F.linear(h, getattr(layer, f"weight_hr_{suffix}")) if layer.proj_size else h), c
    return (torch.tanh(of_input + of_state) if layer.mode == "RNN_TANH" else torch.relu(of_input + of_state),)
