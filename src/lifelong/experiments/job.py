"""One run of an experiment, from its plain values to its record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from lifelong.evaluation import Record
from lifelong.experiments.experiment import Experiment
from lifelong.experiments.folder import Folder
from lifelong.experiments.single import Event, run_single
from lifelong.training import Learner

__all__ = ["run_job"]


def run_job(
    experiment: Experiment,
    method: int,
    seed: int,
    folder: Folder | None,
    checkpoint_every: int | None,
    on_event: Callable[[Event], None] | None,
) -> Record:
    """Run method number `method` (from 0) of `experiment` with `seed`, and keep the record in `folder`."""
    spec = experiment.methods[method]
    stream = experiment.stream_for(seed)
    make = partial(
        Learner,
        experiment.model,
        spec.build(),
        stream.space,
        head=experiment.head,
        seed=seed,
        **asdict(experiment.training),
    )
    checkpoint = None if folder is None else folder.checkpoint(spec, seed)
    record = run_single(
        make,
        Learner.load,
        stream,
        seed=seed,
        evaluate=experiment.evaluate,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        on_event=on_event,
    )
    if folder is not None:
        folder.finish(record)
    return record
