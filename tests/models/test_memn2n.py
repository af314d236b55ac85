"""Networks that read stories: against the formulas of their papers, written as slow loops."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lifelong.errors import SettingError
from lifelong.methods.per_sample import gradients
from lifelong.models import Network, build
from lifelong.models.gru import GRU
from lifelong.models.memn2n import MemN2N
from lifelong.models.sentences import Sentences
from lifelong.training import Learner
from lifelong.types import Examples, Field, Space, Task

SPACE = Space(Field((6, 4), vocabulary=9), 5)


def stories(count: int, seed: int = 0) -> Tensor:
    """Random stories of 0 to 5 sentences of 1 to 4 words of 8, as bytes (N, 6, 4); the first row is the question."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(1, 9, (count, 6, 4), generator=generator)
    words = torch.randint(1, 5, (count, 6, 1), generator=generator)
    sentences = torch.arange(count)[:, None, None] % 6
    x = x * (torch.arange(4) < words) * (torch.arange(6)[:, None] <= sentences)
    return x.to(torch.uint8)


def position_encoded(weight: Tensor, row: list[int]) -> list[float]:
    """Σ_j l_kj A_k,x_j with l_kj = (1 − j/J) − (k/d)(1 − 2j/J), from section 4.1 of the paper; `weight` is (V, d)."""
    words = [word for word in row if word]
    big_j, d = len(words), weight.shape[1]
    return [
        sum(
            ((1 - j / big_j) - (k / d) * (1 - 2 * j / big_j)) * float(weight[word - 1, k - 1])
            for j, word in enumerate(words, start=1)
        )
        for k in range(1, d + 1)
    ]


def slow_memn2n(network: MemN2N, x: Tensor) -> list[float]:
    """u after the last hop for one story (1 + S, W), a loop for every sum in the paper."""
    d = network.size
    embeddings = [network.sentences.weight.detach()[:, k * d : (k + 1) * d] for k in range(network.hops + 1)]
    times = [network.time.detach()[:, k * d : (k + 1) * d] for k in range(network.hops + 1)]
    question, *story = x.tolist()
    u = position_encoded(embeddings[0], question)
    told = [(place, row) for place, row in enumerate(story) if any(row)]
    for hop in range(network.hops):
        at = [
            [a + float(times[hop][i, k]) for k, a in enumerate(position_encoded(embeddings[hop], row))]
            for i, row in told
        ]
        out = [
            [c + float(times[hop + 1][i, k]) for k, c in enumerate(position_encoded(embeddings[hop + 1], row))]
            for i, row in told
        ]
        scores = [math.exp(sum(a * b for a, b in zip(u, m, strict=True))) for m in at]
        shares = [score / sum(scores) for score in scores]
        u = [u[k] + sum(p * c[k] for p, c in zip(shares, out, strict=True)) for k in range(d)]
    return u


def test_sentences_are_the_position_encoding_of_the_paper_in_each_copy() -> None:
    encode = Sentences(words=9, size=3, copies=2).double().requires_grad_(False)
    x = stories(7)
    vectors = encode(x)
    for story, rows in zip(x.tolist(), vectors.tolist(), strict=True):
        for row, vector in zip(story, rows, strict=True):
            if any(row):
                expected = [*position_encoded(encode.weight[:, :3], row), *position_encoded(encode.weight[:, 3:], row)]
                assert vector == pytest.approx(expected, abs=1e-12)
            else:
                assert vector == [0.0] * 6


def test_memn2n_is_the_papers_equations() -> None:
    torch.manual_seed(0)
    network = MemN2N(words=9, sentences=5, size=3, hops=3).double().eval()
    with torch.no_grad():
        network.sentences.weight.mul_(10)
        network.time.mul_(10)
    x = stories(12)
    answers = network(x)
    for story, answer in zip(x, answers, strict=True):
        assert answer.tolist() == pytest.approx(slow_memn2n(network, story), abs=1e-11)


def test_noise_moves_sentences_back_in_time_and_never_changes_their_order() -> None:
    network = MemN2N(words=9, sentences=40, size=3, hops=1, noise=0.1)
    torch.manual_seed(0)
    told = torch.ones(500, 30, dtype=torch.bool)
    moved = network._later(told)
    steps = moved.diff(dim=1)
    assert set(steps[moved[:, 1:] < 39].tolist()) == {1, 2}
    mean = float((moved[:, 9] - 9).float().mean())
    assert mean == pytest.approx(10 * 0.1, abs=0.15)  # 500 draws of deviation 0.95: ±0.13
    network.eval()
    assert torch.equal(network._later(told), torch.arange(30).expand(500, 30))


def test_gru_is_torchs_over_the_sentences_from_the_oldest_to_the_question() -> None:
    torch.manual_seed(0)
    network = GRU(words=9, size=3, hidden=4).double()
    peer = torch.nn.GRU(3, 4, batch_first=True).double()
    peer.load_state_dict(
        {
            "weight_ih_l0": network.input.weight,
            "bias_ih_l0": network.input.bias,
            "weight_hh_l0": network.state.weight,
            "bias_hh_l0": network.state.bias,
        }
    )
    x = stories(12)
    for story, answer in zip(x, network(x), strict=True):
        read = torch.stack([network.sentences(row[None, None])[0, 0] for row in story.flip(0) if row.any()])
        torch.testing.assert_close(answer, peer(read[None])[1][0, 0], atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["memn2n:3,2", "gru:3,4"])
def test_an_answer_does_not_depend_on_the_batch_nor_on_room_that_is_not_used(name: str) -> None:
    network = build(name, SPACE, seed=1).double().eval()
    x = stories(12)
    together = network(x)
    for row, answer in zip(x, together, strict=True):
        torch.testing.assert_close(network(row[None])[0], answer, atol=1e-12, rtol=0)
    assert not (x[:, 1:] > 0).any(-1).any(-1).all()  # questions without a story are among them
    assert torch.isfinite(together).all()


@pytest.mark.parametrize("name", ["memn2n:3,2", "gru:3,4"])
def test_gradients_per_sample_are_those_of_samples_alone_and_vmap_runs_them(name: str) -> None:
    learner = Learner(name, None, SPACE, seed=2)
    x, y = stories(10), torch.arange(10) % 5

    def loss(logits_BC: Tensor, y_B: Tensor, task: int | Tensor) -> Tensor:
        return F.cross_entropy(logits_BC, y_B, reduction="none")

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no fall-back to a loop
        rows_NP = gradients(learner, Examples(x, y, 1), loss)
    learner.model.eval()
    for row_P, one, label in zip(rows_NP, x, y, strict=True):
        alone_P = learner.flat.gradient(F.cross_entropy(learner.model(one[None]), label[None]))
        torch.testing.assert_close(row_P, alone_P, atol=1e-6, rtol=1e-4)


def test_a_learner_saved_within_a_task_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """The noise in time is drawn from random numbers that are saved too, and so is the number of words."""
    x, y = stories(60), torch.arange(60) % 5
    task = Task.of(1, train=(x, y), test=(x, y))
    whole = Learner("memn2n:4,2", None, SPACE, optimizer="adam", lr=0.01, epochs=4, batch=20, seed=3)

    def save(step: int) -> None:
        if step == 5:
            whole.save(tmp_path / "learner.safetensors")

    whole.learn(task, on_step=save)
    again = Learner.load(tmp_path / "learner.safetensors")
    assert again.space == SPACE
    again.learn(task)
    assert torch.equal(again.flat.theta_P, whole.flat.theta_P)


@pytest.mark.parametrize(("name", "least"), [("memn2n:16,2", 0.8), ("gru:16,32", 0.4)])
def test_the_last_place_named_is_learned(name: str, least: float) -> None:
    """The answer is the last word of the newest sentence that begins with the word asked for."""
    generator = torch.Generator().manual_seed(0)
    asked = torch.randint(1, 4, (600, 1), generator=generator)
    who = torch.randint(1, 4, (600, 5), generator=generator)
    who[:, 4] = asked[:, 0]  # so that there is always an answer
    place = torch.randint(4, 9, (600, 5), generator=generator)
    x = torch.zeros(600, 6, 4, dtype=torch.uint8)
    x[:, 0, 0], x[:, 1:, 0], x[:, 1:, 1] = asked[:, 0], who, place
    newest = (who == asked).int().argmax(1)
    y = place[torch.arange(600), newest] - 4
    learner = Learner(name, None, SPACE, optimizer="adam", lr=0.01, epochs=15, seed=0)
    task = Task.of(1, train=(x[:500], y[:500]), test=(x[500:], y[500:]))
    learner.learn(task)
    assert learner.accuracy(task) > least  # a guess is right in 0.2


def test_names_say_sizes_and_wrong_ones_are_refused() -> None:
    network = build("memn2n", SPACE)
    assert isinstance(network, Network)
    assert isinstance(network.backbone, MemN2N)
    assert (network.backbone.size, network.backbone.hops, network.head.features) == (50, 3, 50)
    smaller = build("memn2n:20", SPACE).backbone
    assert isinstance(smaller, MemN2N)
    assert (smaller.size, smaller.hops) == (20, 3)
    assert build("gru:20,30", SPACE).head.features == 30
    with pytest.raises(SettingError, match="reads stories of words"):
        build("memn2n", Space((1, 8, 8), 10))
    with pytest.raises(SettingError, match="these inputs are words; use memn2n or gru"):
        build("mlp:20", SPACE)
    with pytest.raises(SettingError, match="at most two sizes"):
        build("gru:20,30,40", SPACE)
    with pytest.raises(SettingError, match="begins in its own way"):
        build("memn2n@xavier", SPACE)
    with pytest.raises(SettingError, match="did you mean 'memn2n'"):
        build("memnn", SPACE)
