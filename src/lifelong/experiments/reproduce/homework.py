"""The homework of a course on lifelong learning: five rotations of MNIST, springs of five kinds."""

from __future__ import annotations

from typing import Any

from lifelong.experiments.reproduce.table import Cell, Part, Table, part
from lifelong.training import Training

__all__ = ["homework"]

SEEN = {
    "finetune": (97.98, 95.55, 86.43, 77.73, 69.88),
    "ewc": (97.77, 95.37, 87.19, 80.45, 72.20),
    "mas": (97.90, 95.89, 92.59, 88.65, 84.22),
}

# the homework's penalty has no factor 1/2; where ours has one the strength is doubled
METHODS: dict[str, dict[str, Any]] = {
    "finetune": {},
    "ewc": {"strength": 200.0, "fisher": "empirical"},
    "mas": {"strength": 0.1},
    "si": {"strength": 1.0},
    "rwalk": {"strength": 100.0, "alpha": 0.4, "epsilon": 0.1},
    # the mean logits of 10,000 images differ little from those of 60,000, whose gradients cost as much as 2,800 steps
    "scp": {"strength": 100.0, "projections": 100, "samples": 10_000},
}
WHY = {
    "mas": "over seeds ours varies by ten points after task 5, the published value is one seed. The homework's code "
    "takes the size of the gradient of a batch's mean where the paper has that of each sample: with our seed 0 that "
    "gives 87.71 and 81.50 after tasks 4 and 5, instead of 85.73 and 72.74 (`python benchmarks/homework_mas.py "
    "--batched --once`). It also adds up all sums of before, which explains nothing (without `--once` 87.09 and 74.41)",
}


def homework() -> Table:
    """LeeDL tutorial, homework 14: the mean accuracy on the tasks seen so far, after every task."""
    return Table(
        name="homework",
        source="LeeDL tutorial, homework 14 (lifelong machine learning), the published notebook's outputs, one seed",
        protocol="rotated MNIST at 0°, 20°, 40°, 60°, 80° (nearest), MLP 784-1024-512-256-10, Adam 1e-4 made anew for "
        "each task, batches of 128, 10 epochs per task",
        parts=tuple(_part(name, settings) for name, settings in METHODS.items()),
        seeds=1,
    )


def _part(name: str, settings: dict[str, Any]) -> Part:
    cells = [Cell(f"seen {k}", value, "code", WHY.get(name, "")) for k, value in enumerate(SEEN.get(name, ()), start=1)]
    return part(
        "rotated MNIST",
        name,
        name,
        settings,
        cells,
        stream="rotated-mnist",
        stream_settings={"tasks": 5, "angles": [0.0, 20.0, 40.0, 60.0, 80.0], "interpolation": "nearest"},
        model="mlp:1024,512,256",
        training=Training(epochs=10, batch=128, optimizer="adam", lr=1e-4),
        evaluate="every",
    )
