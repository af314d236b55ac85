"""`lifelong loop …`: begin a life, and look after it."""

from __future__ import annotations

import codecs
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console

from lifelong.cli.asking import Blobs, Database, Home, Json, Key, ask
from lifelong.cli.extras import needing
from lifelong.cli.life import life_table
from lifelong.cli.loop_init import Name, init
from lifelong.errors import DataError, require

__all__ = ["app"]

app = typer.Typer(help="A model that learns from feedback for life.", no_args_is_help=True)

Reason = Annotated[str, typer.Option(help="why; it is kept in the audit")]
Revision = Annotated[
    int | None, typer.Option(help="do it only while the champion is at this revision: sent again, it is done once")
]

PAGE = 1000

app.command("init")(init)


@app.callback()
def _loop() -> None:
    """A model that learns from feedback for life."""


@app.command("status")
def status(
    home: Home = Path("home"),
    project: Name = "digits",
    key: Key = None,
    database: Database = None,
    blobs: Blobs = None,
    as_json: Json = False,
) -> None:
    """Who answers, what waits, what was decided, and the matrix R over versions."""
    from lifelong.reports import Fitted

    found = ask(home, key, "GET", f"projects/{project}", database=database, blobs=blobs)
    if as_json:
        typer.echo(json.dumps(found))
        return
    champion = found["champion"] or {}
    named = f"{str(champion.get('version'))[:12]}, revision {champion.get('revision', '-')}"
    typer.echo(f"{project}: version {champion.get('number', '-')} answers ({named})")
    counts = ", ".join(f"{count} {state}" for state, count in found["feedback"].items() if count)
    typer.echo(f"feedback: {counts or 'none'}")
    if found["active"] is not None:
        typer.echo(f"update {found['active']['id']}: {found['active']['state']} {found['active']['progress'] or ''}")
    chances = [
        f"{chance:.2f} {'now' if place == 0 else f'after {tasks} tasks'}"
        for place, (tasks, chance) in enumerate(found["gate"]["power"].items())
    ]
    typer.echo(f"a candidate as good as the champion passes the gate with probability {', '.join(chances)}")
    if found["stalled"] is not None:
        typer.echo(f"stalled: {found['stalled']['why']}; what helps: {found['stalled']['help']}")
    for each in found["decisions"]:
        typer.echo(f"update {each['update']}: {each['state']}: {'; '.join(map(str, each['reasons']))}")
    typer.echo("accuracy in %: a row for each version (* answers now), a column for each task")
    Console().print(Fitted(life_table(found["life"], champion.get("number"))))


@app.command("update")
def update(
    home: Home = Path("home"),
    project: Name = "digits",
    method: Annotated[str | None, typer.Option("-m", "--method", help="for this update instead of its own")] = None,
    task: Annotated[
        list[int] | None,
        typer.Option(help="learn this task again, whose update was not promoted; given again, their lots are merged"),
    ] = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="a new learner learns every stored lot together")] = False,
    key: Key = None,
    database: Database = None,
    blobs: Blobs = None,
    wait: Annotated[bool, typer.Option(help="until it is decided")] = True,
    as_json: Json = False,
) -> None:
    """Learn what waits, sit all exams, and let the gate decide.

    Exit code 1 where the update was rejected, failed or cancelled; a lot that is known is none of these.
    """
    with needing("serve"):
        from lifelong.service.talk import talk

    body: dict[str, Any] = {"method": None if method is None else {"name": method}, "retrain": retrain}
    if task:
        body |= {"task": task[0], "merge": task[1:]}
    with talk(home, key, database=database, blobs=blobs) as server:
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


@app.command("retire")
def retire(
    task: Annotated[int, typer.Argument(help="its number")],
    home: Home = Path("home"),
    project: Name = "digits",
    reason: Reason = "",
    restore: Annotated[bool, typer.Option("--restore", help="let it count again")] = False,
    key: Key = None,
    database: Database = None,
    blobs: Blobs = None,
) -> None:
    """Let the exam of a task count no more, as where its labels were wrong or the world has changed."""
    path = f"projects/{project}/tasks/{task}:{'restore' if restore else 'retire'}"
    row = ask(home, key, "POST", path, {"reason": reason}, database=database, blobs=blobs)
    typer.echo(f"the exam of task {row['number']} ({row['name']}) counts {'again' if restore else 'no more'}")


@app.command("versions")
def versions(
    home: Home = Path("home"),
    project: Name = "digits",
    key: Key = None,
    database: Database = None,
    blobs: Blobs = None,
    as_json: Json = False,
) -> None:
    """Every version with its exams."""
    rows = ask(home, key, "GET", f"projects/{project}/versions", database=database, blobs=blobs)
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
    revision: Revision = None,
    key: Key = None,
    database: Database = None,
    blobs: Blobs = None,
) -> None:
    """Make a version the champion."""
    path, body = f"projects/{project}/versions/{version}:promote", {"reason": reason}
    moved = ask(home, key, "POST", path, body, revision=revision, database=database, blobs=blobs)
    typer.echo(f"version {version} answers now (revision {moved['revision']})")


@app.command("rollback")
def rollback(
    version: Annotated[str | None, typer.Argument(help="default: what the champion was made from")] = None,
    home: Home = Path("home"),
    project: Name = "digits",
    reason: Reason = "",
    revision: Revision = None,
    key: Key = None,
    database: Database = None,
    blobs: Blobs = None,
) -> None:
    """Go back to a version: from the champion that is there now, and from no other that comes meanwhile."""
    with needing("serve"):
        from lifelong.service.talk import talk

    with talk(home, key, database=database, blobs=blobs) as server:
        if revision is None:
            revision = server.ask("GET", f"{project}/aliases/champion")["revision"]
        body = {"version": version, "reason": reason}
        moved = server.ask("POST", f"{project}:rollback", body, revision=revision)
    typer.echo(f"version {moved['version'][:12]} answers now (revision {moved['revision']}, it was {revision})")


@app.command("feedback")
def feedback(
    file: Annotated[Path, typer.Argument(help="one JSON object per line: label and x or prediction_id; - is stdin")],
    home: Home = Path("home"),
    project: Name = "digits",
    key: Key = None,
    database: Database = None,
    blobs: Blobs = None,
) -> None:
    """Send labelled examples; exit code 1 where some were refused."""
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}; give a file of one JSON object per line") from error
    require(
        not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)),
        f"{file} is no UTF-8 but UTF-16; save it as UTF-8",
    )
    data = data.removeprefix(codecs.BOM_UTF8)
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
    wrong, states = 0, Counter[str]()
    for start in range(0, len(lines), 500):
        some = lines[start : start + 500]
        part = b"\n".join(line for _, line in some)
        results = ask(home, key, "POST", f"projects/{project}/feedback:batch", part, database=database, blobs=blobs)
        for (number, _), result in zip(some, results, strict=True):
            if "error" in result:
                wrong += 1
                fault = re.sub(r"^line \d+: ", "", result["error"])  # that is its place in what was sent
                typer.echo(f"{file}:{number}: {fault}", err=True)
            else:
                states["duplicate" if result.get("duplicate") else result["state"]] += 1
    among = ", ".join(f"{count} {state}" for state, count in sorted(states.items()) if state != "accepted")
    typer.echo(f"{len(lines) - wrong} stored{f' ({among})' if among else ''}, {wrong} refused")
    if states["quarantined"]:
        typer.echo("those in quarantine are learned when a person accepts them: lifelong loop quarantine")
    if wrong:
        raise typer.Exit(1)


@app.command("quarantine")
def quarantine(
    home: Home = Path("home"),
    project: Name = "digits",
    accept: Annotated[bool, typer.Option("--accept", help="let labels out of quarantine")] = False,
    refuse: Annotated[bool, typer.Option("--refuse", help="keep labels out for good")] = False,
    source: Annotated[str | None, typer.Option(help="those of this source alone")] = None,
    reason: Annotated[str, typer.Option(help="kept with the decision")] = "",
    key: Key = None,
    database: Database = None,
    blobs: Blobs = None,
) -> None:
    """Tell what waits for a person, by source and reason; or accept or refuse all of it, or what one source sent."""
    require(not (accept and refuse), "say --accept or --refuse, not both")
    place = f"projects/{project}/quarantine"
    if accept or refuse:
        require(bool(reason.strip()), "give a --reason; it is kept with the decision")
        body = {"reason": reason, **({"all": True} if source is None else {"source": source})}
        action = "accept" if accept else "refuse"
        done = ask(home, key, "POST", f"{place}:{action}", body, database=database, blobs=blobs)
        wrong = [each for each in done if "error" in each]
        typer.echo(f"{len(done) - len(wrong)} {'accepted' if accept else 'refused'}")
        for each in wrong:
            typer.echo(f"{each['id']}: {each['error']}", err=True)
        return
    rows, after = Counter[tuple[str, str]](), 0
    while page := ask(home, key, "GET", f"{place}?limit=1000&after={after}", database=database, blobs=blobs):
        rows.update(
            (row["source"] or "unknown", row["reason"] or "") for row in page if source in (None, row["source"])
        )
        after = page[-1]["seq"]
    for (who, why), count in rows.most_common():
        typer.echo(f"{count:>6}  {who}: {why}")
    typer.echo(f"{rows.total()} wait for a person")


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="ends with .onnx or .pt (TorchScript)")],
    home: Home = Path("home"),
    project: Name = "digits",
    version: Annotated[str, typer.Option(help="its number or id; default: the champion")] = "champion",
    task: Annotated[int | None, typer.Option(help="for models with a head per task: which of them answers")] = None,
    key: Key = None,
    database: Database = None,
    blobs: Blobs = None,
) -> None:
    """Write a version as a file that runs without this program; it is checked against the version first."""
    with needing("serve"):
        from lifelong.loop.export import check_name
        from lifelong.loop.export import export as write
        from lifelong.service.talk import talk

    check_name(file)
    with talk(home, key, database=database, blobs=blobs) as server:
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
    everything: Annotated[bool, typer.Option("--all", help="of every project, and of keys")] = False,
    known: Annotated[
        str | None, typer.Option(help="a head that --verify told before: finds out, too, whether the end was cut off")
    ] = None,
    key: Key = None,
    database: Database = None,
    blobs: Blobs = None,
    as_json: Json = False,
) -> None:
    """What was done, by whom."""
    with needing("serve"):
        from lifelong.service.talk import talk

    with talk(home, key, database=database, blobs=blobs) as server:
        found: dict[str, Any] = {"entries": []}
        path, after = "audit" if everything else f"projects/{project}/audit", 0
        while page := server.ask("GET", f"{path}?limit={PAGE}&after={after}", under="")["entries"]:
            found["entries"] += page
            after = page[-1]["seq"]
        if verify or known is not None:
            more = "" if known is None else f"&known={quote(known)}"
            found = server.ask("GET", f"{path}?verify=true&limit=1&after={after}{more}", under="") | found
    if as_json:
        typer.echo(json.dumps(found))
    else:
        for row in found["entries"]:
            at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(row["at"]))
            typer.echo(f"{row['seq']:>4}  {at}  {row['actor']:<20} {row['action']:<10} {json.dumps(row['detail'])}")
    if "breaks" in found:
        for each in found["breaks"]:
            typer.echo(f"entry {each['seq']}: {each['fault']}", err=True)
        if found["breaks"]:
            raise typer.Exit(1)
        typer.echo(f"the chain holds; its head is {found['head'][1]}", err=as_json)
