"""Counters and histograms, and their text for Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Literal

__all__ = ["Counter", "Histogram", "Metrics"]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Counter:
    """A number per combination of label values that only grows; one of the `kind` "gauge" is set, and may fall.

    >>> cups = Counter("cups_total", "Cups of tea.", "kind")
    >>> cups.add("green"); cups.add("green", n=2)
    >>> print("\\n".join(cups.lines()))
    # HELP cups_total Cups of tea.
    # TYPE cups_total counter
    cups_total{kind="green"} 3
    """

    def __init__(self, name: str, text: str, *labels: str, kind: Literal["counter", "gauge"] = "counter") -> None:
        self.name, self.text, self.labels, self.kind = name, text, labels, kind
        self.values: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, n: float = 1) -> None:
        """Add `n` where the labels have these values."""
        self.values[labels] = self.values.get(labels, 0) + n

    def set(self, number: float, *labels: str) -> None:
        """Set it to `number` where the labels have these values."""
        self.values[labels] = number

    def get(self, *labels: str) -> float:
        """What was counted where the labels have these values."""
        return self.values.get(labels, 0)

    def lines(self) -> Iterator[str]:
        """The lines of the Prometheus text format, version 0.0.4."""
        yield f"# HELP {self.name} {self.text}"
        yield f"# TYPE {self.name} {self.kind}"
        for values, number in list(self.values.items()):
            yield f"{self.name}{_braces(self.labels, values)} {number:.17g}"


class Histogram:
    """How often a value fell under each of some bounds, per combination of label values.

    >>> sizes = Histogram("size", "Sizes.", (1, 10))
    >>> sizes.add(10); sizes.add(11)
    >>> print("\\n".join(sizes.lines()))
    # HELP size Sizes.
    # TYPE size histogram
    size_bucket{le="1"} 0
    size_bucket{le="10"} 1
    size_bucket{le="+Inf"} 2
    size_sum 21
    size_count 2
    """

    def __init__(self, name: str, text: str, bounds: tuple[float, ...], *labels: str) -> None:
        self.name, self.text, self.bounds, self.labels = name, text, bounds, labels
        self.values: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}

    def add(self, value: float, *labels: str) -> None:
        """Note one value where the labels have these values."""
        found = self.values.get(labels)
        if found is None:
            found = self.values[labels] = ([0] * (len(self.bounds) + 1), [0.0])
        counts, total = found
        counts[bisect_left(self.bounds, value)] += 1
        total[0] += value

    def lines(self) -> Iterator[str]:
        """The lines of the Prometheus text format, version 0.0.4."""
        yield f"# HELP {self.name} {self.text}"
        yield f"# TYPE {self.name} histogram"
        for values, (counts, total) in list(self.values.items()):
            below = 0
            for bound, count in zip((*self.bounds, float("inf")), counts, strict=True):
                below += count
                shown = "+Inf" if bound == float("inf") else f"{bound:g}"
                yield f"{self.name}_bucket{_braces((*self.labels, 'le'), (*values, shown))} {below}"
            yield f"{self.name}_sum{_braces(self.labels, values)} {total[0]:.17g}"
            yield f"{self.name}_count{_braces(self.labels, values)} {below}"


class Metrics:
    """Everything that serving counts. Labels take few values: projects, versions in use, variants, codes."""

    def __init__(self) -> None:
        self.requests = Counter("lifelong_requests_total", "Inference requests by HTTP status.", "project", "status")
        self.seconds = Histogram("lifelong_request_seconds", "From a whole request to its answer.", SECONDS, "project")
        self.rows = Counter("lifelong_predictions_total", "Inputs answered.", "project", "version", "variant")
        self.failed = Counter("lifelong_failed_total", "Inputs a version failed on.", "project", "version", "variant")
        self.batches = Histogram("lifelong_batch_rows", "Inputs that were run together.", ROWS)
        self.agreed = Counter("lifelong_shadow_agreed_total", "Shadow answers as those given.", "project", "version")
        self.differed = Counter("lifelong_shadow_differed_total", "Shadow answers that differ.", "project", "version")
        self.skipped = Counter("lifelong_shadow_skipped_total", "Inputs a busy server kept from the shadow.", "project")
        self.swaps = Counter("lifelong_swaps_total", "Changes of who answers.", "project")
        self.load_failures = Counter("lifelong_load_failures_total", "Versions that could not be loaded.", "project")
        self.stalled = Counter(
            "lifelong_stalled", "Whether the last three updates failed or were rejected.", "project", kind="gauge"
        )
        self.logged = Counter("lifelong_logged_total", "Predictions stored.")
        self.unlogged = Counter("lifelong_unlogged_total", "Predictions answered but not stored.")

    def text(self) -> str:
        """The page that Prometheus reads."""
        return "\n".join(line for each in vars(self).values() for line in each.lines()) + "\n"


def _braces(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
