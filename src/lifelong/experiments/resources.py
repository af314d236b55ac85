"""Whether the machine can hold what an experiment asks for, found out before it begins."""

from __future__ import annotations

import psutil

from lifelong.errors import ResourceError
from lifelong.experiments.experiment import Experiment
from lifelong.methods import Extent
from lifelong.streams import Stream

__all__ = ["check_memory", "needed_bytes"]


def needed_bytes(experiment: Experiment, stream: Stream, parameters: int, processes: int) -> int:
    """About how much memory the runs take together: the data set and one task per process, and what methods store."""
    train = stream.task(1).train
    task_bytes = train.x.nbytes
    extent = Extent(len(stream), len(train), train.x[0].nbytes, parameters)
    stored = max(method.build().declared_bytes(extent) for method in experiment.methods)
    copies = 3 * stored + 3 * task_bytes + 8 * 4 * parameters  # saving holds the state twice more
    return processes * copies


def check_memory(experiment: Experiment, stream: Stream, parameters: int, processes: int) -> None:
    """Raise `ResourceError` where the runs need more than the memory that is free."""
    needed = needed_bytes(experiment, stream, parameters, processes)
    free = psutil.virtual_memory().available
    if needed > free:
        raise ResourceError(
            f"{processes} runs of {experiment.stream} at a time need about {needed / 2**30:.1f} GiB, and "
            f"{free / 2**30:.1f} GiB are free; try --jobs 1, fewer tasks, or methods that store less "
            "(joint keeps all data, independent all models)"
        )
