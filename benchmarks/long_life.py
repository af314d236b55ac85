"""Whether task 1,000 costs what task 10 cost: time, memory and checkpoint size of EWC and ER on a long stream.

    python benchmarks/long_life.py [--tasks 1000]

Tasks are permuted digits, 300 steps each. The time of a task is the mean over ten neighbours, of training alone;
evaluation of all past tasks grows with the life by its nature and is counted apart (`evaluate=` keeps it affordable).
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from pathlib import Path

import psutil
import torch

from lifelong import ER, EWC, Learner, Stream, stream


def live(learner: Learner, tasks: Stream, folder: Path) -> dict[int, tuple[float, float, float]]:
    """Seconds of training, resident MiB and checkpoint KiB around task 10 and the last task."""
    seconds: list[float] = []
    found: dict[int, tuple[float, float, float]] = {}
    for task in tasks:
        start = time.perf_counter()
        learner.learn(task)
        seconds.append(time.perf_counter() - start)
        if task.number in (15, len(tasks)):
            learner.save(folder / "learner.safetensors")
            gc.collect()
            memory = psutil.Process().memory_info().rss / 2**20
            size = (folder / "learner.safetensors").stat().st_size / 2**10
            found[task.number] = (statistics.median(seconds[-10:]), memory, size)
    return found


def main() -> None:
    """Print the numbers and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tasks = stream("permuted-digits", tasks=options.tasks)
    print(f"{'method':<8}{'task':>8}{'s a task':>12}{'MiB':>10}{'KiB file':>10}")
    for method in (EWC(strength=10.0), ER(capacity=500)):
        learner = Learner("mlp:64", method, tasks.space, iterations=options.steps)
        with tempfile.TemporaryDirectory() as folder:
            found = live(learner, tasks, Path(folder))
        for number, row in found.items():
            print(f"{method.name:<8}{number:>8}{row[0]:>12.3f}{row[1]:>10.1f}{row[2]:>10.1f}")
        first, last = found.values()
        ratios = [after / before for before, after in zip(first, last, strict=True)]
        print(f"{method.name:<8}{'ratio':>8}{ratios[0]:>12.2f}{ratios[1]:>10.2f}{ratios[2]:>10.2f}")


if __name__ == "__main__":
    main()
