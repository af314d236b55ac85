"""The clock of the loop against a machine's clock that jumps."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lifelong.loop.engine.steady import SteadyClock
from lifelong.service.home import open_engine
from lifelong.store import audit

SECONDS = st.floats(0, 1e4)


@given(latest=SECONDS, ticks=st.lists(st.tuples(SECONDS, SECONDS), min_size=1))
def test_it_goes_on_whatever_the_machine_says(latest: float, ticks: list[tuple[float, float]]) -> None:
    wall, running = [ticks[0][0]], [0.0]
    clock = SteadyClock(latest, lambda: wall[0], lambda: running[0])
    before = clock()
    assert before == max(latest, wall[0])
    for says, passed in ticks:
        wall[0] = says
        running[0] += passed
        now = clock()
        assert now >= wall[0]
        assert now - before >= passed - 1e-6
        assert now == wall[0] or abs(now - before - passed) < 1e-6
        before = now


def test_a_server_goes_on_from_what_an_earlier_one_has_stored(tmp_path: Path) -> None:
    with open_engine(tmp_path) as engine:
        ahead = engine.clock() + 3600
        engine.write(
            lambda connection: audit.append(connection, at=ahead, project=None, actor="ann", action="test", detail={})
        )
    with open_engine(tmp_path) as engine:
        assert ahead <= engine.clock() < ahead + 60
