"""Progressive networks: columns and laterals are equation 1, chosen by row."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lifelong.methods import Progressive
from lifelong.models.columns import Columns
from lifelong.streams import Stream

from .isolating import learner_of


def test_columns_are_equation_1() -> None:
    torch.manual_seed(0)
    columns = Columns([nn.Linear(5, 4), nn.Linear(4, 3)], seed=3)
    for task in (4, 7, 2):
        columns.grow(task)
    x = torch.randn(6, 5)
    hidden: list[list[Tensor]] = []
    for place, column in enumerate(columns.columns):
        weights = {name: p.detach().double() for name, p in column.named_parameters()}
        first = torch.relu(x.double() @ weights["layers.0.weight"].T + weights["layers.0.bias"])
        second = first @ weights["layers.1.weight"].T + weights["layers.1.bias"]
        for j in range(place):
            second = second + hidden[j][0] @ weights["laterals.0.weight"][:, 4 * j : 4 * j + 4].T
        second = torch.relu(second)
        features = second
        for j in range(place):
            features = features + hidden[j][1] @ weights["laterals.1.weight"][:, 3 * j : 3 * j + 3].T
        hidden.append([first, second])
        for mode in (True, False):
            columns.train(mode).select((4, 7, 2)[place])
            assert torch.allclose(columns(x).double(), features, atol=1e-5)


def test_columns_choose_by_row_and_show_what_is_to_come() -> None:
    torch.manual_seed(0)
    columns = Columns([nn.Linear(5, 4), nn.Linear(4, 3)], seed=3).eval()
    x, state = torch.randn(6, 5), torch.get_rng_state()
    columns.grow(1)
    columns.select(9)
    expected = columns(x)
    assert columns.grow(9)
    assert not columns.grow(9)
    assert torch.equal(columns(x), expected)
    assert torch.equal(torch.get_rng_state(), state)
    columns.select(torch.tensor([1, 9, 9, 1, 9, 1]))
    mixed = columns(x)
    for task, rows in ((1, [0, 3, 5]), (9, [1, 2, 4])):
        columns.select(task)
        assert torch.allclose(mixed[rows], columns(x)[rows], atol=1e-6)
    assert [p.requires_grad for p in columns.columns[0].parameters()] == [False] * 4


def test_a_progressive_network_grows_by_columns_and_laterals(clouds: Callable[..., Stream]) -> None:
    stream = clouds("task")
    learner = learner_of(Progressive(), stream, "mlp:12,10")
    for task in stream:
        learner.learn(task)
    column, lateral, head = 6 * 12 + 12 + 12 * 10 + 10, 12 * 10 + 10 * 10, 6 * 11
    assert learner.parameters == 3 * column + (0 + 1 + 2) * lateral + head
    assert len(learner.flat) == column + 2 * lateral + head
