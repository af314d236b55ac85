"""What all tests share: tiny streams, and one thread so that bits do not depend on the machine's cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from lifelong.streams import Stream
from lifelong.types import Scenario

torch.set_num_threads(1)
settings.register_profile("lifelong", deadline=None, max_examples=60)
settings.load_profile("lifelong")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--golden` writes the golden runs anew instead of only comparing with them."""
    parser.addoption("--golden", action="store_true", help="write tests/golden anew")


@pytest.fixture
def clouds() -> Callable[..., Stream]:
    """Makes streams of Gaussian clouds, learned in a few steps."""
    return _clouds


def _clouds(scenario: Scenario, tasks: int = 3, examples: int = 60) -> Stream:
    """Tasks of two clouds in 6 dimensions; in `domain` the clouds move, else they are new classes."""
    generator = torch.Generator().manual_seed(0)
    datasets: list[tuple[object, object]] = []
    for number in range(tasks):
        centres = 2.5 * torch.randn(2, 6, generator=generator)
        first = 0 if scenario == "domain" else 2 * number
        y = torch.arange(examples) % 2
        train = centres[y] + 0.5 * torch.randn(examples, 6, generator=generator)
        test = centres[y] + 0.5 * torch.randn(examples, 6, generator=generator)
        datasets.append(((train, y + first), (test, y + first)))
    return Stream.from_datasets(datasets, scenario=scenario, validation=0.1)


@pytest.fixture
def mnist_folder() -> Path:
    """The folder with the data sets that are not embedded; the test is skipped where there is none."""
    root = os.environ.get("LIFELONG_DATA")
    if root is None or not (Path(root) / "mnist").is_dir():
        pytest.skip("needs real MNIST: set LIFELONG_DATA to a folder that has mnist/")
    return Path(root)
