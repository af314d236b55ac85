"""Several servers on one home, and commands that find them: nobody disturbs another, and what a dead one left goes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from lifelong.cli import main
from lifelong.errors import StorageError
from lifelong.loop.engine.begin import begin
from lifelong.service.home import first_key, open_engine, open_home
from lifelong.service.running import ADDRESS, address, announced
from lifelong.service.settings import ServeSettings
from lifelong.service.talk import talk
from lifelong.service.workplace import own_folder
from lifelong.types import Task

from .painting import PAINT, Paint, colours

DIES = """
import os, sys
from pathlib import Path
from lifelong.service.workplace import own_folder
with own_folder(Path(sys.argv[1])) as own:
    (own / "update").mkdir()
    print(own, flush=True)
    os._exit(9)
"""
SETTINGS = ServeSettings(poll_seconds=600)


def called(*arguments: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_only_what_a_dead_process_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / "update").mkdir()  # as servers made it that had no folder of their own
    done = subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], capture_output=True, text=True, check=False)
    dead = Path(done.stdout.strip())
    assert (done.returncode, dead.is_dir()) == (9, True)
    with own_folder(tmp_path) as living:
        assert not dead.exists()
        assert not (tmp_path / "update").exists()
        (living / "update").mkdir()
        with own_folder(tmp_path) as other:
            assert (living / "update").is_dir()
            assert other.is_dir()
        assert not other.exists()
    assert not living.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="choose another --home"), own_folder(tmp_path / "file"):
        pass


@pytest.fixture
def shared(database: str, tmp_path: Path) -> tuple[Path, str]:
    """A home whose store is a PostgreSQL, with version 1 of the project; an admin key."""
    home = tmp_path / "home"
    with open_engine(home, database) as engine:
        begin(engine, PAINT, [Task.of(1, train=colours(300, 0), test=colours(100, 1))], actor="ann")
        key = first_key(engine)
    assert key is not None
    return home, key


def test_two_servers_share_a_home(shared: tuple[Path, str], database: str) -> None:
    home, _ = shared
    with open_home(home, SETTINGS, database=database, start_worker=False) as one:
        (work,) = (path for path in (home / "work").iterdir() if path.is_dir())
        half_written = home / "blobs" / ".abc.tmp"
        half_written.write_bytes(b"half")
        with announced(home, one.app, SETTINGS, "127.0.0.1", 0) as url:
            with (
                open_home(home, SETTINGS, database=database, start_worker=False) as two,
                announced(home, two.app, SETTINGS, "127.0.0.1", 0) as other,
            ):
                assert other != url
                assert address(home) == url, "the first one keeps its address"
                assert work.is_dir()
                assert half_written.exists()
            assert address(home) == url, "the second took its own away only"
        assert address(home) is None
    assert not work.exists()


def test_the_address_that_a_killed_server_left_is_replaced(paint: Paint, begun: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(begun, tmp_path / "other"))
    port_of_another = {"url": str(paint.client.base_url), "token": "t", "folder": home.stat().st_ino}
    nobody = {"url": "http://127.0.0.1:9", "token": "t", "folder": home.stat().st_ino}
    with open_home(home, SETTINGS, start_worker=False) as opened:
        for told in (port_of_another, nobody, {"url": 3}, ["url"], {"url": "nonsense", "token": "t", "folder": 1}):
            (home / ADDRESS).write_text(json.dumps(told))
            with announced(home, opened.app, SETTINGS, "127.0.0.1", 0) as url:
                assert address(home) == url
            assert address(home) is None


def test_a_copy_of_a_home_does_not_drive_the_server_of_the_original(begun: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(begun, tmp_path / "home"))
    with (
        open_home(home, SETTINGS, start_worker=False) as opened,
        announced(home, opened.app, SETTINGS, "127.0.0.1", 0) as url,
    ):
        assert (home / ADDRESS).stat().st_mode & 0o077 == 0, "its token is for this user"
        copy = Path(shutil.copytree(home, tmp_path / "copy"))
        assert json.loads((copy / ADDRESS).read_text())["url"] == url
        assert address(copy) is None
        with talk(copy) as server:
            assert server.url != url
            assert server.ask("GET", "paint")["champion"]["number"] == 1
        assert address(home) == url


def test_no_key_is_sent_to_another_program_at_the_old_address(begun: Path, tmp_path: Path) -> None:
    """What a killed server left names a port where another now listens, which says that it lives."""
    seen: list[str] = []

    class Impostor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(f"{self.path} {self.headers.get('Authorization')}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"live": true, "proof": "0"}')

    home = Path(shutil.copytree(begun, tmp_path / "home"))
    with HTTPServer(("127.0.0.1", 0), Impostor) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{listening.server_port}"
        (home / ADDRESS).write_text(json.dumps({"url": url, "token": "t", "folder": home.stat().st_ino}))
        with talk(home, "secret key") as server:
            assert server.url != url
        listening.shutdown()
    assert len(seen) == 1
    assert seen[0].endswith(" None")


def test_a_mistyped_home_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("serve", "--home", str(tmp_path / "hoem"), "--port", "0") == 2
    assert "is no home of a loop" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "hoem").exists()


def test_an_empty_database_is_not_begun_anew(begun: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Path(shutil.copytree(begun, tmp_path / "home"))
    (home / "lifelong.db").write_bytes(b"")
    assert called("serve", "--home", str(home), "--port", "0") == 2
    assert "is empty, so what it held is lost" in " ".join(capsys.readouterr().err.split())
    assert (home / "lifelong.db").read_bytes() == b""


def test_a_new_home_is_for_its_user_alone(tmp_path: Path) -> None:
    with open_engine(tmp_path / "new" / "home") as engine:
        assert (tmp_path / "new" / "home").stat().st_mode & 0o777 == 0o700
        assert not [warning for warning in engine.store.warnings if "chmod" in warning]
    (tmp_path / "new" / "home").chmod(0o755)
    with open_engine(tmp_path / "new" / "home") as engine:
        assert [warning for warning in engine.store.warnings if "chmod 700" in warning]


def test_commands_find_the_server_of_a_postgres(
    shared: tuple[Path, str], database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home, key = shared
    with (
        open_home(home, SETTINGS, database=database, start_worker=False) as opened,
        announced(home, opened.app, SETTINGS, "127.0.0.1", 0) as url,
        talk(home, key) as server,
    ):
        assert server.url == url
        assert server.ask("GET", "paint")["champion"]["number"] == 1
    at = ("--home", str(home), "--project", "paint")
    assert called("loop", "status", *at) == 2
    assert "name the --database" in capsys.readouterr().err.replace("\n", " ")
    elsewhere = ("--database", database, "--blobs", str(home / "blobs"))
    for command in ("status", "versions", "audit"):
        assert called("loop", command, *at, *elsewhere) == 0
    assert "version 1 answers" in capsys.readouterr().out
    assert called("loop", "rollback", *at, *elsewhere) == 2
    assert "made from none" in capsys.readouterr().err
    assert called("loop", "promote", "1", *at, *elsewhere) == 0
