"""Named networks for sequences of tokens, and the number of outputs that each target asks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lifelong import Learner, Stream
from lifelong.errors import SettingError
from lifelong.models import Network, build
from lifelong.types import Classes, Field, Labels, Numbers, Space, Target, Tokens

NAMES = ["transformer:32,2", "lstm:16"]
WORDS = Field((6,), vocabulary=9)


def _tokens(seed: int = 0) -> torch.Tensor:
    return torch.randint(1, 9, (5, 6), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", NAMES)
def test_a_later_token_changes_no_earlier_answer(name: str) -> None:
    network = build(name, Space(WORDS, Tokens(9)))
    x = _tokens()
    changed = x.clone()
    changed[:, 3] = x[:, 3] % 8 + 1
    before, after = network(x), network(changed)
    assert before.shape == (5, 6, 9)
    torch.testing.assert_close(before[:, :3], after[:, :3], rtol=0, atol=1e-6)
    assert bool((before[:, 3:] - after[:, 3:]).abs().amax((0, 2)).gt(1e-5).all()), "later ones depend on it"


@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_no_answer_about_a_whole_sequence(name: str) -> None:
    network = build(name, Space(WORDS, 4))
    x = _tokens()
    x[:, 4:] = 0
    torch.testing.assert_close(network(x), network(x[:, :4]))
    assert bool(network(torch.zeros_like(x)).isfinite().all()), "a sequence of padding alone"


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_learner_of_tokens_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    pairs = [((x, x), (x, x)) for x in (_tokens(1), _tokens(2))]
    space = Space(WORDS, Tokens(9))
    stream = Stream.from_datasets(pairs, target=Tokens(9))
    learner = Learner(name, "er", space, epochs=2, batch=2)
    learner.learn(stream.task(1))
    learner.save(tmp_path / "learner")
    loaded = Learner.load(tmp_path / "learner")
    for one in (learner, loaded):
        one.learn(stream.task(2))
    assert torch.equal(learner.flat.theta_P, loaded.flat.theta_P)


@pytest.mark.parametrize(
    "target", [Classes(7), Numbers(2), Labels(3), Tokens(9)], ids=lambda target: type(target).__name__
)
def test_a_head_for_all_has_an_output_for_each_part_of_the_target(target: Target) -> None:
    space = Space(WORDS, target)
    network = build("transformer:8,1", space)
    count = {Classes: 7, Numbers: 2, Labels: 3, Tokens: 9}[type(target)]
    assert isinstance(network, Network)
    assert network.head.classes == count
    assert network(_tokens()).shape == ((5, 6, 9) if isinstance(target, Tokens) else (5, count))
    if not isinstance(target, Tokens):
        for scenario in ("task", "class"):
            grows = build("transformer:8,1", replace(space, scenario=scenario))
            assert isinstance(grows, Network)
            assert (grows.head.grows, grows.head.classes) == (True, 0)


@pytest.mark.parametrize(
    ("name", "space", "message"),
    [
        ("lstm:8", Space((6,), 3), "reads sequences of tokens"),
        ("transformer:8", Space(Field((2, 6), vocabulary=9), 3), "reads sequences of tokens"),
        ("lstm:8,2", Space(WORDS, 3), "at most 1 sizes"),
        ("transformer:8@xavier", Space(WORDS, 3), "begins in its own way"),
    ],
)
def test_other_inputs_and_sizes_are_refused(name: str, space: Space, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        build(name, space)


def test_a_head_that_nobody_knows_is_not_passed_over_for_a_module_of_your_own() -> None:
    with pytest.raises(SettingError, match="head 'classifier' must be all, growing, per-task, or the name"):
        Learner(torch.nn.Linear(4, 3), None, Space((4,), 3), head="classifier")
