"""`lifelong loop init`: a project and its version 1, learned here or brought along."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifelong.cli.asking import Blobs, Database, Home
from lifelong.cli.extras import needing
from lifelong.errors import SettingError, require

if TYPE_CHECKING:
    from lifelong.loop.project import Project
    from lifelong.types import Space

__all__ = ["Name", "init"]

Name = Annotated[str, typer.Option("--project", help="the project's name")]


def init(
    home: Home = Path("home"),
    project: Annotated[
        str | None, typer.Option(help="the project's name  [default: that in --config, or digits]")
    ] = None,
    stream: Annotated[str | None, typer.Option(help="version 1 learns the first task(s) of it")] = None,
    tasks: Annotated[int, typer.Option(help="how many tasks of the stream version 1 learns")] = 1,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="instead of --stream: your own task, a safetensors file with x, y, exam_x, exam_y; repeatable"
        ),
    ] = None,
    learner: Annotated[
        Path | None, typer.Option(help="version 1 is this saved learner, which has learned the tasks already")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="a project.toml; without it all takes defaults")] = None,
    method: Annotated[str | None, typer.Option("-m", "--method", help="against forgetting  [default: er]")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="where the data files are; default $LIFELONG_DATA")] = None,
    database: Database = None,
    blobs: Blobs = None,
) -> None:
    """Make a project, let version 1 learn or take it as it was saved, and make it the champion."""
    with needing("serve"):
        from lifelong.loop.engine.begin import begin
        from lifelong.loop.own import learner_from, parts_from, tasks_of, with_learner
        from lifelong.service.home import open_engine
        from lifelong.streams import stream as stream_named
        from lifelong.types import Space

    if (stream is None) == (not data):
        raise SettingError(
            "version 1 needs something to learn: give --stream, as in --stream rotated-digits, or --data"
        )
    require(learner is None or method is None, "a saved learner has its method: leave out --method or --learner")
    saved = None if learner is None else learner_from(learner)
    if stream is not None:
        source = stream_named(stream, data_dir=data_dir).first(tasks)
        first = list(source)
        made = _project(project, config, method, source.space, first[0].train.x)
    else:
        parts = [parts_from(path) for path in data or ()]
        outputs = 1 + max(int(array.max(initial=0)) for each in parts for array in (each.y, each.exam_y))
        space = Space(parts[0].x.shape[1:], outputs)
        if saved is not None:
            space = replace(space, target=saved.space.classes or outputs, scenario=saved.space.scenario)
        made = _project(project, config, method, space, parts[0].x)
        first = tasks_of(made, parts)
    if saved is not None:
        made = with_learner(made, saved)
    with open_engine(home, database, blobs) as engine:
        version = begin(engine, made, first, actor="lifelong loop init", learner=saved)
    exams = ", ".join(f"task {number}: {value:.3f}" for number, value in version.exam_row["accuracy"].items())
    typer.echo(f"project {made.name!r}: version 1 ({version.id[:12]}) is the champion; exams: {exams}")
    elsewhere = "" if database is None else " --database …"
    typer.echo(f"serve it with: lifelong serve --home {home}{elsewhere}")


def _project(name: str | None, config: Path | None, method: str | None, space: Space, x: Any) -> Project:
    from lifelong.loop.project import LearnerSettings, MethodChoice, Project, from_toml
    from lifelong.loop.schema import InputSchema
    from lifelong.store import read_text
    from lifelong.training import Training

    if config is not None:
        made = from_toml(read_text(config), str(config))
        made = made if name is None else replace(made, name=name)
        return made if method is None else replace(made, method=MethodChoice(method))
    low, high = float(x.min()), float(x.max())
    known = (0.0, 1.0) if low >= 0 and high <= 1 else (None, None)
    return Project(
        name or "digits",
        InputSchema(space.input_shape or (), *known),
        tuple(str(number) for number in range(space.classes or 0)),
        scenario=space.scenario,
        learner=LearnerSettings("mlp:128", training=Training(epochs=20, lr=0.1)),
        method=MethodChoice(method or "er"),
    )
