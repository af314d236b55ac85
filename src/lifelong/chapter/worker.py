"""A worker process for parts of the chapter: reads jobs as lines of JSON, answers with values as lines of JSON.

A job: `{"name": text, "lesson": name, "part": name, "setup": {…}, "scratch": path}`, or, to draw the pictures of a
lesson, `{"name": text, "lesson": name, "setup": {…}, "out": path}`. An answer: `{"lesson": name, "part": name,
"seconds": s, "values": {…}}`, `{"drawn": lesson}` or `{"error": text, "kind": class}`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

from lifelong.chapter.lesson import Setup
from lifelong.chapter.lessons import lesson
from lifelong.chapter.run import draw
from lifelong.errors import LifelongError

__all__ = ["main"]


def main() -> None:
    """Serve jobs until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing else may write among the answers
    torch.set_num_threads(1)
    for line in sys.stdin:
        answers.write(json.dumps(_answer(json.loads(line))) + "\n")
        answers.flush()


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        chosen, setup = lesson(job["lesson"]), Setup(**job["setup"])
        if "out" in job:
            draw(chosen, setup, Path(job["out"]))
            return {"drawn": chosen.name}
        part = chosen.parts(setup)[job["part"]]
        scratch = Path(job["scratch"])
        scratch.mkdir(parents=True, exist_ok=True)
        values = part(scratch)
    except LifelongError as error:
        return {"error": f"{job['name']}: {error}", "kind": type(error).__name__}
    seconds = time.perf_counter() - start
    return {"lesson": job["lesson"], "part": job["part"], "seconds": seconds, "values": values}


if __name__ == "__main__":
    main()
