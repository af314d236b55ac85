"""Which examples a memory keeps: a uniform sample, the last of each task, the most unlike, a balance, or all.

A memory stores each kind of example (`kind_of`) in a table of its own; where a new kind comes, the tables share the
capacity evenly. With one kind that is one table, and no random number is drawn for the choice.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lifelong.memory.rows import Rows, columns_of, one_kind
from lifelong.types import Data, Examples

__all__ = ["Archive", "Balanced", "Memory", "PriorityBuffer", "Reservoir", "Ring"]

CHUNK = 1024


@dataclass
class Memory:
    """`capacity` places for examples, in a table for each of their kinds.

    Args:
        capacity: How many examples are stored at most.
        tables: The examples by kind.
    """

    capacity: int
    tables: list[Rows] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(table.size for table in self.tables)

    @property
    def num_seen(self) -> int:
        """How many examples were offered."""
        return sum(table.num_seen for table in self.tables)

    def draw(self, size: int, generator: torch.Generator) -> tuple[Rows, Tensor]:
        """A table, and the places in it of `size` different examples drawn uniformly, or of all where fewer are stored.

        The kind is drawn in proportion to what is stored of each.
        """
        table = self.tables[0]
        if len(self.tables) > 1:
            sizes = torch.tensor([float(table.size) for table in self.tables])
            table = self.tables[int(torch.multinomial(sizes, 1, generator=generator))]
        place = torch.randperm(table.size, generator=generator)[:size]
        return table, place.to(table.columns["task"].device)

    def sample(self, size: int, generator: torch.Generator) -> Examples:
        """`size` different examples of one kind drawn uniformly, or all of them where fewer are stored."""
        table, place = self.draw(size, generator)
        return table.at(place)

    def parts(self) -> list[Examples]:
        """All that is stored, kind by kind."""
        return [table.examples() for table in self.tables if table.size > 0]

    def examples(self) -> Examples:
        """All that is stored, where it is of one kind."""
        return Examples.cat(self.parts() or [Rows(0).at(slice(0))])

    def resize(self, capacity: int, generator: torch.Generator) -> None:
        """Make the memory one of `capacity` places; what is too much goes by the policy's own rule."""
        if capacity != self.capacity:
            self.capacity = capacity
            self._share(generator)

    def table_for(self, batch: Examples, generator: torch.Generator) -> Rows:
        """The table for the kind of `batch`; a new one where there is none."""
        for table in self.tables:
            if table.holds(batch):
                return table
        self.tables.append(Rows(0))
        self._share(generator)
        return self.tables[-1]

    def _share(self, generator: torch.Generator) -> None:
        """Give each table its even share of the capacity."""
        for number, table in enumerate(self.tables):
            share = self.capacity // len(self.tables) + (number < self.capacity % len(self.tables))
            place = torch.arange(table.size)
            if table.size > share:
                place = self._survivors(table, share, generator)
            table.select(place, share)

    def _survivors(self, table: Rows, count: int, generator: torch.Generator) -> Tensor:
        """The places of `count` examples that stay: a uniform subset, in order."""
        return torch.randperm(table.size, generator=generator)[:count].sort().values


@dataclass
class Reservoir(Memory):
    """A uniform sample: after n examples each of them is stored with probability min(1, capacity / n).

    Example number i (from 1) takes a free place while there is one, then place j drawn from 0 … i − 1 if
    j < capacity. A whole batch is drawn at once; where two of its examples draw one place the later wins, as it
    would one by one. `num_seen` is part of the saved state. A memory that was made larger first fills its new places.

    Example:
        >>> reservoir, generator = Reservoir(capacity=3), torch.Generator().manual_seed(0)
        >>> reservoir.add(Examples(torch.arange(10.0)[:, None], torch.zeros(10).long(), 1), generator)
        >>> len(reservoir), reservoir.num_seen
        (3, 10)

    Reference: Vitter 1985, Random Sampling with a Reservoir, Algorithm R.
    """

    def add(self, batch: Examples, generator: torch.Generator) -> None:
        """Offer a batch to the reservoir, drawing from `generator` (on the CPU)."""
        table, place, chosen = self.choose(batch, generator)
        if len(place) > 0:
            table.write(place, chosen, columns_of(batch))

    def choose(self, batch: Examples, generator: torch.Generator) -> tuple[Rows, Tensor, Tensor]:
        """The table for a batch, the places in it to be written, and the position in the batch of what each takes."""
        if self.capacity == 0 or len(batch) == 0:
            return Rows(0), torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
        table, size = self.table_for(batch, generator), len(batch)
        # NumPy, because a dozen operations on a few numbers take PyTorch several times as long
        order_B, free = np.arange(size), table.capacity - table.size
        draw_B = torch.rand(size, dtype=torch.float64, generator=generator).numpy() * (table.num_seen + order_B + 1)
        place_B = np.where(order_B < free, table.size + order_B, draw_B).astype(np.int64)
        table.num_seen += size
        table.size += min(free, size)
        inside = np.flatnonzero(place_B < table.capacity)
        if len(inside) > 0:
            inside = _latest(inside, place_B, table.capacity)
        return table, _places(place_B[inside]), _places(inside)


@dataclass
class PriorityBuffer(Memory):
    """Places with scores C_i in 0 … 2: how like the others an example was when it came (1: not at all).

    While there is room everything is stored. After that a newcomer of score c < 1 challenges the place i that is drawn
    with probability C_i / Σ C, and takes it with probability C_i / (C_i + c).

    Example:
        >>> memory, generator = PriorityBuffer(capacity=2), torch.Generator().manual_seed(0)
        >>> two = Examples(torch.tensor([1.0, 2.0]), torch.zeros(2).long(), 1)
        >>> memory.offer(two, torch.tensor([0.0, 2.0]), generator)
        >>> memory.offer(Examples(torch.tensor([3.0]), torch.zeros(1).long(), 1), torch.zeros(1), generator)
        >>> memory.examples().x.tolist()
        [1.0, 3.0]

    Reference: Aljundi et al. 2019, Gradient based sample selection for online continual learning, algorithm 2.
    """

    def offer(self, batch: Examples, score_B: Tensor, generator: torch.Generator, gate_B: Tensor | None = None) -> None:
        """Offer a batch whose examples have the scores `score_B`; all of it is decided by the scores before.

        `gate_B`, if any, are the scores that must be below 1 for an example to challenge, instead of its own.
        """
        if self.capacity == 0 or len(batch) == 0:
            return
        table, score_B = self.table_for(batch, generator), score_B.float()
        start, free = table.size, min(table.capacity - table.size, len(batch))
        if free > 0:
            table.write(torch.arange(start, start + free), torch.arange(free), {**columns_of(batch), "score": score_B})
        table.size += free
        table.num_seen += len(batch)
        rest_B = score_B[free:].double().cpu().numpy()
        challenges_B = rest_B < 1 if gate_B is None else (gate_B[free:] < 1).cpu().numpy()
        if len(rest_B) == 0 or table.capacity == 0:
            return
        # NumPy, because a dozen operations on a few numbers take PyTorch several times as long
        score_M = _scores(table).numpy()
        sum_M = score_M.cumsum()
        draw_2B = torch.rand(2, len(rest_B), dtype=torch.float64, generator=generator).numpy()
        place_B = np.searchsorted(sum_M, draw_2B[0] * sum_M[-1], side="right").clip(max=table.capacity - 1)
        odds_B = score_M[place_B]
        wins_B = challenges_B & (draw_2B[1] * (odds_B + rest_B) < odds_B)
        winners = _latest(np.flatnonzero(wins_B), place_B, table.capacity)
        if len(winners) > 0:
            place, chosen = _places(place_B[winners]), _places(winners + free)
            table.write(place, chosen, {**columns_of(batch), "score": score_B})

    def _survivors(self, table: Rows, count: int, generator: torch.Generator) -> Tensor:
        """What is left where places are given up with probability C_i / Σ C, one after the other."""
        gone = torch.multinomial(_scores(table), table.size - count, generator=generator)
        stays = torch.ones(table.size, dtype=torch.bool)
        stays[gone] = False
        return stays.nonzero()[:, 0]


@dataclass
class Balanced(Memory):
    """Places shared evenly by the groups so far: a group is a class of a task, without `by_task` a class.

    An example is taken if its group is new or holds less than capacity / (groups so far); where the memory is full,
    a random example of the largest group (of several, a random one) makes room.

    Example:
        >>> memory, generator = Balanced(capacity=4), torch.Generator().manual_seed(0)
        >>> memory.add(Examples(torch.zeros(9, 1), torch.tensor([0] * 6 + [1, 1, 1]), 1), generator)
        >>> memory.examples().y.sort().values.tolist()
        [0, 0, 1, 1]

    Reference: Prabhu et al. 2020, GDumb, algorithm 1.
    """

    groups: list[list[tuple[int, int]]] = field(default_factory=list)
    by_task: bool = True

    def add(self, data: Data, generator: torch.Generator) -> None:
        """Offer `data` one after the other in a random order drawn from `generator` (on the CPU)."""
        order_N = torch.randperm(len(data), generator=generator)
        for batch in data.batches(order_N, len(data) if isinstance(data, Examples) else CHUNK):
            table = self.table_for(batch, generator)
            place = next(place for place, other in enumerate(self.tables) if other is table)
            self.groups += [[] for _ in self.tables[len(self.groups) :]]
            union = Examples.cat([table.examples(), batch]) if table.size > 0 else batch
            rows = self._chosen(place, self._groups(union), generator)
            index = torch.tensor(rows, dtype=torch.int64)
            table.write(torch.arange(len(rows)), index, columns_of(union))
            table.size = len(rows)
            table.num_seen += len(batch)

    def _groups(self, examples: Examples) -> list[tuple[int, int]]:
        tasks = examples.task_numbers().tolist() if self.by_task else [0] * len(examples)
        return list(zip(tasks, examples.y.tolist(), strict=True))

    def _chosen(self, place: int, groups: list[tuple[int, int]], generator: torch.Generator) -> list[int]:
        """Rows that stay, of the groups of what is stored and then of the newcomers in order."""
        table = self.tables[place]
        members: dict[tuple[int, int], list[int]] = {group: [] for group in self.groups[place]}
        for row, group in enumerate(groups[: table.size]):
            members[group].append(row)
        filled = table.size
        luck = torch.rand(len(groups) - filled, 2, dtype=torch.float64, generator=generator).tolist()
        newcomers = enumerate(groups[filled:], start=filled)
        for (row, group), (which, who) in zip(newcomers, luck, strict=True):
            if group in members and len(members[group]) * len(members) >= table.capacity:
                continue
            if filled < table.capacity:
                filled += 1
            else:
                _leave(members, which, who)
            members.setdefault(group, []).append(row)
        self.groups[place] = list(members)
        return sorted(row for rows in members.values() for row in rows)

    def _survivors(self, table: Rows, count: int, generator: torch.Generator) -> Tensor:
        members: dict[tuple[int, int], list[int]] = {}
        for row, group in enumerate(self._groups(table.examples())):
            members.setdefault(group, []).append(row)
        for which, who in torch.rand(table.size - count, 2, dtype=torch.float64, generator=generator).tolist():
            _leave(members, which, who)
        return torch.tensor(sorted(row for rows in members.values() for row in rows), dtype=torch.int64)


@dataclass
class Ring:
    """The last examples of each task, overwritten in order of arrival.

    Args:
        tasks: The task numbers in the order in which they began.
        tables: The examples of each; as many places as its quota.

    Example:
        >>> ring = Ring()
        >>> ring.begin(1)
        >>> for start in (0, 2, 4):
        ...     ring.add(Examples(torch.arange(start, start + 2.0), torch.zeros(2).long(), 1), quota=3)
        >>> sorted(ring.of(1).x.tolist())
        [3.0, 4.0, 5.0]

    Reference: Lopez-Paz & Ranzato 2017, Gradient Episodic Memory, section 3 ("the last m examples from each task").
    """

    tasks: list[int] = field(default_factory=list)
    tables: list[Rows] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(table.size for table in self.tables)

    def begin(self, task: int) -> None:
        """Open an empty ring for task number `task`; one that is open already is left as it is."""
        if task not in self.tasks:
            self.tasks.append(task)
            self.tables.append(Rows(0))

    def add(self, batch: Examples, quota: int) -> None:
        """Write a batch into the ring of its task (of several, the newest's), which holds `quota` examples."""
        if quota == 0:
            return
        table = self.tables[self.tasks.index(batch.task) if isinstance(batch.task, int) else -1]
        if table.size == 0:
            table.capacity, table.num_seen = quota, 0
            table.columns.clear()
        skipped = max(0, len(batch) - table.capacity)
        last = torch.arange(skipped, len(batch))
        values = columns_of(batch)
        del values["task"]  # the ring has it
        table.write((table.num_seen + last) % table.capacity, last, values)
        table.num_seen += len(batch)
        table.size = min(table.num_seen, table.capacity)

    def shrink(self, quota: int) -> None:
        """Keep at most `quota` examples of every task, spread evenly over its ring, and give its other places back."""
        for table in self.tables:
            count = min(table.size, quota)
            if count < table.capacity:
                table.select(torch.linspace(0, table.size - 1, count).round().long(), count)
                table.num_seen = count

    def of(self, task: int) -> Examples:
        """What is stored of task number `task`."""
        return self.tables[self.tasks.index(task)].examples().with_task(task)

    def past(self, task: int) -> list[Examples]:
        """What is stored of every other task that has examples, oldest first."""
        filled = zip(self.tasks, self.tables, strict=True)
        return [self.of(other) for other, table in filled if other != task and table.size > 0]


@dataclass
class Archive:
    """All training examples of all tasks, in order: what joint training needs and a long life cannot afford.

    Example:
        >>> archive = Archive()
        >>> archive.add(Examples(torch.zeros(3, 2), torch.zeros(3).long(), 1))
        >>> len(archive)
        3
    """

    tables: list[Rows] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(table.size for table in self.tables)

    def add(self, examples: Examples) -> None:
        """Keep a task's examples; they are not copied."""
        self.tables.append(Rows.of(examples))

    def parts(self) -> list[Examples]:
        """All of them, kind by kind."""
        return one_kind([table.examples() for table in self.tables])


def _latest(rows: np.ndarray, place_B: np.ndarray, capacity: int) -> np.ndarray:
    """Those of `rows` (rising positions in a batch) that no later one follows into the same of `capacity` places.

    >>> _latest(np.array([0, 2, 3]), np.array([5, 9, 7, 5]), capacity=10).tolist()
    [2, 3]
    """
    owner_M = np.empty(capacity, np.int64)
    owner_M[place_B[rows]] = rows  # of several for one place the last is written last
    return rows[owner_M[place_B[rows]] == rows]


def _places(places: np.ndarray) -> Tensor:
    return torch.from_numpy(places.astype(np.int64, copy=False))


def _scores(table: Rows) -> Tensor:
    """The scores of what is stored; above 0, so that each may be drawn."""
    return table.column("score", slice(table.size)).double().cpu().clamp_min(1e-12)


def _leave(members: dict[tuple[int, int], list[int]], which: float, who: float) -> None:
    """Take a row out of the largest group: of several the one at the fraction `which`, of its rows that at `who`."""
    most = max(len(rows) for rows in members.values())
    largest = [rows for rows in members.values() if len(rows) == most]
    rows = largest[int(which * len(largest))]
    rows[int(who * most)] = rows[-1]
    rows.pop()
