"""Whether the methods fit the life and the machine can hold what is asked for, found out before it begins."""

from __future__ import annotations

import psutil

from lifelong.errors import ResourceError
from lifelong.experiments.experiment import Experiment
from lifelong.methods import Extent, check_space
from lifelong.models import build
from lifelong.streams import Stream

__all__ = ["check_fit"]


def check_fit(experiment: Experiment, stream: Stream, processes: int) -> None:
    """Try every method on the model and the size of the life.

    Raises: `SettingError` where a method does not fit the stream or the model; `ResourceError` where the runs need
        more memory than is free.
    """
    train = stream.task(1).train
    stored = largest = 0
    for spec in experiment.methods:
        method = spec.build()
        check_space(method, stream.space)
        network = build(experiment.model, stream.space, experiment.head).with_outputs(stream.space.classes or 0)
        smallest = min((p.numel() for p in network.backbone.parameters() if p.ndim > 1), default=None)
        model = method.adapt(network, stream.space, seed=0)
        parameters = sum(p.numel() for p in model.parameters())
        extent = Extent(len(stream), len(train), train.x[0].nbytes, parameters, stream.space.classes or 0, smallest)
        method.check(extent)
        stored, largest = max(stored, method.declared_bytes(extent)), max(largest, parameters)
    # the data set and one task per process, and the state, which saving holds twice more
    needed = processes * (3 * stored + 3 * train.x.nbytes + 8 * 4 * largest)
    free = psutil.virtual_memory().available
    if needed > free:
        raise ResourceError(
            f"{processes} runs of {experiment.stream} at a time need about {needed / 2**30:.1f} GiB, and "
            f"{free / 2**30:.1f} GiB are free; try --jobs 1, fewer tasks, or methods that store less "
            "(joint keeps all data, independent all models)"
        )
