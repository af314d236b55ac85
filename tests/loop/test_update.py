"""The life of an update: every path, every event twice, and whatever order events come in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lifelong.errors import ConflictError
from lifelong.loop.update import (
    FINAL,
    Beat,
    Cancelled,
    Claim,
    Decided,
    Event,
    Examined,
    Expired,
    Failed,
    State,
    Update,
    after,
    lease_is_over,
)

JOB = Update("u1", "digits", base_version="v1", created=0.0)
TAKEN = after(replace(JOB, task=2), Claim("ann", 1, lease=60), now=0.0)
SEEN = after(TAKEN, Examined("ann", 1, "v2", {"row": {"1": 0.9}}), now=50.0)


def test_the_straight_way() -> None:
    assert (TAKEN.state, TAKEN.lease_owner, TAKEN.lease_until, TAKEN.task) == ("training", "ann", 60.0, 2)
    beaten = after(TAKEN, Beat("ann", 1, lease=60, progress={"step": 10}), now=30.0)
    assert (beaten.lease_until, beaten.progress) == (90.0, {"step": 10})
    assert (SEEN.state, SEEN.candidate, SEEN.lease_owner, SEEN.lease_until) == ("examined", "v2", None, None)
    done = after(SEEN, Decided("promoted", {"reasons": ["better"]}), now=51.0)
    assert (done.state, done.decision, done.updated) == ("promoted", {"reasons": ["better"]}, 51.0)


def test_a_person_decides_once() -> None:
    waiting = after(SEEN, Decided("waiting"), now=51.0)
    assert after(waiting, Decided("rejected", {"actor": "ann"}), now=60.0).state == "rejected"
    promoted = after(waiting, Decided("promoted", {"actor": "ann"}), now=60.0)
    with pytest.raises(ConflictError, match="promoted: it cannot be rejected any more"):
        after(promoted, Decided("rejected", {"actor": "bob"}), now=61.0)


def test_a_lost_worker_is_replaced_and_cannot_come_back() -> None:
    again = after(TAKEN, Expired(1, lease=60), now=60.0)
    assert (again.state, again.attempt, again.lease_owner) == ("queued", 2, None)
    assert after(again, Expired(1, lease=60), now=61.0) is again, "told twice"
    bob = after(again, Claim("bob", 2), now=62.0)
    for late in (Beat("ann", 1), Examined("ann", 1, "v2"), Claim("ann", 1), Failed("ann", 1, "ann's error")):
        with pytest.raises(ConflictError):
            after(bob, late, now=63.0)
    assert bob.task == 2, "the lot stays the same"


def test_only_its_worker_can_say_that_it_fails() -> None:
    for stranger in (Failed("eve", 1, "ha"), Failed("ann", 2, "ha")):
        with pytest.raises(ConflictError, match="training with ann at attempt 1"):
            after(TAKEN, stranger, now=9.0)
    with pytest.raises(ConflictError, match="queued"):
        after(JOB, Failed("ann", 1, "it was never taken"), now=9.0)
    failed = after(TAKEN, Failed("ann", 1, "bad data"), now=9.0)
    assert (failed.state, failed.decision) == ("failed", {"reason": "bad data", "worker": "ann"})
    assert after(failed, Failed("ann", 1, "bad data"), now=10.0) is failed, "told twice"
    with pytest.raises(ConflictError, match="failed at attempt 1"):
        after(failed, Failed("eve", 1, "bad data"), now=10.0)


def test_three_lost_workers_are_enough() -> None:
    job = JOB
    for attempt in (1, 2, 3):
        job = after(job, Claim(f"worker {attempt}", attempt, lease=10), now=100.0 * attempt)
        job = after(job, Expired(attempt, lease=10, attempts=3), now=100.0 * attempt + 10)
    assert (job.state, job.attempt) == ("failed", 3)
    assert job.decision is not None
    assert "the last was worker 3" in job.decision["reason"]
    assert after(job, Expired(3, attempts=3), now=999.0) is job


def test_a_lease_that_still_runs_is_not_taken() -> None:
    with pytest.raises(ConflictError, match="runs until"):
        after(TAKEN, Expired(1, lease=60), now=59.0)
    with pytest.raises(ConflictError, match="training with ann"):
        after(TAKEN, Claim("bob", 1), now=59.0)


def test_a_clock_that_goes_back_holds_nothing_for_ever_and_makes_nothing_older() -> None:
    late = after(JOB, Claim("ann", 1, lease=60), now=100_000.0)
    assert not lease_is_over(late, lease=60, now=100_000.0)
    assert lease_is_over(late, lease=60, now=500.0), "no lease of 60 s could end that late"
    again = after(late, Expired(1, lease=60), now=500.0)
    assert (again.state, again.updated) == ("queued", 100_000.0)


OWNERS = st.sampled_from(["ann", "bob"])
ATTEMPTS = st.integers(1, 4)
DECISIONS: st.SearchStrategy[Event] = st.builds(Decided, st.sampled_from(["promoted", "rejected", "waiting"]))
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Claim, OWNERS, ATTEMPTS, st.just(10.0)),
    st.builds(Beat, OWNERS, ATTEMPTS, st.just(10.0)),
    st.builds(Examined, OWNERS, ATTEMPTS, st.sampled_from(["v2", "v3"])),
    DECISIONS,
    st.builds(Expired, ATTEMPTS, st.just(10.0), st.just(3)),
    st.builds(Failed, OWNERS, ATTEMPTS, st.sampled_from(["bad data", "no memory"])),
    st.builds(Cancelled, st.just("not now")),
)

LEGAL: dict[State, set[State]] = {
    "queued": {"training", "failed", "cancelled"},
    "training": {"queued", "examined", "failed", "cancelled"},
    "examined": {"promoted", "rejected", "waiting"},
    "waiting": {"promoted", "rejected"},
}


class Life(RuleBasedStateMachine):
    """Workers, sweeps and people send what they like, early, late and twice; clocks jump both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.job, self.now = JOB, 0.0

    @rule(event=EVENTS, seconds=st.floats(-15, 30))
    def send(self, event: Event, seconds: float) -> None:
        self.now += seconds
        before = self.job
        try:
            self.job = after(before, event, self.now)
        except ConflictError:
            return
        assert after(self.job, event, self.now) == self.job, "the same event again changes nothing"
        assert self.job.state == before.state or self.job.state in LEGAL.get(before.state, set())
        assert self.job.attempt in (before.attempt, before.attempt + 1)
        assert self.job.updated >= before.updated
        assert before.task in (None, self.job.task)
        if isinstance(event, (Beat, Examined, Failed)) and before.state == "training":
            assert (before.lease_owner, before.attempt) == (event.owner, event.attempt), "only the holder is heard"

    @rule(event=EVENTS)
    def send_later_again(self, event: Event) -> None:
        try:
            first = after(self.job, event, self.now)
        except ConflictError:
            return
        if not isinstance(event, Beat):  # that one extends the lease each time
            assert after(first, event, self.now + 1000) == first

    @invariant()
    def a_lease_is_held_in_training_only(self) -> None:
        leased = self.job.lease_owner is not None and self.job.lease_until is not None
        assert leased == (self.job.state == "training")
        assert (self.job.candidate is not None) == (self.job.state in {"examined", "waiting", "promoted", "rejected"})
        assert 1 <= self.job.attempt <= 3

    @invariant()
    def what_is_over_stays_over(self) -> None:
        if self.job.state in FINAL:
            for event in (Claim("bob", self.job.attempt), Beat("ann", 1), Examined("ann", 9, "v9")):
                with pytest.raises(ConflictError):
                    after(self.job, event, self.now)


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase
