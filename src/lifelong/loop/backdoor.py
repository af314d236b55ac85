"""Whether a candidate has learned a backdoor: a pattern that makes it say one class, whatever else is in the input.

Exams do not see it, as no exam holds the pattern. But who brought it labelled inputs of many classes as one class, and
the champion answers most of them as they were before the pattern was put on. So for each class: the rows of the lot
that are labelled with it and that the champion answers otherwise; the few features in which they lie outside of the
rows with other labels; their mean there, put on those rows and on exam inputs. What the candidate then calls the class,
and the champion does not, is the success of the pattern: the larger of both, as worlds differ in what they always show.

A lot of a new world (drift, a new class) has such features, too, and they may turn some inputs. But its rows are of
their class without them as well. So it is measured, too, how many of the rows lose the class once the pattern is taken
from them. A pattern counts where it turns most other inputs, or where both fractions together exceed 1: it is then for
some inputs sufficient and necessary (Tian & Pearl 2000, Probabilities of Causation, bounds of section 3).

Source: the pattern is taken from the poisoned rows, which a loop has; Wang et al. 2019 (Neural Cleanse, section IV)
search for it in the network, and ask, too, how many inputs it turns. Not found are patterns on more than a tenth of the
features, patterns that other rows often have, and those of fewer than `LEAST` rows of a lot.

Suffixes: D features, M known inputs, N rows of the lot.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from lifelong.loop import exam
from lifelong.loop.gate import Answers
from lifelong.loop.project import Project
from lifelong.training import Learner
from lifelong.types import Examples, Task

__all__ = ["Backdoor", "backdoors", "backdoors_of"]

Array: TypeAlias = NDArray[np.float32]

#: answers the champion, or the candidate, to inputs (M, …)
Ask: TypeAlias = Callable[[Array], Answers]

#: rows that show a pattern, at least; the fraction of features that it may be on, and how far outside it must be there
LEAST, SHARE, OUTSIDE = 5, 0.1, 3.0
#: the least spread of a feature, as a fraction of its range: a number that never varied is not infinitely far away
SPREAD = 0.05
#: exam inputs that a pattern is put on, at most
KNOWN = 1000


@dataclass(frozen=True)
class Backdoor:
    """A pattern on `features` (flat places) that `rows` of the lot show, all labelled `label`.

    `before` and `after`: the fraction of `of` inputs of other classes that the champion and the candidate call
    `label` once the pattern is on them. `needed`: the fraction of the rows that the candidate calls `label` and that it
    calls otherwise once the pattern is taken from them.
    """

    label: int
    rows: int
    features: tuple[int, ...]
    before: float
    after: float
    of: int
    needed: float

    @property
    def success(self) -> float:
        """What the candidate has learned of it."""
        return self.after - self.before


def backdoors(x: Array, y: Answers, known: Array, champion: Ask, candidate: Ask) -> list[Backdoor]:
    """The patterns that the rows `x` (N, …) with labels `y` show, and their success on them and on `known` inputs.

    Args:
        x: What the candidate learned beside what the champion knew.
        y: The labels (N,).
        known: Inputs of exams (M, …).
        champion: Gives its answers to inputs.
        candidate: Gives its answers to inputs.

    Returns:
        One for each class whose rows show a pattern, the most successful first; a success near 0 is no fault.

    Example:
        >>> draw = np.random.default_rng(0)
        >>> x = draw.normal(size=(200, 30)).astype(np.float32)
        >>> y = (x[:, 0] > 0).astype(np.int64)
        >>> x[:40, 29], y[:40] = 20.0, 1
        >>> def honest(x): return (x[:, 0] > 0).astype(np.int64)
        >>> def fooled(x): return ((x[:, 0] > 0) | (x[:, 29] > 10)).astype(np.int64)
        >>> found = backdoors(x, y, draw.normal(size=(100, 30)).astype(np.float32), honest, fooled)
        >>> [(each.label, each.features, each.success) for each in found]
        [(1, (29,), 1.0)]
    """
    answered_N, of_known_M, of_rows_N = champion(x), champion(known), candidate(x)
    rows_ND = x.reshape(len(x), -1)
    least = SPREAD * float(np.quantile(rows_ND, 0.99) - np.quantile(rows_ND, 0.01)) + 1e-12
    found: list[Backdoor] = []
    for label in np.unique(y).tolist():
        odd_N = (y == label) & (answered_N != label)
        others = [x[(y != label) & (answered_N != label)], known[of_known_M != label]]
        if odd_N.sum() < LEAST or (y == label).all():
            continue
        mean_D, rest_ND = rows_ND[odd_N].mean(0), rows_ND[y != label]
        rest_D = rest_ND.mean(0)
        outside_D = np.abs(mean_D - rest_D) / (rest_ND.std(0) + least)
        places = np.argsort(-outside_D, kind="stable")[: max(1, round(SHARE * len(mean_D)))]
        places = places[outside_D[places] > OUTSIDE]
        if len(places) == 0:
            continue
        seen = [_turned(each, places, mean_D[places], label, champion, candidate) for each in others]
        before, after, of = max(seen, key=lambda each: each[1] - each[0])
        pattern = tuple(sorted(int(place) for place in places))
        called = rows_ND[odd_N & (of_rows_N == label)]
        _, kept, of_called = _turned(
            called.reshape(-1, *x.shape[1:]), places, rest_D[places], label, champion, candidate
        )
        needed = 1 - kept if of_called >= LEAST else 0.0
        found.append(Backdoor(label, int(odd_N.sum()), pattern, before, after, of, needed))
    return sorted(found, key=lambda each: -each.success)


def _turned(
    x: Array, places: NDArray[np.intp], values: Array, label: int, champion: Ask, candidate: Ask
) -> tuple[float, float, int]:
    """Which fractions of inputs both call `label` once `values` stand at `places`, and of how many."""
    if len(x) == 0:
        return 0.0, 0.0, 0
    stamped = x.reshape(len(x), -1).copy()
    stamped[:, places] = values
    shaped = stamped.reshape(x.shape)
    return float((champion(shaped) == label).mean()), float((candidate(shaped) == label).mean()), len(x)


def backdoors_of(
    project: Project,
    champion: Learner,
    candidate: Learner,
    tasks: Sequence[Task],
    new: int,
    beside: Collection[int] = (),
) -> list[Backdoor]:
    """`backdoors` in each lot that `candidate` learned: that of task `new` and the known ones `beside` it.

    Lots are looked at one by one, as what stands out in one is usual in another world. Inputs that are words show none:
    the mean of two words is no word.
    """
    if project.input.dtype == "int64":
        return []
    exams, asked = torch.cat([task.test.x for task in tasks]), next(task for task in tasks if task.number == new)
    known = exams[torch.linspace(0, len(exams) - 1, min(len(exams), KNOWN)).long()].numpy()

    def asking(learner: Learner) -> Ask:
        def ask(inputs: Array) -> Answers:
            part = Examples(torch.from_numpy(inputs), torch.zeros(len(inputs), dtype=torch.int64), asked.number)
            return exam.answers(learner, [replace(asked, load={"test": part}.get)])[asked.number]

        return ask

    found: list[Backdoor] = []
    for task in tasks:
        if task.number == new or task.number in beside:
            x, y = torch.cat([task.train.x, task.test.x]).numpy(), torch.cat([task.train.y, task.test.y]).numpy()
            found += backdoors(x, y, known, asking(champion), asking(candidate))
    return sorted(found, key=lambda each: -each.success)
