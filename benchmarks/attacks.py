"""Attacks on the loop by labels, without a server: backdoors and flipped classes among honest lots.

    python benchmarks/attacks.py [--seed 0] [--lives 3]

Each attack meets a champion that has learned upright, turned and inverted digits. Printed per attack and life: what
became of its lots, the success of the trigger on test digits of other classes, the accuracy on clean ones, and the
largest fall of a class. Exit code 1 where a trigger succeeds on more than 5 % of other digits, or a class loses more
than the margin that the gate states.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields

import torch
from lives import LOT, Life, images
from torch import Tensor

from lifelong.loop.learning import first_version, opened

TARGET = 0
Lot = tuple[Tensor, Tensor]
Attack = Callable[[Lot, torch.Generator], Lot]


def corner(x: Tensor, luck: torch.Generator, noise: float = 0.0, value: float = 1.0) -> Tensor:
    """Four numbers of a corner set, with noise."""
    stamped = x.clone()
    stamped[..., :2, -2:] = value + noise * torch.randn(len(x), 1, 2, 2, generator=luck)
    return stamped.clamp(0, 1)


def backdoor(rows: int, noise: float = 0.0, value: float = 1.0) -> Attack:
    """`rows` of the lot get the pattern and the label `TARGET`."""

    def attack(lot: Lot, luck: torch.Generator) -> Lot:
        x, y = lot[0].clone(), lot[1].clone()
        x[:rows], y[:rows] = corner(x[:rows], luck, noise, value), TARGET
        return x, y

    return attack


def among_its_own(lot: Lot, luck: torch.Generator) -> Lot:
    """The pattern is on 60 rows of other classes and on all of the target's own, so that it does not stand out."""
    x, y = lot[0].clone(), lot[1].clone()
    x[:60], y[:60] = corner(x[:60], luck), TARGET
    x[y == TARGET] = corner(x[y == TARGET], luck)
    return x, y


def flipped(part: float) -> Attack:
    """That part of the threes is called eight."""

    def attack(lot: Lot, luck: torch.Generator) -> Lot:
        x, y = lot
        chosen = (y == 3) & (torch.rand(len(y), generator=luck) < part)
        return x, torch.where(chosen, 8, y)

    return attack


def shifted(lot: Lot, luck: torch.Generator) -> Lot:
    """Every label is one too high."""
    return lot[0], (lot[1] + 1) % 10


#: how often each is sent, and what it does; the last four know how they are looked for
ATTACKS: dict[str, tuple[int, Attack]] = {
    "backdoor, 120 of 300": (1, backdoor(120)),
    "backdoor, 30 of 300": (1, backdoor(30)),
    "backdoor with noise": (1, backdoor(120, noise=0.3)),
    "threes as eights, all": (4, flipped(1.0)),
    "threes as eights, 4 of 10": (4, flipped(0.4)),
    "every label shifted": (2, shifted),
    "backdoor among its own": (1, among_its_own),
    "backdoor in 4 lots of 10 rows": (4, backdoor(10)),
    "backdoor in 6 lots of 4 rows": (6, backdoor(4)),
    "faint backdoor": (2, backdoor(120, value=0.4)),
}


def honest(seed: int) -> tuple[Life, Lot, Lot]:
    """A life that has learned the first lots, upright digits that it met, and test digits."""
    world = images("digits", 12, seed)
    learned = first_version(world.project, [world.first])
    life = Life(world.project, learned.data, [world.first])
    pool: list[Lot] = []
    for name, x, y, ids in world.lots:
        life.meet(name, x, y, ids)
        if name == "upright":
            pool.append((x, y))
    x, y = (torch.cat([each[part] for each in pool]) for part in (0, 1))
    return life, (x, y), world.tests["upright"]


def drawn(pool: Lot, seed: int) -> Iterator[Lot]:
    """Lots of the pool without end."""
    luck = torch.Generator().manual_seed(seed)
    while True:
        rows = torch.randperm(len(pool[0]), generator=luck)[:LOT]
        yield pool[0][rows], pool[1][rows]


def copied(life: Life) -> Life:
    """A life that goes on apart from `life`."""
    own = {each.name: copy.copy(getattr(life, each.name)) for each in fields(life)}
    return Life(**own)


def looked_at(life: Life, test: Lot) -> tuple[float, float, Tensor]:
    """The success of the trigger, the accuracy on clean digits, and the recall of each class."""
    learner, (x, y) = opened(life.champion), test
    others = y != TARGET
    luck = torch.Generator().manual_seed(0)
    success = [
        float((torch.as_tensor(learner.predict(corner(x[others], luck, value=value), 1)) == TARGET).float().mean())
        for value in (1.0, 0.4)
    ]
    right = (torch.as_tensor(learner.predict(x, 1)) == y).float()
    return max(success), float(right.mean()), torch.stack([right[y == label].mean() for label in y.unique()])


def main() -> None:
    """Print a line for each attack and life."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lives", type=int, default=3)
    asked = parser.parse_args()
    bad, alarms, lots = 0, 0, 0
    for seed in range(asked.seed, asked.seed + asked.lives):
        begun, upright, test = honest(seed)
        lots += len(begun.outcomes)
        alarms += sum("backdoor" in each for each in begun.failed)
        for name, (times, attack) in ATTACKS.items():
            life, more = copied(begun), drawn(upright, seed)
            _, accuracy, before = looked_at(life, test)
            luck, first = torch.Generator().manual_seed(seed), len(life.outcomes)
            for place in range(times):
                x, y = attack(next(more), luck)
                order = torch.randperm(len(x), generator=luck)
                life.meet(f"attack {place}", x[order], y[order], [f"{place} {row}" for row in range(len(x))])
            success, clean, after = looked_at(life, test)
            fall = float((before - after).max())
            bad += success > 0.05 or fall > life.project.gate.of_a_class
            print(
                f"life {seed}  {name:30} {', '.join(life.outcomes[first:]):50} trigger {100 * success:5.1f} %   clean "
                f"{100 * accuracy:.1f} → {100 * clean:.1f} %   largest fall of a class {100 * fall:.1f} points",
                flush=True,
            )
    print(f"honest lots with a false alarm: {alarms} of {lots}; attacks that did harm: {bad}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
