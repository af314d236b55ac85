"""What a step of ours costs beside the shortest hand-written PyTorch loop: ratios, measured side by side.

    python benchmarks/overhead.py [--rounds 41]

One process, one thread, the same model, data, batches and optimiser; contenders alternate in short rounds and the
ratio of their lower quartiles is printed, so that a machine that stalls now and then does not decide.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

from lifelong import EWC, Finetune, Learner, Space, Task

STEPS = 50


def hand_written(sizes: list[int], batch: int, x: torch.Tensor, y: torch.Tensor, adam: bool) -> Callable[[], float]:
    """The shortest loop that one would write: shuffle, index, zero, forward, backward, step."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(sizes):
        layers += [nn.Linear(wide, narrow), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    parameters = model.parameters()
    optimizer = torch.optim.Adam(parameters, lr=1e-3) if adam else torch.optim.SGD(parameters, lr=0.1)

    def measure() -> float:
        start = time.perf_counter()
        for index in torch.randperm(len(x)).split(batch)[:STEPS]:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[index]), y[index])
            torch.autograd.backward(loss)
            optimizer.step()
        return time.perf_counter() - start

    return measure


def ours(
    sizes: list[int], batch: int, x: torch.Tensor, y: torch.Tensor, adam: bool, method: Finetune | EWC
) -> Callable[[], float]:
    """A learner in its second task, so that EWC has a spring to pull."""
    name = "mlp:" + ",".join(str(size) for size in sizes[1:-1])
    optimizer, lr = ("adam", 1e-3) if adam else ("sgd", 0.1)
    space = Space((sizes[0],), sizes[-1])
    learner = Learner(name, method, space, batch=batch, iterations=STEPS, optimizer=optimizer, lr=lr)
    number = 0

    def measure() -> float:
        nonlocal number
        number += 1
        marks: list[float] = []
        task = Task.of(number, train=(x, y))

        def mark(step: int) -> None:
            if step in (1, STEPS):
                marks.append(time.perf_counter())

        learner.learn(task, on_step=mark)
        return (marks[1] - marks[0]) * STEPS / (STEPS - 1)  # the boundary of a task is no step

    return measure


def main() -> None:
    """Print the table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=41)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print(f"{'model':<20}{'batch':>6}{'optimizer':>11}{'by hand':>12}{'finetune':>12}{'ewc':>12}")
    print(f"{'':<37}{'µs a step':>12}{'÷ by hand':>12}{'÷ finetune':>12}")
    for sizes, batch in (([784, 100, 100, 10], 10), ([784, 256, 256, 10], 128)):
        generator = torch.Generator().manual_seed(0)
        x, y = torch.rand(batch * STEPS, 784, generator=generator), torch.randint(10, (batch * STEPS,))
        for adam in (False, True):
            contenders = [
                hand_written(sizes, batch, x, y, adam),
                ours(sizes, batch, x, y, adam, Finetune()),
                ours(sizes, batch, x, y, adam, EWC(strength=1.0, samples=50)),
            ]
            for contender in contenders:
                contender()
                contender()
            times = [[contender() for contender in contenders] for _ in range(rounds)]
            by_hand, finetune, ewc = (statistics.quantiles(column, n=4)[0] for column in zip(*times, strict=True))
            model = "-".join(str(size) for size in sizes)
            print(
                f"{model:<20}{batch:>6}{'adam' if adam else 'sgd':>11}{by_hand / STEPS * 1e6:>12.0f}"
                f"{finetune / by_hand:>12.2f}{ewc / finetune:>12.2f}"
            )


if __name__ == "__main__":
    main()
