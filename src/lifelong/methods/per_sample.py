"""Gradients per sample: their squares or sizes summed over a task, the gradients themselves, or those of several tasks.

    Σ_n Σ_y w_ny |∂ a(x_n, y) / ∂θ_i|^power        a: the answer, one number per sample; y, w: the choices of a target

The power is taken per sample, before the sum: what is made of the gradient of a batch mean depends on the batch size.
There are three ways to them, and the first that agrees with plain autograd on a few examples is taken (`way_of`):

* `layers`: usual layers note their inputs a and the gradients δ of their outputs. For z = W a + b the gradient of a
  sample is Σ_l δ_l a_lᵀ over its positions l; convolutions are linear in their patches, embeddings in one-hot rows,
  normalisations in what they normalised. With one position Σ_n |δ_n a_nᵀ|^power = (|δ|^power)ᵀ |a|^power is one product
  of matrices, whatever the number of targets, and the inner product of two samples' gradients (δ_n · δ_m)(a_n · a_m).
* `func`: `torch.func.vmap`, for recurrent and attention layers and weights that are used in other ways.
* `single`: plain autograd, one example after the other, for what `torch.func` cannot run; it is announced
  (`announce_cost`) before a task is learned.

Suffixes: B batch, D inputs and H outputs of a layer, L positions, M examples of each task, N examples, P parameters.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.func import grad, vmap
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from lifelong.memory import kind_of
from lifelong.methods.base import LearnerView, Step
from lifelong.methods.inference import chunks, evaluating, number_of, uncompiled
from lifelong.methods.unrolled import unrolling
from lifelong.models import Head, per_task_parts
from lifelong.types import Data, Examples, Tree, tree_map

__all__ = [
    "Answer",
    "Choices",
    "Way",
    "announce_cost",
    "given_labels",
    "gradients",
    "per_sample_power_sum",
    "products",
    "task_gradients",
    "way_of",
]

#: answers (B, …), targets (B, …), task number(s) → one number per sample (B,)
Answer = Callable[[Tensor, Tree, "int | Tensor"], Tensor]
#: answers (B, …) and their examples → targets (B, …) with weights (B,)
Choices = Callable[[Tensor, Examples], Iterator[tuple[Tree, Tensor]]]
#: by layer, for each of its calls, its inputs a and outputs z
Calls = dict[nn.Module, list[tuple[Tensor, Tensor]]]
#: a layer, its inputs and the gradients of its outputs → the gradients of each sample by name of the parameter
Rule = Callable[[Any, Tensor, Tensor], dict[str, Tensor]]

CHUNK_BYTES = 128 * 2**20
CHUNK = 2048  # examples at once where no gradient of a single one is made
PROBE = 64  # examples that are enough to tell
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Way:
    """How the gradients per sample of a network are taken.

    Args:
        kind: See the top of this file.
        vectors: Every layer is linear and called once, on one vector of each example.
        complete: What the calls of the layers tell is all that the network does with its weights.
        reason: Why no faster way is taken.
    """

    kind: Literal["layers", "func", "single"]
    vectors: bool = False
    complete: bool = False
    reason: str = ""


def given_labels(answer: Tensor, chunk: Examples) -> Iterator[tuple[Tree, Tensor]]:
    """The choice of the target that came with the example."""
    yield chunk.y, torch.ones(len(answer), device=answer.device)


def per_sample_power_sum(
    learner: LearnerView, data: Data, answer: Answer, power: Literal[1, 2], choices: Choices = given_labels
) -> Tensor:
    """Σ_n Σ_y w |∂ answer/∂θ|^power (P,) over the examples of one task, in evaluation mode."""
    way = way_of(learner, data)
    total_P = torch.zeros_like(learner.flat.grad_P)
    with evaluating(learner.model):
        for chunk in chunks(learner, data, CHUNK if way.vectors else _chunk_size(learner)):
            if way.kind == "layers" and _add_by_layers(learner, chunk, answer, power, choices, total_P):
                continue
            with torch.no_grad():
                answer_B = learner.model(chunk.x).float()
            for y, weight_B in choices(answer_B, chunk):
                grads = _rows(learner, Examples(chunk.x, y, chunk.task), answer, way)
                sizes = [torch.einsum("b,b...->...", weight_B.to(grad_B), _powered(grad_B, power)) for grad_B in grads]
                total_P += torch.cat([size.reshape(-1) for size in sizes])
    return total_P


def products(learner: LearnerView, examples: Examples, answer: Answer) -> Tensor:
    """⟨∂ answer(x_n, y_n)/∂θ, ∂ answer(x_m, y_m)/∂θ⟩ (N, N), in evaluation mode."""
    if way_of(learner, examples).vectors:
        noted = _noted(learner, examples, answer)
        if noted is not None and _on_vectors(noted[0], len(examples)):
            gram_NN = torch.zeros(len(examples), len(examples), device=examples.device)
            for (layer, notes), delta_NH in zip(noted[0].items(), noted[1], strict=True):
                bias = 1.0 if isinstance(layer.bias, Tensor) else 0.0
                gram_NN.addcmul_(delta_NH @ delta_NH.T, notes[0][0] @ notes[0][0].T + bias)
            return gram_NN
    rows_NP = gradients(learner, examples, answer)
    return rows_NP @ rows_NP.T


def gradients(learner: LearnerView, examples: Examples, answer: Answer) -> Tensor:
    """∂ answer(x_n, y_n)/∂θ as rows (N, P), in evaluation mode."""
    way, flat, task = way_of(learner, examples), learner.flat, examples.task
    if isinstance(task, Tensor) and (_differs(learner) or way.kind != "layers"):
        rows_NP = flat.grad_P.new_empty(len(examples), len(flat))
        for number in task.unique().tolist():  # one sample alone does not know its row of several tasks
            same_N = task == number
            rows_NP[same_N] = gradients(learner, examples.at(same_N).with_task(number), answer)
        return rows_NP
    parts: list[Tensor] = []
    for chunk in chunks(learner, examples, CHUNK if way.vectors else _chunk_size(learner)):
        rows = None
        if way.kind == "layers":
            noted = _noted(learner, chunk, answer)
            rows = None if noted is None else _by_parameter(learner, *noted, len(chunk))
        if rows is None:
            with evaluating(learner.model, chunk.task):
                rows = _rows(learner, chunk, answer, way)
        parts.append(torch.cat([grad_B.reshape(len(chunk), -1) for grad_B in rows], dim=1))
    return torch.cat(parts)


def task_gradients(step: Step, tasks: Sequence[Examples]) -> Tensor:
    """The gradient of the mean loss on each of `tasks`, as rows (T, P).

    For a layer z = W a + b the gradient of task t is Σ_m δ_m a_mᵀ and Σ_m δ_m over its own examples, δ = ∂loss/∂z. So
    where the network is of linear layers, each used once, and the memories are of one size, one pass over all examples
    and one batched product per layer give all rows; else there is a pass for each task.
    """
    alike = len({(len(examples), kind_of(examples)) for examples in tasks}) == 1
    if len(tasks) > 1 and alike and way_of(step.learner, tasks[0]).vectors:
        rows_TP = _at_once(step, tasks)
        if rows_TP is not None:
            return rows_TP
    return torch.stack([step.gradient_on(examples) for examples in tasks])


def announce_cost(learner: LearnerView, data: Data, method: str) -> None:
    """Warn, once for a network, that gradients per sample are taken one by one; asked before a task is learned."""
    way, notes = way_of(learner, data), learner.flat.notes
    if way.kind == "single" and "announced" not in notes:
        notes["announced"] = True
        warnings.warn(
            f"{method} needs the gradient of every example, and this network gives them one by one only, which is "
            f"slow ({way.reason}); usual layers, or operations that torch.func knows, give them at once",
            stacklevel=2,
        )


# --- the way ---


def way_of(learner: LearnerView, data: Data) -> Way:
    """The fastest way to gradients per sample that agrees with plain autograd on a few of the inputs of `data`.

    Asked once of every network, of one that differs from task to task once of each: the answer is noted with the
    parameters.
    """
    task = data.task if isinstance(data, Examples) and _differs(learner) else None
    if isinstance(task, Tensor):
        ways = [way_of(learner, data.at(task == number).with_task(number)) for number in task.unique().tolist()]
        return max(ways, key=lambda way: (["layers", "func", "single"].index(way.kind), not way.vectors))
    notes, key = learner.flat.notes, f"way of {number_of(data)}" if _differs(learner) else "way"
    if key in notes:
        return cast(Way, notes[key])
    probe = data.at(slice(0, min(len(data), PROBE, max(2, _chunk_size(learner)))))
    probe = probe.with_task(number_of(probe)).to(learner.flat.theta_P.device)
    with evaluating(learner.model, probe.task):
        way, certain = _try_ways(learner, probe)
    if certain:
        notes[key] = way
    return way


def _differs(learner: LearnerView) -> bool:
    """Whether the network has something of its own for every task."""
    return len(per_task_parts(learner.model)) > 0


def _try_ways(learner: LearnerView, probe: Examples) -> tuple[Way, bool]:
    """The way, and whether there was a gradient to tell by."""
    model, flat, size = learner.model, learner.flat, len(probe)
    place_B = torch.arange(size, device=flat.theta_P.device)

    def value(answer: Tensor, y: Tree, task: int | Tensor) -> Tensor:
        # every output with a weight of its own, which differs from one example to the next
        flat_BC = answer.reshape(len(answer), -1)
        weight_C = torch.linspace(-1, 1, flat_BC.shape[1] + 1, device=flat_BC.device)[1:]
        return (flat_BC * (weight_C + 0.01 * y[:, None])).sum(1)

    examples = Examples(probe.x, place_B, probe.task)
    with torch.enable_grad(), _recorded(learner) as calls:
        answer_B = value(model(probe.x).float(), place_B, probe.task)
    delta = _deltas(answer_B.sum(), calls, *flat.parameters)
    count = len(delta) - len(flat.parameters)
    grads = [each.to_dense() if each.is_sparse else each for each in delta[count:]]
    least = 1e-6 * max((float(each.norm()) for each in grads), default=0.0)
    complete = all(
        float((total - each).norm()) <= TOLERANCE * float(each.norm()) + least
        for total, each in zip(_sums(learner, calls, delta[:count]), grads, strict=True)
    )
    vectors = complete and all(type(layer) in (nn.Linear, Head) for layer in calls) and _on_vectors(calls, size)
    vectors = vectors and len({id(p) for layer in calls for p in layer.parameters(recurse=False)}) == len(flat.names)
    if complete and vectors:
        return Way("layers", vectors, complete), least > 0
    few = examples.at(torch.tensor([0, size - 1], device=place_B.device))
    right = [_single(learner, few.at(slice(row, row + 1)), value) for row in range(2)]

    def agrees(rows: list[Tensor] | None) -> bool:
        return rows is not None and all(
            float((rows_B[row] - expected).norm()) <= TOLERANCE * float(expected.norm()) + least
            for row in (0, -1)
            for rows_B, expected in zip(rows, right[row], strict=True)
        )

    if complete and agrees(_by_parameter(learner, calls, delta[:count], size)):
        return Way("layers", complete=complete), least > 0
    try:
        reason = "torch.func gives other gradients than autograd"
        if agrees(_by_func(learner, few, value)):
            return Way("func", complete=complete), least > 0
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        reason = f"torch.func: {(str(error).splitlines() or [type(error).__name__])[0][:200]}"
    return Way("single", complete=complete, reason=reason), least > 0


def _sums(learner: LearnerView, calls: Calls, delta: Sequence[Tensor]) -> list[Tensor]:
    """The gradient of each parameter, summed over all calls of its layers."""
    sums = {id(p): torch.zeros_like(p) for p in learner.flat.parameters}
    each = iter(delta)
    for layer, notes in calls.items():
        for (a, _), d in zip(notes, each, strict=False):
            if type(layer) in (nn.Linear, Head):  # without the gradient of any sample: weights may be many
                found = {"weight": d.flatten(0, -2).T @ a.flatten(0, -2).to(d.dtype), "bias": d.flatten(0, -2).sum(0)}
            else:
                found = {name: rows.sum(0) for name, rows in RULES[type(layer)](layer, a, d).items()}
            for name, total in found.items():
                parameter = getattr(layer, name)
                if id(parameter) in sums:
                    sums[id(parameter)] += total.view_as(parameter)
    return list(sums.values())


# --- layers ---


@contextmanager
def _recorded(learner: LearnerView) -> Iterator[Calls]:
    """Inside the block usual layers note their inputs a and outputs z, where a gradient may come back by z."""
    calls: Calls = {}
    trained = {id(p) for p in learner.flat.parameters}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if not inputs or not output.requires_grad:
            return output  # called without gradients, which it then has no part in
        calls.setdefault(module, []).append((inputs[0].detach(), output))
        return output.clone()  # so that a later in-place ReLU cannot change the z that was noted

    handles = [
        layer.register_forward_hook(note)
        for layer in learner.model.modules()
        if type(layer) in RULES and any(id(p) in trained for p in layer.parameters(recurse=False))
    ]
    try:
        with uncompiled():
            yield calls
    finally:
        for handle in handles:
            handle.remove()


def _noted(learner: LearnerView, examples: Examples, answer: Answer) -> tuple[Calls, tuple[Tensor, ...]] | None:
    """The calls and the gradients of their outputs; None where a call is not one row for each example."""
    with evaluating(learner.model, examples.task), torch.enable_grad(), _recorded(learner) as calls:
        answer_B = answer(learner.model(examples.x).float(), examples.y, examples.task)
    return (calls, _deltas(answer_B.sum(), calls)) if _aligned(calls, len(examples)) else None


def _aligned(calls: Calls, samples: int) -> bool:
    return all(len(a) == samples == len(z) for notes in calls.values() for a, z in notes)


def _on_vectors(calls: Calls, samples: int) -> bool:
    """Whether every layer was used once, on one vector for each of the samples."""
    return all(len(notes) == 1 and notes[0][0].ndim == 2 and len(notes[0][0]) == samples for notes in calls.values())


def _deltas(value: Tensor, calls: Calls, *more: Tensor, retain_graph: bool = False) -> tuple[Tensor, ...]:
    """∂ value/∂z for every call in order, then ∂ value/∂ for each of `more`; zeros where `value` does not use it."""
    outputs = [output for notes in calls.values() for _, output in notes]
    return torch.autograd.grad(
        value, [*outputs, *more], retain_graph=retain_graph, allow_unused=True, materialize_grads=True
    )


def _by_parameter(
    learner: LearnerView, calls: Calls, delta: Sequence[Tensor], samples: int, skip: frozenset[int] = frozenset()
) -> list[Tensor] | None:
    """The gradients of each sample (B, …) for each parameter in order, empty for those in `skip` (by id).

    None where a call is not one row for each example.
    """
    if not _aligned(calls, samples):
        return None
    rows: dict[int, Tensor] = {}
    each = iter(delta)
    for layer, notes in calls.items():
        for (a, _), d in zip(notes, each, strict=False):
            if id(layer.weight) in skip:
                continue
            for name, found in RULES[type(layer)](layer, a, d).items():
                parameter = getattr(layer, name)
                rows[id(parameter)] = rows[id(parameter)] + found if id(parameter) in rows else found
    return [
        p.new_zeros(samples, 0)
        if id(p) in skip
        else (rows[id(p)].reshape(samples, *p.shape) if id(p) in rows else p.new_zeros(samples, *p.shape))
        for p in learner.flat.parameters
    ]


def _add_by_layers(
    learner: LearnerView, chunk: Examples, answer: Answer, power: Literal[1, 2], choices: Choices, total_P: Tensor
) -> bool:
    """Add the sum over a chunk to `total_P`; False, and nothing added, where a call is not one row for each example."""
    flat, size = learner.flat, len(chunk)
    total = flat.views(total_P)
    where = {id(p): place for place, p in enumerate(flat.parameters)}
    with torch.enable_grad(), _recorded(learner) as calls:
        answer_B = learner.model(chunk.x).float()
    if not _aligned(calls, size):
        return False
    owners = [id(p) for layer in calls for p in layer.parameters(recurse=False)]
    # layers whose gradients of single samples need not be made
    plain = {
        layer: torch.zeros_like(notes[0][1])
        for layer, notes in calls.items()
        if type(layer) in (nn.Linear, Head)
        and _on_vectors({layer: notes}, size)
        and owners.count(id(layer.weight)) == 1
        and all(id(p) in where for p in layer.parameters(recurse=False))
    }
    skip = frozenset(id(p) for layer in plain for p in layer.parameters(recurse=False))
    starts = dict(zip(calls, torch.tensor([0, *map(len, calls.values())]).cumsum(0).tolist(), strict=False))
    for y, weight_B in choices(answer_B.detach(), chunk):
        delta = _deltas(answer(answer_B, y, chunk.task).sum(), calls, retain_graph=True)
        for layer, size_BH in plain.items():
            size_BH.addcmul_(_powered(delta[starts[layer]], power), weight_B[:, None])
        if len(plain) < len(calls):
            rows = _by_parameter(learner, calls, delta, size, skip)
            for place, row_B in enumerate(rows or []):
                if id(flat.parameters[place]) not in skip:
                    total[place] += torch.einsum("b,b...->...", weight_B, _powered(row_B, power))
    for layer, size_BH in plain.items():
        total[where[id(layer.weight)]].addmm_(size_BH.T, _powered(calls[layer][0][0], power))
        if isinstance(layer.bias, Tensor):
            total[where[id(layer.bias)]].add_(size_BH.sum(0))
    return True


def _linear(layer: nn.Linear | Head, a: Tensor, delta: Tensor) -> dict[str, Tensor]:
    if a.ndim == 2:
        return {"weight": torch.einsum("bh,bd->bhd", delta, a), "bias": delta}
    a_BLD, delta_BLH = a.flatten(1, -2), delta.flatten(1, -2)
    return {"weight": delta_BLH.mT @ a_BLD, "bias": delta_BLH.sum(1)}


def _convolution(layer: nn.Conv1d | nn.Conv2d, a: Tensor, delta: Tensor) -> dict[str, Tensor]:
    flat = isinstance(layer, nn.Conv1d)
    one = (1,) if flat else ()
    sizes = [(*one, *size) for size in (layer.kernel_size, layer.dilation, layer.stride)]
    padding: Any = layer.padding
    if isinstance(padding, str):  # "same" pads on both sides, one more on the right where it must
        whole = [
            (k - 1) * d if padding == "same" else 0 for k, d in zip(layer.kernel_size, layer.dilation, strict=True)
        ]
        sides = [side for pad in reversed(whole) for side in (pad // 2, pad - pad // 2)]
    else:
        sides = [side for pad in reversed(padding) for side in (pad, pad)]
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    a = F.pad(a, sides, mode=mode) if any(sides) else a
    (kernel, dilation, stride), groups = sizes, layer.groups
    patches_BDL = F.unfold(a[:, :, None] if flat else a, kernel, dilation, 0, stride)
    a_BGDL = patches_BDL.unflatten(1, (groups, -1))
    delta_BGHL = delta.flatten(2).unflatten(1, (groups, -1))
    return {"weight": (delta_BGHL @ a_BGDL.mT).flatten(1), "bias": delta.flatten(2).sum(2)}


def _embedding(layer: nn.Embedding, a: Tensor, delta: Tensor) -> dict[str, Tensor]:
    count, width = layer.weight.shape
    place_B = torch.arange(len(a), device=a.device).view(-1, *[1] * (a.ndim - 1))
    rows = delta.new_zeros(len(a) * count, width)
    rows.index_add_(0, (a + place_B * count).flatten(), delta.flatten(0, -2))
    rows = rows.view(len(a), count, width)
    if layer.padding_idx is not None:
        rows[:, layer.padding_idx] = 0
    return {"weight": rows}


def _layer_norm(layer: nn.LayerNorm, a: Tensor, delta: Tensor) -> dict[str, Tensor]:
    normal = F.layer_norm(a, layer.normalized_shape, eps=layer.eps)
    keep = len(layer.normalized_shape)
    product, plain = (
        each.flatten(1, -keep - 1) if each.ndim > keep + 1 else each[:, None] for each in (delta * normal, delta)
    )
    return {"weight": product.sum(1), "bias": plain.sum(1)}


def _group_norm(layer: nn.GroupNorm, a: Tensor, delta: Tensor) -> dict[str, Tensor]:
    return _per_channel(F.group_norm(a, layer.num_groups, eps=layer.eps), delta)


def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d, a: Tensor, delta: Tensor) -> dict[str, Tensor]:
    if layer.running_mean is None:  # each sample is normalised by the others: the comparison with autograd refuses it
        return {}
    return _per_channel(F.batch_norm(a, layer.running_mean, layer.running_var, eps=layer.eps), delta)


def _per_channel(normal: Tensor, delta: Tensor) -> dict[str, Tensor]:
    product, plain = ((each if each.ndim > 2 else each[:, :, None]).flatten(2) for each in (delta * normal, delta))
    return {"weight": product.sum(2), "bias": plain.sum(2)}


RULES: dict[type[nn.Module], Rule] = {
    nn.Linear: _linear,
    Head: _linear,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.Embedding: _embedding,
    nn.LayerNorm: _layer_norm,
    nn.GroupNorm: _group_norm,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
}


# --- any network ---


def _chunk_size(learner: LearnerView) -> int:
    return max(1, CHUNK_BYTES // (4 * max(1, len(learner.flat))))


def _powered(values: Tensor, power: Literal[1, 2]) -> Tensor:
    return values.abs() if power == 1 else values.square()


def _rows(learner: LearnerView, chunk: Examples, answer: Answer, way: Way) -> list[Tensor]:
    """The gradient of every sample (B, …) for each parameter in order, without the layers' help."""
    if way.kind == "func":
        return _by_func(learner, chunk, answer)
    each = [_single(learner, chunk.at(slice(row, row + 1)), answer) for row in range(len(chunk))]
    return [torch.stack(rows) for rows in zip(*each, strict=True)]


def _single(learner: LearnerView, one: Examples, answer: Answer) -> list[Tensor]:
    """The gradient of one example for each parameter, by plain autograd."""
    with torch.enable_grad():
        value = answer(learner.model(one.x).float(), one.y, one.task).sum()
        return learner.flat.views(learner.flat.gradient(value))


def _by_func(learner: LearnerView, chunk: Examples, answer: Answer) -> list[Tensor]:
    """The gradients of all examples by vmap."""
    flat, model = learner.flat, learner.model
    weights = {name: value.detach() for name, value in zip(flat.names, flat.parameters, strict=True)}
    number = chunk.task if isinstance(chunk.task, int) else int(chunk.task[0])

    def of_one(params: dict[str, Tensor], x: Tree, y: Tree) -> Tensor:
        x, y = (tree_map(lambda leaf: leaf[None], tree) for tree in (x, y))
        return answer(flat.call(model, params, x).float(), y, number)[0]

    # without the fused kernels of attention and recurrence, which vmap does not know
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), unrolling(model):
            grads = vmap(grad(of_one), in_dims=(None, 0, 0), randomness="different")(weights, chunk.x, chunk.y)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return [grads[name] for name in flat.names]


def _at_once(step: Step, tasks: Sequence[Examples]) -> Tensor | None:
    """The gradients of several tasks; None where the pass does not go once through every layer, or not in float32."""
    learner, count, size = step.learner, len(tasks), len(tasks[0])
    flat, together = learner.flat, Examples.cat(tasks)
    with _recorded(learner) as calls:
        answer_B = step.on(together).answer
    if not (_on_vectors(calls, len(together)) and answer_B.dtype == flat.grad_P.dtype):
        return None
    loss = learner.objective.losses(answer_B, together.y, together.task_numbers()).sum() / size
    rows_TP = flat.grad_P.new_empty(count, len(flat))
    rows = {id(p): rows_TP[:, flat.slices[name]] for name, p in zip(flat.names, flat.parameters, strict=True)}
    for (layer, notes), delta_BH in zip(calls.items(), _deltas(loss, calls), strict=True):
        delta_TMH, a_TMD = delta_BH.view(count, size, -1), notes[0][0].view(count, size, -1)
        rows[id(layer.weight)].copy_((delta_TMH.mT @ a_TMD).flatten(1))
        if isinstance(layer.bias, Tensor):
            rows[id(layer.bias)].copy_(delta_TMH.sum(1))
    return rows_TP
