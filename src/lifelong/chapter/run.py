"""Run experiments of the chapter: every part that is not finished yet, in parallel; and the page of what is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lifelong.chapter.folder import ChapterFolder
from lifelong.chapter.lesson import Lesson, Setup, Values
from lifelong.chapter.lessons import LESSONS
from lifelong.chapter.page import Section, write_chapter, write_pictures
from lifelong.experiments import Answer, cores, run_parallel

__all__ = ["draw", "finished", "run_lessons", "write_page"]


def run_lessons(
    lessons: Sequence[Lesson],
    setup: Setup,
    out: Path,
    *,
    jobs: int | None = None,
    on_part: Callable[[str, str, float], None] | None = None,
) -> None:
    """Compute the parts of `lessons` that `out` does not hold yet, `jobs` at a time (default one per core).

    `on_part(lesson, part, seconds)` hears of each. A run that was killed goes on from the parts that are finished, and
    from the checkpoints of those that are not.

    Raises: `StorageError` where `out` holds something else or cannot be written; the error of the first part that
    failed, after all others are done.
    """
    folder = ChapterFolder(out)
    folder.claim(setup)
    waiting: list[dict[str, Any]] = [
        {
            "name": f"part {part} of {lesson.name}",
            "lesson": lesson.name,
            "part": part,
            "setup": asdict(setup),
            "scratch": str(folder.scratch(lesson.name, part).resolve()),
        }
        for lesson, part in unfinished(lessons, setup, out)
    ]

    def keep(answer: Answer) -> None:
        folder.finish(answer["lesson"], answer["part"], answer["values"])
        if on_part is not None:
            on_part(answer["lesson"], answer["part"], answer["seconds"])

    if waiting:
        failures = run_parallel(waiting, jobs or cores(), 1, keep, module="lifelong.chapter.worker")
        if failures:
            raise failures[0]


def unfinished(lessons: Sequence[Lesson], setup: Setup, out: Path) -> list[tuple[Lesson, str]]:
    """The lessons and parts whose values `out` does not hold yet."""
    folder = ChapterFolder(out)
    return [(each, part) for each in lessons for part in each.parts(setup) if folder.finished(each.name, part) is None]


def finished(lesson: Lesson, setup: Setup, out: Path) -> dict[str, Values] | None:
    """The values of all parts of a lesson, or None where one is missing."""
    folder = ChapterFolder(out)
    found = {part: folder.finished(lesson.name, part) for part in lesson.parts(setup)}
    whole = {part: values for part, values in found.items() if values is not None}
    return whole if len(whole) == len(found) else None


def draw(lesson: Lesson, setup: Setup, out: Path) -> None:
    """Draw the pictures of a lesson whose parts are finished in `out`."""
    values = finished(lesson, setup, out)
    assert values is not None
    write_pictures(out, lesson.name, lesson.show(setup, values).pictures)


def write_page(setup: Setup, out: Path, *, jobs: int | None = None) -> list[Path]:
    """Write the pictures of every lesson that is finished in `out`, `jobs` lessons at a time, and `index.html`.

    Returns the paths, the page first.
    """
    sections = [
        Section(lesson.name, lesson.title, lesson.see, lesson.show(setup, values), lesson.figures, values)
        for lesson in LESSONS.values()
        if (values := finished(lesson, setup, out)) is not None
    ]
    job = {"setup": asdict(setup), "out": str(out.resolve())}
    todo = [
        {"name": f"pictures of {section.name}", "lesson": section.name, **job}
        for section in sorted(sections, key=lambda section: -len(section.shown.pictures))
    ]
    failures = run_parallel(todo, jobs or cores(), 1, lambda _: None, module="lifelong.chapter.worker")
    if failures:
        raise failures[0]
    command = "lifelong chapter --all" + (f" --data {setup.data}" if setup.data != "digits" else "")
    command += (" --full" if setup.full else "") + (f" --seed {setup.seed}" if setup.seed else "")
    return write_chapter(out, sections, command)
