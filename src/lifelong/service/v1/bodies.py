"""What clients send, as pydantic models: unknown names are refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lifelong.store.tables import LARGEST

__all__ = [
    "SHA256",
    "BeatBody",
    "ClaimBody",
    "CompleteBody",
    "ExampleBody",
    "FailBody",
    "FeedbackBody",
    "KeyBody",
    "MethodBody",
    "MoveBody",
    "ReasonBody",
    "ReceiptBody",
    "ReviewBody",
    "TrafficBody",
    "UpdateBody",
]


SHA256 = "^[0-9a-f]{64}$"


class Body(BaseModel):
    """A JSON object without unknown names."""

    model_config = ConfigDict(extra="forbid")


class FeedbackBody(Body):
    """One label: for a `prediction_id`, or with its own input `x`."""

    label: int | str = Field(description="what the answer should have been: a class name or its index")
    prediction_id: str | None = Field(None, description="from the answer to infer")
    x: list[Any] | None = Field(None, description="the input, of the project's shape, where no prediction is named")
    key: str | None = Field(None, description="your own name for this label: sent twice, it counts once")
    source: str | None = Field(None, description="who labelled it; the name of the API key where it is left out")
    supersedes: str | None = Field(None, description="the id of the feedback that this one corrects")


class ExampleBody(Body):
    """One labelled example, with its own input."""

    label: int | str = Field(description="a class name or its index")
    x: list[Any] = Field(description="the input, of the project's shape")
    key: str | None = Field(None, description="your own name for it: sent twice, it counts once")
    source: str | None = Field(None, description="who labelled it; the name of the API key where it is left out")
    supersedes: str | None = Field(None, description="the id of the feedback that this one corrects")


class ReceiptBody(Body):
    """What the sender of a label is told."""

    id: str
    state: str
    duplicate: bool


class MethodBody(Body):
    """A method for one update."""

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)


class UpdateBody(Body):
    """An update by hand."""

    method: MethodBody | None = Field(None, description="instead of the project's, for this update alone")
    task: int | None = Field(
        None, ge=1, le=LARGEST, description="learn this task again, whose update was rejected, cancelled or failed"
    )
    merge: list[Annotated[int, Field(ge=1, le=LARGEST)]] = Field(
        default_factory=list, max_length=100, description="further such tasks, whose lots join that of `task`"
    )
    retrain: bool = Field(False, description="a new learner learns every stored lot together")
    key: str | None = Field(None, description="sent twice, it is one update")


class KeyBody(Body):
    """A new API key."""

    name: str = Field(min_length=1, max_length=200, description="who or what will use it; the audit tells it")
    scopes: list[Literal["predict", "feedback", "worker", "admin"]] = Field(
        min_length=1, description="worker learns updates on another machine; admin is everything"
    )
    days: float | None = Field(None, gt=0, le=36_525, description="how long it holds; for good where it is left out")


class ReasonBody(Body):
    """Why."""

    reason: str = ""


class ReviewBody(ReasonBody):
    """Many labels in quarantine: these, all of one source, or all."""

    ids: list[str] | None = Field(None, min_length=1, max_length=1000)
    source: str | None = None
    all: bool = Field(False, description="whatever is in quarantine")


class TrafficBody(ReasonBody):
    """Who answers beside the champion; what is left out is nobody."""

    canary: str | None = Field(None, description="a version's id or number, which answers for some of the keys")
    percent: float | None = Field(None, ge=0, le=100, description="of the keys; the project's where it is left out")
    shadow: str | None = Field(None, description="a version's id or number, whose answers are compared and not given")


class MoveBody(ReasonBody):
    """Where the champion goes, and why."""

    version: str | None = Field(None, description="a version's id or number")


class ClaimBody(Body):
    """Who claims, and for how many seconds."""

    owner: str = Field(min_length=1, max_length=200, description="names one worker process, and is never used again")
    lease: float = Field(30.0, gt=0, le=3600)


class Attempt(Body):
    """Whose work this is about."""

    owner: str
    attempt: int = Field(ge=1, le=LARGEST)


class BeatBody(Attempt):
    """How far a worker is."""

    progress: dict[str, Any] = Field(default_factory=dict)
    lease: float = Field(30.0, gt=0, le=3600)


class FailBody(Attempt):
    """Why an update cannot be learned."""

    reason: str


class LatencyBody(Body):
    """Milliseconds of single predictions."""

    median: float
    p99: float
    count: int


class CompleteBody(Attempt):
    """What was learned, as names of blobs, how long one prediction takes, and the steps of a repair."""

    candidate: str = Field(pattern=SHA256)
    answers: str = Field(pattern=SHA256)
    latency: LatencyBody
    steps: list[dict[str, Any]] = []
