"""The diagonal of the Fisher information: how much each weight matters for the model's answers.

    F_i = 1/N Σ_n E_y [ (∂ log p(y | x_n, θ) / ∂θ_i)² ]

The square is taken per sample, before the mean: squaring the gradient of a batch mean depends on the batch size.
What y is gives the name: `true` takes the expectation over the model's own p(y | x_n), `sampled` draws one y from it,
`empirical` takes the given label.

Networks of linear layers need no per-sample gradient at all: for z = W a + b the gradient of sample n is δ_n a_nᵀ, so
Σ_n (δ_n a_nᵀ)² = (δ²)ᵀ (a²) is one matrix product. Everything else goes through `torch.func.vmap`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import grad, vmap

from lifelong.methods.base import Student
from lifelong.models import Head
from lifelong.types import Examples

__all__ = ["FisherKind", "fisher_diagonal"]

FisherKind = Literal["true", "sampled", "empirical"]

CHUNK_BYTES = 128 * 2**20


def fisher_diagonal(student: Student, task: Examples, kind: FisherKind, samples: int | None = None) -> Tensor:
    """The Fisher diagonal (P,) at θ over the examples of one task, in evaluation mode.

    Arguments: `kind` what y is; `samples` caps N by a random subset. The generator of the student is drawn from for
    `samples` and for `kind="sampled"` only.
    """
    if samples is not None and samples < len(task):
        task = task.at(torch.randperm(len(task), generator=student.generator)[:samples].to(task.y.device))
    model, training = student.model, student.model.training
    model.eval()
    try:
        if _all_linear(model) and task.x.flatten(1).shape[1] > 0:
            total_P = _closed_form(student, task, kind)
            if total_P is not None:
                return total_P / len(task)
        return _per_sample(student, task, kind) / len(task)
    finally:
        model.train(training)


def _chunks(task: Examples, size: int) -> Iterator[Examples]:
    for start in range(0, len(task), size):
        yield task.at(slice(start, start + size))


def _choices(student: Student, log_p_BC: Tensor, chunk: Examples, kind: FisherKind) -> Iterator[tuple[Tensor, Tensor]]:
    """The labels y and their weights, whose weighted squares are summed."""
    p_BC = log_p_BC.detach().exp()
    if kind == "true":
        for label in range(p_BC.shape[1]):
            if bool((p_BC[:, label] > 0).any()):
                yield torch.full_like(chunk.y, label), p_BC[:, label]
    elif kind == "sampled":
        y_B = torch.multinomial(p_BC.double().cpu(), 1, generator=student.generator)[:, 0]
        yield y_B.to(chunk.y.device), torch.ones_like(p_BC[:, 0])
    else:
        yield chunk.y, torch.ones_like(p_BC[:, 0])


def _all_linear(model: nn.Module) -> bool:
    """Whether every parameter belongs to a linear layer and is trained."""
    owners = [m for m in model.modules() if any(True for _ in m.parameters(recurse=False))]
    return all(type(m) in (nn.Linear, Head) for m in owners) and all(p.requires_grad for p in model.parameters())


@contextmanager
def _recorded(model: nn.Module) -> Iterator[dict[nn.Module, list[tuple[Tensor, Tensor]]]]:
    """Inside the block every linear layer notes its inputs a and outputs z."""
    calls: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        calls.setdefault(module, []).append((inputs[0].detach(), output))
        return output.clone()  # so that a later in-place ReLU cannot change the z that was noted

    handles = [m.register_forward_hook(note) for m in model.modules() if type(m) in (nn.Linear, Head)]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _closed_form(student: Student, task: Examples, kind: FisherKind) -> Tensor | None:
    """Σ_n of the squares for networks of linear layers; None where a layer is used twice or on sequences."""
    flat, model = student.flat, student.model
    total_P = torch.zeros_like(flat.grad_P)
    total = flat.named(total_P)
    names = {id(p): name for name, p in zip(flat.names, flat.parameters, strict=True)}
    for chunk in _chunks(task, 2048):
        with torch.enable_grad(), _recorded(model) as calls:
            log_p_BC = student.outputs.log_probabilities(model(chunk.x).float(), chunk.task)
        if any(len(notes) != 1 or notes[0][0].ndim != 2 for notes in calls.values()):
            return None
        inputs = [notes[0][0] for notes in calls.values()]
        outputs = [notes[0][1] for notes in calls.values()]
        for y_B, weight_B in _choices(student, log_p_BC, chunk, kind):
            chosen = log_p_BC.gather(1, y_B[:, None]).sum()
            deltas = torch.autograd.grad(chosen, outputs, retain_graph=True)
            for layer, a_BD, delta_BH in zip(calls, inputs, deltas, strict=True):
                squares_BH = delta_BH.square() * weight_B[:, None]
                total[names[id(layer.weight)]].add_(squares_BH.T @ a_BD.square())
                if isinstance(layer.bias, Tensor):
                    total[names[id(layer.bias)]].add_(squares_BH.sum(0))
    return total_P


def _per_sample(student: Student, task: Examples, kind: FisherKind) -> Tensor:
    """Σ_n of the squares for any network, by vmap over the samples of a chunk."""
    flat, model, outputs = student.flat, student.model, student.outputs
    weights = {name: value.detach() for name, value in zip(flat.names, flat.parameters, strict=True)}

    def log_likelihood(params: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        logits_BC = flat.call(model, params, x[None])
        number = chunk.task if isinstance(chunk.task, int) else int(chunk.task[0])
        return outputs.log_probabilities(logits_BC.float(), number)[0].gather(0, y[None])[0]

    gradients = vmap(grad(log_likelihood), in_dims=(None, 0, 0), randomness="different")
    total_P = torch.zeros_like(flat.grad_P)
    for chunk in _chunks(task, max(1, CHUNK_BYTES // (4 * len(flat)))):
        with torch.no_grad():
            log_p_BC = outputs.log_probabilities(model(chunk.x).float(), chunk.task)
        for y_B, weight_B in _choices(student, log_p_BC, chunk, kind):
            try:
                grads = gradients(weights, chunk.x, y_B)
            except RuntimeError as error:
                warnings.warn(f"vmap cannot run this model ({error}); one sample at a time is slow", stacklevel=2)
                each = [grad(log_likelihood)(weights, x, y) for x, y in zip(chunk.x, y_B, strict=True)]
                grads = {name: torch.stack([one[name] for one in each]) for name in flat.names}
            squares = [torch.einsum("b,b...->...", weight_B, grads[name].square()).reshape(-1) for name in flat.names]
            total_P += torch.cat(squares)
    return total_P
