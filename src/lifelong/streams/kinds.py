"""The kinds of streams, each a frozen set of settings over one data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from lifelong.errors import require
from lifelong.streams import transforms
from lifelong.streams.blurry import blurred
from lifelong.streams.sources import Source
from lifelong.streams.split import class_groups, read_order, split, with_repetition
from lifelong.streams.stream import Stream
from lifelong.types import Examples, Scenario

__all__ = ["KINDS", "NOISE", "ClassSplit", "Kind", "Noisy", "Permuted", "Rotated"]


@dataclass(frozen=True)
class Permuted:
    """Every task shuffles the pixels in its own fixed order.

    Arguments: `tasks`; `scenario`; `first_plain` leaves task 1 unpermuted; `blurry` fraction of the training examples
    that is met in a neighbouring task, above 0 there are no boundaries; `samples` to train on per task, None for all;
    `validation` fraction held out of the training part; `seed` of the permutations and of what is held out.
    """

    tasks: int = 5
    scenario: Scenario = "domain"
    first_plain: bool = False
    blurry: float = 0.0
    samples: int | None = None
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least_one(self.tasks)

    def build(self, name: str, source: Source) -> Stream:
        """The stream over `source`."""
        numbers = range(1, self.tasks + 1)
        plain = {1} if self.first_plain else set()
        pixels = source.train_x[0].numel()
        through = [
            transforms.noise(0.0, 0) if number in plain else transforms.permutation(pixels, self.seed, number)
            for number in numbers
        ]
        titles = ["original order" if number in plain else f"permutation {number}" for number in numbers]
        pure = transforms.transformed(
            name, source, through, titles, self.scenario, self.validation, self.seed, self.samples
        )
        return blurred(pure, self.blurry, self.seed)


@dataclass(frozen=True)
class Rotated:
    """Every task turns the images by its own angle.

    Arguments: `tasks`; `scenario`; `angles` in degrees, counter-clockwise, one per task, or None for even steps from
    0 to below `up_to`; `drawn`: `all` draws each uniformly from 0 … `up_to`, `steps` draws each from its own even step,
    so that they rise; `interpolation` bilinear or nearest; `samples` to train on per task, None for all; `validation`
    fraction held out of the training part; `seed` of the draws and of what is held out.
    """

    tasks: int = 5
    scenario: Scenario = "domain"
    angles: tuple[float, ...] | None = None
    drawn: Literal["no", "all", "steps"] = "no"
    up_to: float = 180.0
    interpolation: transforms.Interpolation = "bilinear"
    samples: int | None = None
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least_one(self.tasks)
        require(
            self.angles is None or len(self.angles) == self.tasks,
            f"expected {self.tasks} angles, one per task, got {self.angles}; set tasks={len(self.angles or ())}",
        )
        require(self.drawn in ("no", "all", "steps"), f"drawn must be no, all or steps, got {self.drawn!r}")
        require(self.interpolation in ("bilinear", "nearest"), "interpolation must be bilinear or nearest")

    def build(self, name: str, source: Source) -> Stream:
        """The stream over `source`."""
        angles = self._angles()
        through = [transforms.rotation(angle, self.interpolation) for angle in angles]
        titles = [f"{angle:.4g}°" for angle in angles]
        return transforms.transformed(
            name, source, through, titles, self.scenario, self.validation, self.seed, self.samples
        )

    def _angles(self) -> list[float]:
        if self.angles is not None:
            return list(self.angles)
        steps = range(self.tasks)
        if self.drawn == "no":
            return [self.up_to * place / self.tasks for place in steps]
        draws = torch.rand(self.tasks, generator=torch.Generator().manual_seed(self.seed), dtype=torch.float64).tolist()
        if self.drawn == "all":
            return [draw * self.up_to for draw in draws]
        return [self.up_to * (place + draw) / self.tasks for place, draw in zip(steps, draws, strict=True)]


@dataclass(frozen=True)
class ClassSplit:
    """Every task brings new classes.

    Arguments: `tasks`, or None for as many as the classes give; `scenario`; `classes_per_task`, a number or one for
    each task as 4,3,3; `first`, classes in the first task, where it is larger; `overlap`, classes that each task shares
    with the one before it; `order` of the classes as 3,1,2,0, or a file of it; `drawn` orders the classes by `seed`
    instead of 0, 1, 2, …; `repetition`, the probability with which each class comes back in each later task, of which
    there may then be more than the classes give; `imbalance`, ρ above 0 and at most 1: class c of C trains on
    ρ^(c / (C − 1)) times the examples of the largest; `blurry` fraction of the training examples that is met in a
    neighbouring task, above 0 there are no boundaries; `validation` fraction held out of each training part; `seed` of
    all draws.
    """

    tasks: int | None = None
    scenario: Scenario = "class"
    classes_per_task: int | tuple[int, ...] = 2
    first: int | None = None
    overlap: int = 0
    order: tuple[int, ...] | str | None = None
    drawn: bool = False
    repetition: float = 0.0
    imbalance: float = 1.0
    blurry: float = 0.0
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least_one(self.tasks if self.tasks is not None else 1)
        require(not (self.drawn and self.order), "give order= or drawn=, not both: each orders the classes")
        # what does not depend on the data set fails before it is read
        class_groups(range(1000), self.classes_per_task, self.first, self.overlap, rest=True)

    def build(self, name: str, source: Source) -> Stream:
        """The stream over `source`."""
        order = read_order(self.order, range(source.classes))
        if self.drawn:
            order = torch.randperm(source.classes, generator=torch.Generator().manual_seed(self.seed)).tolist()
        groups = class_groups(order, self.classes_per_task, self.first, self.overlap, rest=True)
        tasks = len(groups) if self.tasks is None else self.tasks
        require(
            len(groups) >= 1 and (tasks <= len(groups) or self.repetition > 0),
            f"{name} has {source.classes} classes, which give at most {len(groups)} tasks of {self.classes_per_task}, "
            f"got tasks={tasks}",
        )
        groups = with_repetition(groups, self.repetition, tasks, self.seed)
        train, test = Examples(source.train_x, source.train_y, 0), Examples(source.test_x, source.test_y, 0)
        names = dict(enumerate(source.names))
        pure = split(name, train, test, groups, self.scenario, self.validation, self.seed, names, self.imbalance)
        return blurred(pure, self.blurry, self.seed)


#: mnist and mnist-4k: the largest noise tried at which a network reads nine of ten noisy images right on validation
#: data; images of 8×8 pixels have more, as nothing would be forgotten; fashion-mnist was not searched
NOISE = {"digits": 0.4, "mnist-4k": 0.3, "mnist": 0.5, "fashion-mnist": 0.3}


@dataclass(frozen=True)
class Noisy:
    """Task 1 is noisy, task 2 is clean: the chapter's first example of forgetting.

    Arguments: `noise`, the standard deviation of the Gaussian noise on inputs in [0, 1] (clipped to it), None for the
    level of `NOISE`; `scenario`; `validation` fraction held out of the training part; `seed` of the noise and of what
    is held out.
    """

    noise: float | None = None
    scenario: Scenario = "domain"
    validation: float = 0.1
    seed: int = 0
    tasks: int = 2

    def __post_init__(self) -> None:
        require(self.noise is None or self.noise >= 0, f"noise must be 0 or more, got {self.noise}")
        require(self.tasks == 2, f"noisy streams have two tasks, noisy and clean, got tasks={self.tasks}")

    def build(self, name: str, source: Source) -> Stream:
        """The stream over `source`."""
        level = NOISE.get(source.name, 0.5) if self.noise is None else self.noise
        through = [transforms.noise(level, self.seed), transforms.noise(0.0, self.seed)]
        titles = [f"noise {level:g}", "clean"]
        return transforms.transformed(name, source, through, titles, self.scenario, self.validation, self.seed)


Kind = Permuted | Rotated | ClassSplit | Noisy

KINDS: dict[str, type[Kind]] = {"permuted": Permuted, "rotated": Rotated, "split": ClassSplit, "noisy": Noisy}


def _at_least_one(tasks: int) -> None:
    require(tasks >= 1, f"tasks must be 1 or more, got {tasks}")
