"""Whether the methods fit the life and the machine can hold what is asked for, found out before it begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import psutil
import torch
from torch import nn

from lifelong.errors import ResourceError
from lifelong.experiments.experiment import Experiment
from lifelong.methods import Method, check_space, stream_size
from lifelong.models import build
from lifelong.streams import Stream
from lifelong.types import Examples, leaves

__all__ = ["check_fit", "check_methods"]


def check_fit(experiment: Experiment, stream: Stream, processes: int) -> None:
    """Try every method of `experiment` on the model and the size of the life; see `check_methods`."""

    def make() -> nn.Module:
        return build(experiment.model, stream.space, experiment.head, import_paths=True)

    check_methods(
        [spec.build() for spec in experiment.methods],
        make,
        stream,
        processes,
        own_objective=experiment.objective is not None,
    )


def check_methods(
    methods: Sequence[Method[Any]],
    make: Callable[[], nn.Module],
    stream: Stream,
    processes: int = 1,
    *,
    own_objective: bool = False,
) -> None:
    """Try every method on a network of its own, from `make`, and on the size of the life.

    Raises: `SettingError` where a method does not fit the stream or the model; `ResourceError` where the runs need
        more memory than is free.
    """
    sized = [replace(task, sizes={"train": task.size}) for task in stream]
    train = stream.task(1).split("train")
    differ = stream.tasks if stream.space.kinds else stream.tasks[:1]
    firsts = [leaves(task.split("train").at(slice(0, 1)).x) for task in differ]  # no more is read of data on disk
    first = max(firsts, key=lambda some: sum(leaf.nbytes for leaf in some))
    one = first[0][0] if len(first) == 1 else torch.cat([leaf[0].flatten().float() for leaf in first])
    stored = largest = data = 0
    for method in methods:
        if not own_objective:
            check_space(method, stream.space)
        with torch.random.fork_rng(devices=[]):
            size = stream_size(method.adapt(make(), stream.space, seed=0), sized, one, stream.space.boundaries)
        method.check(size)
        stored, largest = max(stored, method.declared_bytes(size)), max(largest, size.parameters)
        data = size.examples * size.input_bytes if isinstance(train, Examples) else 0
    # the data set and one task per process where they are in memory, and the state, which saving holds twice more
    needed = processes * (3 * stored + 3 * data + 8 * 4 * largest)
    free = psutil.virtual_memory().available
    if needed > free:
        raise ResourceError(
            f"{processes} runs of {stream.name} at a time need about {needed / 2**30:.1f} GiB, and "
            f"{free / 2**30:.1f} GiB are free; try --jobs 1, fewer tasks, or methods that store less "
            "(joint keeps all data, independent all models)"
        )
