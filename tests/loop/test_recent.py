"""How much was sent lately, asked from several threads, and forgotten in time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from lifelong.loop.engine.recent import Recent


def test_what_is_older_than_the_window_is_forgotten() -> None:
    recent = Recent()
    for second in range(1000):
        assert recent.count(f"name {second}", float(second), most=5, seconds=10.0) == 0
        assert len(recent) <= 10
    assert [recent.count("ann", 2000.0, most=3, seconds=10.0) for _ in range(6)] == [0, 1, 2, 3, 3, 3]
    assert len(recent) == 1
    assert recent.count("ann", 1500.0, most=3, seconds=10.0) == 0, "a clock that was set back begins anew"
    assert recent.count("ann", 2e9, most=3, seconds=1e-9) == 0


def test_threads_count_together() -> None:
    recent = Recent()

    def count(_: int) -> int:
        return recent.count("ann", 1.0, most=100_000, seconds=60.0)

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(count, range(4000))) == list(range(4000))
