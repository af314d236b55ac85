"""Gradients per sample: their squares or sizes summed over a task, or the gradients themselves.

    Σ_n Σ_y w_ny |∂ a(x_n, y) / ∂θ_i|^power        a: the answer, one number per sample; y, w: the choices of a label

The power is taken per sample, before the sum: what is made of the gradient of a batch mean depends on the batch size.

Networks of linear layers need no per-sample gradient at all: for z = W a + b the gradient of sample n is δ_n a_nᵀ, so
Σ_n |δ_n a_nᵀ|^power = (|δ|^power)ᵀ |a|^power is one matrix product, whatever the number of labels; and the inner
product of two samples' gradients is (δ_n · δ_m)(a_n · a_m). Everything else goes through `torch.func.vmap`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import grad, vmap

from lifelong.methods.base import LearnerView
from lifelong.methods.evaluating import evaluating
from lifelong.methods.linear import all_linear, deltas, hooks_see_all_uses, once, recorded
from lifelong.models import Network
from lifelong.types import Examples

__all__ = [
    "Answer",
    "Choices",
    "chunks",
    "evaluating",
    "given",
    "gradients",
    "per_sample_power_sum",
    "products",
    "subset",
]

#: logits (B, C), labels (B,), task number(s) → one number per sample (B,)
Answer = Callable[[Tensor, Tensor, "int | Tensor"], Tensor]
#: logits (B, C) and their examples → labels (B,) with weights (B,)
Choices = Callable[[Tensor, Examples], Iterator[tuple[Tensor, Tensor]]]

CHUNK_BYTES = 128 * 2**20


def given(logits_BC: Tensor, chunk: Examples) -> Iterator[tuple[Tensor, Tensor]]:
    """The choice of the label that came with the example."""
    yield chunk.y, torch.ones_like(logits_BC[:, 0])


def subset(learner: LearnerView, task: Examples, samples: int | None) -> Examples:
    """At most `samples` examples of `task`, drawn from the method's generator; all of them without drawing."""
    if samples is None or samples >= len(task):
        return task
    return task.at(torch.randperm(len(task), generator=learner.generator)[:samples].to(task.y.device))


def chunks(task: Examples, size: int) -> Iterator[Examples]:
    """The examples in order, `size` at a time."""
    for start in range(0, len(task), size):
        yield task.at(slice(start, start + size))


def per_sample_power_sum(
    learner: LearnerView, task: Examples, answer: Answer, power: Literal[1, 2], choices: Choices = given
) -> Tensor:
    """Σ_n Σ_y w |∂ answer/∂θ|^power (P,) over the examples of one task, in evaluation mode."""
    with evaluating(learner.model):
        if all_linear(learner.model) and task.x.flatten(1).shape[1] > 0 and hooks_see_all_uses(learner, task.x):
            total_P = _closed_form(learner, task, answer, power, choices)
            if total_P is not None:
                return total_P
        total_P = torch.zeros_like(learner.flat.grad_P)
        for chunk in chunks(task, _chunk_size(learner)):
            with torch.no_grad():
                logits_BC = learner.model(chunk.x).float()
            for y_B, weight_B in choices(logits_BC, chunk):
                grads = _named_gradients(learner, Examples(chunk.x, y_B, chunk.task), answer)
                sizes = [torch.einsum("b,b...->...", weight_B, _powered(grad_B, power)) for grad_B in grads]
                total_P += torch.cat([size.reshape(-1) for size in sizes])
        return total_P


def products(learner: LearnerView, task: Examples, answer: Answer) -> Tensor:
    """⟨∂ answer(x_n, y_n)/∂θ, ∂ answer(x_m, y_m)/∂θ⟩ (N, N), in evaluation mode."""
    factors = _factors(learner, task, answer)
    if factors is None:
        rows_NP = gradients(learner, task, answer)
        return rows_NP @ rows_NP.T
    gram_NN = torch.zeros(len(task), len(task), device=task.y.device)
    for layer, (delta_NH, a_ND) in factors.items():
        one = 1.0 if isinstance(layer.bias, Tensor) else 0.0
        gram_NN.addcmul_(delta_NH @ delta_NH.T, a_ND @ a_ND.T + one)
    return gram_NN


def gradients(learner: LearnerView, task: Examples, answer: Answer) -> Tensor:
    """∂ answer(x_n, y_n)/∂θ as rows (N, P), in evaluation mode."""
    model = learner.model
    if isinstance(task.task, Tensor) and isinstance(model, Network) and model.per_task:
        rows_NP = learner.flat.grad_P.new_empty(len(task), len(learner.flat))
        for number in task.task.unique().tolist():  # one sample alone does not know its row of several tasks
            own_N = task.task == number
            rows_NP[own_N] = gradients(learner, Examples(task.x[own_N], task.y[own_N], number), answer)
        return rows_NP
    factors = _factors(learner, task, answer)
    if factors is not None:
        rows_NP = learner.flat.grad_P.new_zeros(len(task), len(learner.flat))
        places = zip(learner.flat.slices.values(), learner.flat.parameters, strict=True)
        place = {id(parameter): own for own, parameter in places}
        for layer, (delta_NH, a_ND) in factors.items():
            rows_NP[:, place[id(layer.weight)]] = torch.einsum("nh,nd->nhd", delta_NH, a_ND).flatten(1)
            if isinstance(layer.bias, Tensor):
                rows_NP[:, place[id(layer.bias)]] = delta_NH
        return rows_NP
    with evaluating(model, task.task):
        parts = [
            torch.cat([grad_B.flatten(1) for grad_B in _named_gradients(learner, chunk, answer)], dim=1)
            for chunk in chunks(task, _chunk_size(learner))
        ]
        return torch.cat(parts)


def _factors(learner: LearnerView, task: Examples, answer: Answer) -> dict[nn.Module, tuple[Tensor, Tensor]] | None:
    """By layer δ (N, H) and a (N, D), whose outer products are the gradients; None where that is not so."""
    model = learner.model
    if not (all_linear(model) and hooks_see_all_uses(learner, task.x)):
        return None
    with evaluating(model, task.task), torch.enable_grad(), recorded(model) as calls:
        answer_N = answer(model(task.x).float(), task.y, task.task)
    if not once(calls, len(task)):
        return None
    each = zip(calls.items(), deltas(answer_N.sum(), calls), strict=True)
    return {layer: (delta, notes[0][0]) for (layer, notes), delta in each}


def _chunk_size(learner: LearnerView) -> int:
    return max(1, CHUNK_BYTES // (4 * len(learner.flat)))


def _powered(values: Tensor, power: Literal[1, 2]) -> Tensor:
    return values.abs() if power == 1 else values.square()


def _closed_form(
    learner: LearnerView, task: Examples, answer: Answer, power: Literal[1, 2], choices: Choices
) -> Tensor | None:
    """The sum for networks of linear layers; None where a layer is used twice or on sequences."""
    flat, model = learner.flat, learner.model
    total_P = torch.zeros_like(flat.grad_P)
    total = flat.named(total_P)
    names = {id(p): name for name, p in zip(flat.names, flat.parameters, strict=True)}
    for chunk in chunks(task, 2048):
        with torch.enable_grad(), recorded(model) as calls:
            logits_BC = model(chunk.x).float()
        if not once(calls, len(chunk)):
            return None
        inputs = [notes[0][0] for notes in calls.values()]
        sizes = [torch.zeros_like(notes[0][1]) for notes in calls.values()]
        for y_B, weight_B in choices(logits_BC.detach(), chunk):
            each = deltas(answer(logits_BC, y_B, chunk.task).sum(), calls, retain_graph=True)
            for size_BH, delta_BH in zip(sizes, each, strict=True):
                size_BH.addcmul_(_powered(delta_BH, power), weight_B[:, None])
        for layer, a_BD, size_BH in zip(calls, inputs, sizes, strict=True):
            total[names[id(layer.weight)]].addmm_(size_BH.T, _powered(a_BD, power))
            if isinstance(layer.bias, Tensor):
                total[names[id(layer.bias)]].add_(size_BH.sum(0))
    return total_P


def _named_gradients(learner: LearnerView, chunk: Examples, answer: Answer) -> list[Tensor]:
    """The gradient of every sample (B, …) for each parameter in order, for any network, by vmap."""
    flat, model = learner.flat, learner.model
    weights = {name: value.detach() for name, value in zip(flat.names, flat.parameters, strict=True)}
    number = chunk.task if isinstance(chunk.task, int) else int(chunk.task[0])

    def of_one(params: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return answer(flat.call(model, params, x[None]).float(), y[None], number)[0]

    one = grad(of_one)
    try:
        grads = vmap(one, in_dims=(None, 0, 0), randomness="different")(weights, chunk.x, chunk.y)
    except RuntimeError as error:
        warnings.warn(f"vmap cannot run this model ({error}); one sample at a time is slow", stacklevel=2)
        each = [one(weights, x, y) for x, y in zip(chunk.x, chunk.y, strict=True)]
        grads = {name: torch.stack([single[name] for single in each]) for name in flat.names}
    return [grads[name] for name in flat.names]
