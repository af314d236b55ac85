"""A worker process: reads jobs as lines of JSON, runs them, and writes news as lines of JSON.

Started as `python -m lifelong.experiments.worker`, so that a user's script needs no `if __name__ == "__main__"` and
nothing is pickled. A job: `{"name": text, "experiment": {…}, "method": i, "seed": n, "out": path or null,
"checkpoint_every": k}`. An answer: `{"event": {…}}`, `{"record": {…}}` or `{"error": text, "kind": class}`,
with the job's `"tag"`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import torch

from lifelong.errors import LifelongError
from lifelong.experiments.experiment import Experiment
from lifelong.experiments.folder import Folder
from lifelong.experiments.single import run_job

__all__ = ["main"]


def main() -> None:
    """Serve jobs until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing else may write among the answers

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps({**message, "tag": tag}) + "\n")
        answers.flush()

    for line in sys.stdin:
        job = json.loads(line)
        tag = job.get("tag")
        experiment = msgspec.convert(job["experiment"], Experiment)
        torch.set_num_threads(experiment.threads)
        folder = None if job["out"] is None else Folder(Path(job["out"]))
        try:
            record = run_job(
                experiment,
                job["method"],
                job["seed"],
                folder,
                job["checkpoint_every"],
                lambda event: answer({"event": asdict(event)}),
            )
            answer({"record": record.to_json(with_predictions=folder is None)})  # in a folder they are in a file
        except LifelongError as error:
            answer({"error": str(error), "kind": type(error).__name__})


if __name__ == "__main__":
    main()
