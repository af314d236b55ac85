"""`lifelong loop …`: begin a life, and look after it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lifelong.cli.extras import needing
from lifelong.cli.life import life_table
from lifelong.errors import SettingError

__all__ = ["app"]

app = typer.Typer(help="A model that learns from feedback for life.", no_args_is_help=True)

Home = Annotated[Path, typer.Option("--home", help="the folder of the loop")]
Name = Annotated[str, typer.Option("--project", help="the project's name")]
Key = Annotated[str | None, typer.Option(help="an admin key of the running server; default $LIFELONG_KEY")]
Json = Annotated[bool, typer.Option("--json", help="print JSON and nothing else")]
Reason = Annotated[str, typer.Option(help="why; it is kept in the audit")]


@app.callback()
def _loop() -> None:
    """A model that learns from feedback for life."""


@app.command("init")
def init(
    home: Home = Path("home"),
    project: Name = "digits",
    stream: Annotated[str | None, typer.Option(help="version 1 learns the first task(s) of it")] = None,
    tasks: Annotated[int, typer.Option(help="how many tasks of the stream version 1 learns")] = 1,
    config: Annotated[Path | None, typer.Option(help="a project.toml; --stream alone takes defaults")] = None,
    method: Annotated[str | None, typer.Option("-m", "--method", help="against forgetting  [default: er]")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="where the data files are; default $LIFELONG_DATA")] = None,
    database: Annotated[str | None, typer.Option(help="postgresql+psycopg://… instead of SQLite in --home")] = None,
    blobs: Annotated[str | None, typer.Option(help="s3://… instead of --home/blobs")] = None,
) -> None:
    """Make a project, let version 1 learn, and make it the champion."""
    with needing("serve"):
        from lifelong.loop.engine.begin import begin
        from lifelong.service.home import open_engine
        from lifelong.streams import stream as stream_named

    if stream is None:
        raise SettingError("version 1 needs something to learn: give --stream, as in --stream rotated-digits")
    source = stream_named(stream, data_dir=data_dir).first(tasks)
    made = _project(project, config, method, source.space, source.task(1).train.x)
    with open_engine(home, database, blobs) as engine:
        version = begin(engine, made, list(source), actor="lifelong loop init")
    exams = ", ".join(f"task {number}: {value:.3f}" for number, value in version.exam_row["accuracy"].items())
    typer.echo(f"project {made.name!r}: version 1 ({version.id[:12]}) is the champion; exams: {exams}")
    typer.echo(f"serve it with: lifelong serve --home {home}")


@app.command("status")
def status(home: Home = Path("home"), project: Name = "digits", key: Key = None, as_json: Json = False) -> None:
    """Who answers, what waits, what was decided, and the matrix R over versions."""
    found = _ask(home, key, "GET", project)
    if as_json:
        typer.echo(json.dumps(found))
        return
    champion = found["champion"] or {}
    typer.echo(f"{project}: version {champion.get('number', '-')} answers ({str(champion.get('version'))[:12]})")
    counts = ", ".join(f"{count} {state}" for state, count in found["feedback"].items() if count)
    typer.echo(f"feedback: {counts or 'none'}")
    if found["active"] is not None:
        typer.echo(f"update {found['active']['id']}: {found['active']['state']} {found['active']['progress'] or ''}")
    for each in found["decisions"]:
        typer.echo(f"update {each['update']}: {each['state']}: {'; '.join(map(str, each['reasons']))}")
    Console().print(life_table(found["life"], champion.get("number")))


@app.command("update")
def update(
    home: Home = Path("home"),
    project: Name = "digits",
    method: Annotated[str | None, typer.Option("-m", "--method", help="for this update instead of its own")] = None,
    task: Annotated[int | None, typer.Option(help="learn this task again, whose update was not promoted")] = None,
    key: Key = None,
    wait: Annotated[bool, typer.Option(help="until it is decided")] = True,
    as_json: Json = False,
) -> None:
    """Learn what waits, sit all exams, and let the gate decide; exit code 1 where it is not promoted."""
    with needing("serve"):
        from lifelong.service.talk import talk

    body: dict[str, Any] = {"task": task, "method": None if method is None else {"name": method}}
    with talk(home, key) as server:
        row = server.ask("POST", f"{project}/updates", body)
        if wait:
            server.learn()
        while wait and row["state"] in ("queued", "training", "examined"):
            time.sleep(0.3)
            row = server.ask("GET", f"{project}/updates/{row['id']}")
    if as_json:
        typer.echo(json.dumps(row))
    else:
        said = row["decision"] or {}
        reasons = said.get("reasons") or [said.get("reason") or ""]
        typer.echo(f"update {row['id']} (task {row['task']}): {row['state']}\n  " + "\n  ".join(map(str, reasons)))
    if row["state"] in ("rejected", "failed", "cancelled"):
        raise typer.Exit(1)


@app.command("versions")
def versions(home: Home = Path("home"), project: Name = "digits", key: Key = None, as_json: Json = False) -> None:
    """Every version with its exams."""
    rows = _ask(home, key, "GET", f"{project}/versions")
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        exams = ", ".join(f"task {number}: {value:.3f}" for number, value in row["exam_row"]["accuracy"].items())
        mark = " *champion*" if row["champion"] else ""
        typer.echo(f"{row['number']:>3}  {row['id'][:12]}  {row['settings']['method']['name']:<10} {exams}{mark}")


@app.command("promote")
def promote(
    version: Annotated[str, typer.Argument(help="its number or id")],
    home: Home = Path("home"),
    project: Name = "digits",
    reason: Reason = "",
    key: Key = None,
) -> None:
    """Make a version the champion."""
    _ask(home, key, "POST", f"{project}/versions/{version}:promote", {"reason": reason})
    typer.echo(f"version {version} answers now")


@app.command("rollback")
def rollback(
    version: Annotated[str | None, typer.Argument(help="default: what the champion was made from")] = None,
    home: Home = Path("home"),
    project: Name = "digits",
    reason: Reason = "",
    key: Key = None,
) -> None:
    """Go back to a version."""
    moved = _ask(home, key, "POST", f"{project}:rollback", {"version": version, "reason": reason})
    typer.echo(f"version {moved['version'][:12]} answers now")


@app.command("feedback")
def feedback(
    file: Annotated[Path, typer.Argument(help="one JSON object per line: label and x or prediction_id; - is stdin")],
    home: Home = Path("home"),
    project: Name = "digits",
    key: Key = None,
) -> None:
    """Send labelled examples; exit code 1 where some were refused."""
    data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    lines = [line for line in data.split(b"\n") if line.strip()]
    wrong = 0
    for start in range(0, len(lines), 500):
        part = b"\n".join(lines[start : start + 500])
        for place, result in enumerate(_ask(home, key, "POST", f"{project}/feedback:batch", part), start=start + 1):
            if "error" in result:
                wrong += 1
                typer.echo(f"{file}:{place}: {result['error']}", err=True)
    typer.echo(f"{len(lines) - wrong} stored, {wrong} refused")
    if wrong:
        raise typer.Exit(1)


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="ends with .onnx or .pt (TorchScript)")],
    home: Home = Path("home"),
    project: Name = "digits",
    version: Annotated[str, typer.Option(help="its number or id; default: the champion")] = "champion",
    task: Annotated[int | None, typer.Option(help="for models with a head per task: which of them answers")] = None,
    key: Key = None,
) -> None:
    """Write a version as a file that runs without this program; it is checked against the version first."""
    with needing("serve"):
        from lifelong.loop.export import check_name
        from lifelong.loop.export import export as write
        from lifelong.service.talk import talk

    check_name(file)
    with talk(home, key) as server:
        name = server.ask("GET", f"{project}/aliases/champion")["version"] if version == "champion" else version
        row = server.ask("GET", f"{project}/versions/{name}")
        _, data = server.send("GET", f"blobs/{row['blob']}")
    kind = write(data, file, task)
    typer.echo(f"{file}: version {row['number']} ({row['id'][:12]}) as {kind}, input x, output logits")


@app.command("audit")
def audit(
    home: Home = Path("home"),
    project: Name = "digits",
    verify: Annotated[bool, typer.Option("--verify", help="check the chain of hashes; exit code 1 at a break")] = False,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """What was done, by whom."""
    found = _ask(home, key, "GET", f"{project}/audit?limit=1000&verify={str(verify).lower()}")
    if as_json:
        typer.echo(json.dumps(found))
    else:
        for row in found["entries"]:
            at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(row["at"]))
            typer.echo(f"{row['seq']:>4}  {at}  {row['actor']:<20} {row['action']:<9} {json.dumps(row['detail'])}")
    if verify:
        for each in found["breaks"]:
            typer.echo(f"entry {each['seq']}: {each['fault']}", err=True)
        if found["breaks"]:
            raise typer.Exit(1)
        typer.echo(f"the chain holds; its head is {found['head'][1]}", err=as_json)


def _ask(home: Path, key: str | None, method: str, path: str, body: object = None) -> Any:
    with needing("serve"):
        from lifelong.service.talk import talk

    with talk(home, key) as server:
        return server.ask(method, path, body)


def _project(name: str, config: Path | None, method: str | None, space: Any, x: Any) -> Any:
    from dataclasses import replace

    from lifelong.loop.project import LearnerSettings, MethodChoice, Project, from_toml
    from lifelong.loop.schema import InputSchema
    from lifelong.training import Training

    if config is not None:
        try:
            made = from_toml(config.read_text(), str(config))
        except OSError as error:
            raise SettingError(f"{config} cannot be read: {error.strerror}; give a project.toml") from error
        return made if method is None else replace(made, method=MethodChoice(method))
    low, high = float(x.min()), float(x.max())
    known = (0.0, 1.0) if low >= 0 and high <= 1 else (None, None)
    return Project(
        name,
        InputSchema(tuple(space.input_shape), *known),
        tuple(str(number) for number in range(space.classes)),
        scenario=space.scenario,
        learner=LearnerSettings("mlp:128", training=Training(epochs=20, lr=0.1)),
        method=MethodChoice(method or "er"),
    )
