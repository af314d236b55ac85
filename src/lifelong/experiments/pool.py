"""Runs in parallel, in worker processes fed one job at a time, or one by one in this process."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lifelong import errors
from lifelong.errors import LifelongError, ResourceError

__all__ = ["Answer", "cores", "run_one_by_one", "run_parallel"]

Answer = dict[str, Any]


def run_parallel(
    jobs: list[dict[str, Any]],
    processes: int,
    threads: int,
    on_answer: Callable[[Answer], None],
    module: str = "lifelong.experiments.worker",
) -> list[LifelongError]:
    """Run `jobs` on `processes` workers; `on_answer` hears of events and records. Returns the failures.

    A job says what it is in `"name"`; `module` is the worker that does it. A job that fails does not stop the others.
    Ctrl-C ends the workers; what they finished is kept.
    """
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    answers: queue.Queue[Answer | None] = queue.Queue()
    workers = [_start(threads, module) for _ in range(min(processes, len(jobs)))]
    feeders = [threading.Thread(target=_feed, args=(w, waiting, answers), daemon=True) for w in workers]
    failures: list[LifelongError] = []
    try:
        for feeder in feeders:
            feeder.start()
        running = len(feeders)
        while running:
            answer = answers.get()
            if answer is None:
                running -= 1
            elif "error" in answer:
                kind = getattr(errors, answer["kind"], LifelongError)
                failures.append(kind(answer["error"]))
            else:
                on_answer(answer)
    finally:
        for worker in workers:
            worker.kill()
        for feeder in feeders:
            feeder.join()
        for worker in workers:
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    pipe.close()
    return failures


def run_one_by_one(runs: Iterable[Callable[[], None]]) -> list[LifelongError]:
    """Do the runs in this process; the failures, none of which stops the others."""
    failures: list[LifelongError] = []
    for one in runs:
        try:
            one()
        except LifelongError as error:
            failures.append(error)
    return failures


def cores(threads: int = 1) -> int:
    """How many processes of so many threads this machine runs at full speed."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, available // threads)


def _start(threads: int, module: str) -> subprocess.Popen[str]:
    # what this process can import, its workers can
    path = os.pathsep.join(str(Path.cwd()) if entry == "" else entry for entry in sys.path)
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", module]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment
    )


def _feed(
    worker: subprocess.Popen[str], waiting: queue.SimpleQueue[dict[str, Any]], answers: queue.Queue[Answer | None]
) -> None:
    """Give a worker one job after the other and pass its answers on; None when it is done."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        while True:
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                worker.stdin.write(json.dumps(job) + "\n")
                worker.stdin.flush()
                over = any(_passed_on(line, answers) for line in worker.stdout)
            except (OSError, ValueError):
                over = False
            if not over:
                answers.put({"error": _death(worker, job["name"]), "kind": ResourceError.__name__})
                return
    finally:
        answers.put(None)


def _passed_on(line: str, answers: queue.Queue[Answer | None]) -> bool:
    """Pass one line on; True where it ends the job."""
    answer: Answer = json.loads(line)
    answers.put(answer)
    return "event" not in answer


def _death(worker: subprocess.Popen[str], name: str) -> str:
    code = worker.wait()
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    hint = "; perhaps memory ran out, then fewer --jobs help" if code == -signal.SIGKILL else ""
    return f"the worker process of {name} {how}{hint}. The same command goes on from its last checkpoint"
