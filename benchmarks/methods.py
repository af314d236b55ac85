"""What a training step and the end of a task cost with every method, beside the least that its formula must cost.

    python benchmarks/methods.py [--rounds 9] [--batch 10 128] [--methods ewc er …]
    python benchmarks/methods.py --ends [--rounds 9] [--methods ewc er …]
    python benchmarks/methods.py --importances

Permuted MNIST, MLP 256-256, third of three tasks, one thread. A step is given in microseconds of the processor (which a
busy machine does not lengthen as it does those of the clock) and in steps of finetune. The least is a loop written by
hand (`by_hand.py` says of what), in two versions: `passes` has the forward and backward passes and the optimiser's step
alone, `least` has the work on vectors and matrices too without which the formula cannot be had. Finetune, the method
and both loops take turns in one process; the figures are lower quartiles. `--ends` measures `end_task` after 10,000
examples in the same way, beside what `by_hand_ends.py` has for it; a method that is not there touches P numbers a few
times at most. `--importances` measures those of all 60,000 samples of MNIST instead, MLP 400-400, on two threads.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from by_hand import LEAST, SETTINGS, Hand
from by_hand_ends import ENDS, EXAMPLES

from lifelong import Learner, Task, stream
from lifelong.methods import METHODS, build

STEPS = 100  # the first steps after loading find the caches cold; the median passes over them


@dataclass
class Contender:
    """A learner that has two tasks behind it, kept in a file, and its third task."""

    file: Path
    third: Task

    def step(self) -> float:
        """Seconds of a step in the third task."""
        marks: list[float] = []
        Learner.load(self.file).learn(self.third, on_step=lambda _: marks.append(time.process_time()))
        return middle(marks)


def middle(marks: list[float]) -> float:
    """The median time between marks; 0 where there are none."""
    return statistics.median(after - before for before, after in pairwise(marks)) if len(marks) > 1 else 0.0


def loop(step: Callable[[], object]) -> float:
    """Seconds of a step written by hand, measured as those of a learner are."""
    marks = [time.process_time()]
    for _ in range(STEPS):
        step()
        marks.append(time.process_time())
    return middle(marks)


def contender(name: str, batch: int, folder: Path) -> Contender:
    """Learn two tasks with a method."""
    method = build(name, SETTINGS.get(name, {}))
    scenario = "domain" if "domain" in method.scenarios else method.scenarios[0]
    tasks = stream("permuted-mnist", tasks=3, scenario=scenario, samples=max(STEPS * batch, 600))
    learner = Learner("mlp:256,256", method, tasks.space, batch=batch, iterations=STEPS, lr=0.01)
    for task in tasks.first(2):
        learner.learn(task)
    learner.save(folder / f"{name}.safetensors")
    return Contender(folder / f"{name}.safetensors", tasks.task(3))


def end_task(name: str) -> float:
    """Seconds of `end_task` after a task of so many examples."""
    method = build(name, SETTINGS.get(name, {}))
    scenario = "domain" if "domain" in method.scenarios else method.scenarios[0]
    tasks = stream("permuted-mnist", tasks=1, scenario=scenario, samples=EXAMPLES)
    learner = Learner("mlp:256,256", method, tasks.space, batch=128, iterations=2, lr=0.01)
    kind, taken = type(method), list[float]()
    plain = kind.end_task

    def timed(*args: Any) -> Any:
        start = time.process_time()
        state = plain(*args)
        taken.append(time.process_time() - start)
        return state

    with mock.patch.object(kind, "end_task", timed):
        learner.learn(tasks.task(1))
    return taken[0]


def ends(methods: list[str], rounds: int) -> None:
    """Print what the end of a task costs, each method and its least in turns."""
    print("| method | end_task s | least s | ratio | the least consists of |\n|---|---|---|---|---|")
    for method in methods:
        end = ENDS.get(method)
        least = None if end is None else end.prepared()
        both = [(end_task(method), 0.0 if least is None else once(least)) for _ in range(rounds)]
        own, below = (statistics.quantiles(column, n=4)[0] for column in zip(*both, strict=True))
        words = "-" if end is None else end.words
        print(f"| {method} | {own:.3f} | {below:.3f} | {ratio(own, below)} | {words} |", flush=True)


def once(run: Callable[[], object]) -> float:
    """Seconds of a call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def importances() -> None:
    """Print the seconds that the importances of MNIST's training samples take."""
    torch.set_num_threads(2)
    tasks = stream("permuted-mnist", tasks=1, validation=0.0)
    own = tasks.task(1)
    print(f"importances of {len(own.train)} samples: seconds of the clock, of the processor")
    for name in ("ewc", "mas", "scp"):
        learner = Learner("mlp:400,400", build(name), tasks.space, batch=128, iterations=1)
        marks: list[tuple[float, float]] = []
        learner.learn(own, on_step=lambda _, marks=marks: marks.append((time.perf_counter(), time.process_time())))
        clock, processor = time.perf_counter() - marks[0][0], time.process_time() - marks[0][1]
        print(f"{name:<4} {clock:6.1f} {processor:6.1f}", flush=True)


def ratio(above: float, below: float) -> str:
    """One number over another; a line where there is no step to speak of."""
    return f"{above / below:.2f}" if above > 0 and below > 0 else "-"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, nargs="+", default=[10, 128])
    parser.add_argument("--methods", nargs="+", default=sorted(METHODS))
    parser.add_argument("--ends", action="store_true")
    parser.add_argument("--importances", action="store_true")
    options = parser.parse_args()
    if options.importances:
        importances()
        return
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if options.ends:
        ends(options.methods, options.rounds)
        return
    print("| method | batch | µs a step | ÷ finetune | ÷ passes | ÷ least | the least consists of |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for batch in options.batch:
            plainly = contender("finetune", batch, Path(name))
            for method in options.methods:
                other = contender(method, batch, Path(name))
                least = LEAST.get(method, LEAST["finetune"])
                hand = Hand(batch, Learner.load(other.file))
                passes, whole = least.passes(hand), least.whole(hand)
                rounds = [(plainly.step(), other.step(), loop(passes), loop(whole)) for _ in range(options.rounds)]
                finetune, own, short, long = (
                    statistics.quantiles(column, n=4)[0] for column in zip(*rounds, strict=True)
                )
                cells = [f"{own * 1e6:.0f}", ratio(own, finetune), ratio(own, short), ratio(own, long)]
                cells.append(least.words if own > 0 else "no step is taken")
                print(f"| {method} | {batch} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
