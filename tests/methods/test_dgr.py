"""Deep generative replay: the generator's loss and steps, what is replayed, and that no example is kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lifelong.errors import DataError
from lifelong.methods import DGR, Step
from lifelong.methods.generator import (
    Generator,
    Likelihood,
    frozen_copy,
    improve,
    new_generator,
    sample,
    vae_loss,
    weight_count,
)
from lifelong.streams import Stream
from lifelong.training import Learner, serialise
from lifelong.types import Examples, Scenario

Clouds = Callable[..., Stream]
SMALL = {"latent": 3, "hidden": 8}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_its_size_and_its_first_weights() -> None:
    generator = new_generator(5, 4, 2, seeded(), torch.device("cpu"))
    layers = [(5, 4), (4, 4), (4, 4), (2, 4), (4, 4), (4, 5)]
    assert len(generator.weights) == weight_count(5, 4, 2) == sum(wide * narrow + narrow for wide, narrow in layers)
    start = 0
    for wide, narrow in layers:
        part = generator.weights[start : start + (wide + 1) * narrow]
        assert 0.5 / math.sqrt(wide) < float(part.abs().max()) <= 1 / math.sqrt(wide)
        start += len(part)


@pytest.mark.parametrize("likelihood", ["linear", "sigmoid"])
def test_its_loss_is_divergence_plus_likelihood(likelihood: Likelihood) -> None:
    generator = new_generator(5, 4, 2, seeded(), torch.device("cpu"))
    weights, x = generator.weights.double(), torch.rand(3, 5, generator=seeded(1)).double()
    ours = vae_loss(generator, weights, x, likelihood, seeded(2))

    def layers(widths: list[int], start: int, value: Tensor) -> tuple[Tensor, int]:
        for place, (wide, narrow) in enumerate(pairwise(widths)):
            matrix = weights[start : start + wide * narrow].view(narrow, wide)
            bias = weights[start + wide * narrow : start + wide * narrow + narrow]
            value = matrix @ (value.clamp_min(0) if place else value) + bias
            start += wide * narrow + narrow
        return value, start

    noise = torch.randn(3, 2, generator=seeded(2)).double()
    kl = log_p = error = 0.0
    for one, eps in zip(x, noise, strict=True):
        code, middle = layers([5, 4, 4, 4], 0, one)
        mean, log_variance = code[:2], code[2:]
        answer, _ = layers([2, 4, 4, 5], middle, mean + torch.exp(log_variance / 2) * eps)
        kl += float(torch.distributions.kl_divergence(
            torch.distributions.Normal(mean, torch.exp(log_variance / 2)), torch.distributions.Normal(0.0, 1.0)
        ).sum())  # fmt: skip
        p = torch.sigmoid(answer)
        log_p += float((one * torch.log(p) + (1 - one) * torch.log(1 - p)).sum())
        error += float((one - answer).square().sum())
    rest = -log_p / 3 if likelihood == "sigmoid" else 2.5 * math.log(error / 15)
    assert float(ours) == pytest.approx(kl / 3 + rest, abs=1e-5)


def test_its_steps_are_those_of_adam_on_the_weighted_losses() -> None:
    generator = new_generator(5, 4, 2, seeded(), torch.device("cpu"))
    twin = torch.nn.Parameter(generator.weights.clone())
    adam = torch.optim.Adam([twin], lr=0.01)
    x, old = torch.randn(6, 5, generator=seeded(1)), torch.randn(4, 5, generator=seeded(2))
    ours, theirs = seeded(3), seeded(3)
    for _ in range(5):
        improve(generator, [(0.25, x), (0.75, old)], "linear", 0.01, ours)
        adam.zero_grad()
        loss = 0.25 * vae_loss(generator, twin, x, "linear", theirs)
        torch.autograd.backward(loss + 0.75 * vae_loss(generator, twin, old, "linear", theirs))
        adam.step()
    assert torch.allclose(generator.weights, twin.detach(), atol=1e-6)


def test_what_it_draws_is_like_what_it_has_seen() -> None:
    """Two distant clouds: most draws are near one of the centres, and each is drawn."""
    generator, random = new_generator(2, 32, 2, seeded(), torch.device("cpu")), seeded(1)
    centres = torch.tensor([[3.0, 0.0], [-3.0, 0.0]])
    for _ in range(800):
        x = centres[torch.randint(2, (32,), generator=random)] + 0.3 * torch.randn(32, 2, generator=random)
        improve(generator, [(1.0, x)], "linear", 0.003, random)
    gaps = torch.cdist(sample(generator, 500, "linear", random), centres)
    assert float((gaps.amin(1) < 1.5).float().mean()) > 0.7
    assert 0.2 < float(gaps.argmin(1).float().mean()) < 0.8


def after_first_tasks(stream: Stream, method: DGR) -> tuple[Learner, Step]:
    """A learner at the first step of its last task, and that step with all examples as its batch."""
    learner = Learner("mlp:8", method, stream.space, epochs=2, seed=1)
    last = stream.task(len(stream))
    for number in range(1, len(stream)):
        learner.learn(stream.task(number))
    learner._announce(last)
    learner.state = method.begin_task(learner.state, learner, last.train)
    forward = partial(method.forward, learner.state, learner)
    return learner, Step(learner, forward, last.train, last.number, 1, 1, 1, 1, 0.1, 10.0)


@pytest.mark.parametrize("scenario", ["task", "domain", "class"])
@pytest.mark.parametrize("distill", [False, True])
def test_the_loss_mixes_new_examples_and_dreams_answered_by_the_old_network(
    clouds: Clouds, scenario: Scenario, distill: bool
) -> None:
    method = DGR(replay_batch=40, distill=distill, temperature=3.0, **SMALL)
    learner, step = after_first_tasks(clouds(scenario), method)
    twin = torch.Generator()
    twin.set_state(learner.generator.get_state())
    with torch.no_grad():  # so that the network is no longer its own teacher
        old = learner.model(step.batch.x)
        before = [p.clone() for p in learner.model.parameters()]
        learner.flat.theta_P.add_(0.1 * torch.randn(len(learner.flat), generator=seeded(5)))
    ours = method.loss(learner.state, step, Step.base_loss)

    x = sample(learner.state.previous_generator, 40, "linear", twin)
    owners = [[1, 2][int(place)] for place in torch.randint(2, (40,), generator=twin)]
    now = learner.model(x).detach().double()
    with torch.no_grad():
        for p, value in zip(learner.model.parameters(), before, strict=True):
            p.copy_(value)
        then = learner.model(x).double()
        assert torch.equal(learner.model(step.batch.x), old)
    total = 0.0
    for z, z_star, owner in zip(now, then, owners, strict=True):
        known = {"task": [[0, 1], [2, 3]][owner - 1], "domain": [0, 1], "class": [0, 1, 2, 3]}[scenario]
        counted = known if scenario != "class" else [0, 1, 2, 3, 4, 5]
        if distill:
            p, q = torch.softmax(z_star[known] / 3, 0), torch.log_softmax(z[counted] / 3, 0)[: len(known)]
            total += 9 * float((p * (p.log() - q)).sum())
        else:
            label = int(z_star[known].argmax())
            total -= float(torch.log_softmax(z[counted], 0)[label])
    expected = float(step.base_loss().detach()) / 3 + 2 / 3 * total / 40
    assert float(ours.detach()) == pytest.approx(expected, rel=1e-4)


def tensors(state: object) -> list[Tensor]:
    return list(serialise.split(state, "state")[1].values())


def test_no_example_is_kept_and_nothing_grows_with_their_number(clouds: Clouds) -> None:
    sizes = []
    for examples in (60, 600):
        stream = clouds("class", examples=examples)
        learner = Learner("mlp:8", DGR(**SMALL), stream.space)
        for task in stream:
            learner.learn(task)
        sizes.append(learner.stored_bytes)
        numbers = torch.cat([tensor.float().reshape(-1) for tensor in tensors(learner.state)])
        seen = torch.cat([task.train.x.reshape(-1) for task in stream])
        assert not bool(torch.isin(seen, numbers).any()), "not one number of an input is in the state"
    assert sizes[0] == sizes[1]


def test_the_old_generator_and_the_old_network_stay_as_they_were(clouds: Clouds) -> None:
    stream = clouds("domain", tasks=2)
    learner = Learner("mlp:8", DGR(**SMALL), stream.space, epochs=2)
    learner.learn(stream.task(1))
    weights, theta = learner.state.generator.weights.clone(), learner.flat.theta_P.detach().clone()
    learner.learn(stream.task(2))
    state = learner.state
    assert torch.equal(state.previous_generator.weights, weights)
    assert torch.equal(state.previous_model.theta_P, theta)
    assert not torch.equal(state.generator.weights, weights)
    alone: Generator = frozen_copy(state.generator)
    assert alone.weights.data_ptr() != state.generator.weights.data_ptr()


def test_inputs_that_it_cannot_make_are_refused() -> None:
    space = Stream.from_datasets([((torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])),) * 2], validation=0).space
    learner = Learner("mlp:4", DGR(output="sigmoid", **SMALL), space)
    wide = Examples(torch.tensor([[0.0, 2.0]]), torch.tensor([0]), 1)
    with pytest.raises(DataError, match="got 0 … 2"):
        learner.method.check_data(learner.state, learner, wide)
    whole = Examples(torch.zeros(1, 2, dtype=torch.int64), torch.tensor([0]), 1)
    with pytest.raises(DataError, match="floating-point"):
        learner.method.check_data(learner.state, learner, whole)


def test_sigmoid_draws_stay_in_range() -> None:
    x = sample(new_generator(6, 8, 3, seeded(), torch.device("cpu")), 100, "sigmoid", seeded(1))
    assert 0 < float(x.min()) < float(x.max()) < 1
    assert F.mse_loss(x[0], x[1]) > 0, "different codes give different inputs"
