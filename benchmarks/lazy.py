"""What reading batch by batch costs: peak memory of a 10 GB stream, the wait for JPEG files, and nothing in memory.

    python benchmarks/lazy.py              # all three
    python benchmarks/lazy.py memory --gigabytes 10 --workers 2
    python benchmarks/lazy.py memory --learner   # through Learner.learn in place of a loop by hand

Goals: less than 1 GB beside the model; less than 10 % of a step of ResNet-18; next to nothing in memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong import Finetune, Learner, Stream, from_folder
from lifelong.data import Lazy
from lifelong.types import Data, Examples

SIDE = 96


def peak_gigabytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def small_network(classes: int) -> nn.Module:
    """A network that is cheap beside the reading."""
    return nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3 * (SIDE // 8) ** 2, classes))


def learn_by_hand(model: nn.Module, data: Data, batch: int) -> list[tuple[float, float]]:
    """One pass of plain SGD; seconds waited for each batch, and seconds of the rest of its step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    times: list[tuple[float, float]] = []
    batches = data.batches(torch.randperm(len(data), generator=torch.Generator().manual_seed(0)), batch)
    while True:
        start = time.perf_counter()
        examples = next(batches, None)
        if examples is None:
            return times
        ready = time.perf_counter()
        optimizer.zero_grad()
        F.cross_entropy(model(examples.x), examples.y).backward()
        optimizer.step()
        times.append((ready - start, time.perf_counter() - ready))


def learn_from_disk(folder: Path, gigabytes: float, workers: int, through_learner: bool) -> None:
    """Learn a memory-mapped file; run in a process of its own, whose peak is its own."""
    rows = int(gigabytes * 1e9 / (3 * SIDE * SIDE))
    x = np.memmap(folder / "x.bin", dtype=np.uint8, mode="w+", shape=(rows, 3, SIDE, SIDE))  # sparse: pages of zeros
    x[::1000] = 255
    y = np.arange(rows) % 10
    few = (np.zeros((10, 3, SIDE, SIDE), dtype=np.uint8), np.arange(10))
    stream = Stream.from_datasets([(Lazy((x, y), workers=workers), few)])
    model = small_network(10)
    before, start = peak_gigabytes(), time.perf_counter()
    if through_learner:
        Learner(model, Finetune(), stream.space, batch=256, lr=0.01).learn(stream.task(1))
    else:
        learn_by_hand(model, stream.task(1).split("train"), 256)
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
    print(
        f"memory: {x.nbytes / 1e9:.1f} GB on disk, {rows} rows, workers {workers}, "
        f"{'Learner' if through_learner else 'by hand'}: peak {peak_gigabytes():.2f} GB, "
        f"{before:.2f} GB of it before learning"
        + (f"; the largest worker {worker:.2f} GB" if workers else "")
        + f"; {time.perf_counter() - start:.0f} s"
    )


def measure_memory(gigabytes: float, workers: int, through_learner: bool) -> None:
    """The peak of a process that learns a file larger than it may hold."""
    with tempfile.TemporaryDirectory() as place:
        arguments = (Path(place), gigabytes, workers, through_learner)
        process = multiprocessing.get_context("spawn").Process(target=learn_from_disk, args=arguments)
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(process.exitcode)


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.way = nn.Sequential(
            nn.Conv2d(width, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip
        straight = stride == 1 and width == out
        self.short = nn.Identity() if straight else nn.Sequential(nn.Conv2d(width, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.way(x) + self.short(x))


def resnet18(classes: int) -> nn.Module:
    """ResNet-18 for images of 224×224 (He et al. 2016)."""
    widths = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2),
              (512, 512, 1)]  # fmt: skip
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes)]
    return nn.Sequential(*stem, *(Block(*each) for each in widths), *tail)


def measure_wait(workers: int, batch: int = 16, steps: int = 12) -> None:
    """The part of a step of ResNet-18 that waits for JPEG files of 320×240 pixels, resized to 224×224."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        for number in range(batch * steps + 16):
            folder = Path(place) / str(number % 2)
            folder.mkdir(exist_ok=True)
            coarse = Image.fromarray(random.integers(0, 255, (30, 40, 3), dtype=np.uint8))
            coarse.resize((320, 240), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=90)
        stream = from_folder(place, size=(224, 224), lazy=True, workers=workers, test=16 / (batch * steps + 16))
        times = learn_by_hand(resnet18(2), stream.task(1).split("train"), batch)
    waited, worked = (sum(part) for part in zip(*times[1:], strict=True))
    each = 1000 / (len(times) - 1)
    print(
        f"wait: ResNet-18, {len(times) - 1} batches of {batch} JPEG files, workers {workers}: {each * waited:.1f} of "
        f"{each * (waited + worked):.0f} ms a step, {waited / (waited + worked):.1%}; "
        f"the first {1000 * times[0][0]:.0f} ms"
    )


def measure_in_memory(repeats: int = 7) -> None:
    """Batches of a stream in memory against the same rows taken by hand."""
    x, y = torch.rand(60_000, 784), torch.arange(60_000) % 10
    task = Stream.from_datasets([((x, y), (x[:10], y[:10]))]).task(1)
    data = task.split("train")
    order = torch.randperm(len(x))

    def through_data(size: int) -> None:
        for _ in data.batches(order, size):
            pass

    def by_hand(size: int) -> None:
        for index_B in order.split(size):
            Examples(x.index_select(0, index_B), y.index_select(0, index_B), 1)

    for size in (10, 128):
        micro = [1e6 * _best(function, size, repeats) * size / len(x) for function in (through_data, by_hand)]
        print(f"in memory: a batch of {size} takes {micro[0]:.1f} µs, by hand {micro[1]:.1f} µs")


def _best(function: Callable[[int], None], size: int, repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(size)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("memory", "wait", "in-memory"))
    parser.add_argument("--gigabytes", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--learner", action="store_true")
    flags = parser.parse_args()
    if flags.what in (None, "memory"):
        measure_memory(flags.gigabytes, flags.workers, flags.learner)
    if flags.what in (None, "wait"):
        measure_wait(flags.workers)
    if flags.what in (None, "in-memory"):
        measure_in_memory()


if __name__ == "__main__":
    main()
