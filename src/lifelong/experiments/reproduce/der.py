"""Dark experience for general continual learning: permuted, rotated and sequential MNIST."""

from __future__ import annotations

from typing import Any, NamedTuple

from lifelong.experiments.reproduce.table import Cell, Confidence, Part, Table, part
from lifelong.training import Training

__all__ = ["der"]

MODEL = "mlp:100,100@xavier"
STREAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "permuted": ("permuted-mnist", {"tasks": 20}),
    "rotated": ("rotated-mnist", {"tasks": 20, "drawn": "all", "interpolation": "nearest"}),
    "sequential": ("split-mnist", {"scenario": "class"}),
}
BATCH = {"permuted": 128, "rotated": 128, "sequential": 10}


class Setup(NamedTuple):
    """One cell: the published accuracy, and the authors' learning rate, settings, batch (none: the stream's) and decay
    of the weights.
    """

    acc: float
    lr: float
    settings: dict[str, Any] | None = None
    batch: int | None = None
    weight_decay: float = 0.0


def _online_ewc(strength: float) -> dict[str, Any]:
    # the authors' penalty has no factor 1/2, so the strength is doubled; they weigh the squared gradient at the given
    # label by its probability, which is one term of the true Fisher, and most of it
    return {"strength": 2 * strength, "fisher": "true", "decay": 1.0}


def _three(accs: tuple[float, ...], lrs: tuple[float, ...], *settings: dict[str, Any]) -> tuple[Setup, ...]:
    """Cells of the three memories; one dictionary of settings holds for all three."""
    each = settings * 3 if len(settings) == 1 else settings
    return tuple(Setup(*cell) for cell in zip(accs, lrs, each, strict=True))


WITHOUT_MEMORY: dict[str, dict[str, Setup]] = {
    "permuted": {
        "joint": Setup(94.33, 0.1),
        "finetune": Setup(40.70, 0.2),
        "online-ewc": Setup(75.79, 0.1, _online_ewc(0.7)),
        "si": Setup(65.86, 0.1, {"strength": 0.5, "xi": 1.0}),
    },
    "rotated": {
        "joint": Setup(95.76, 0.1),
        "finetune": Setup(67.66, 0.2),
        "online-ewc": Setup(77.35, 0.1, _online_ewc(0.7)),
        "si": Setup(71.91, 0.1, {"strength": 1.0, "xi": 1.0}),
    },
    "sequential": {
        "joint": Setup(95.57, 0.1),
        "finetune": Setup(19.60, 0.03),
        "online-ewc": Setup(20.46, 0.03, _online_ewc(90.0)),
        "si": Setup(19.27, 0.1, {"strength": 1.0, "xi": 0.9}),
        "lwf": Setup(19.62, 0.03, {"strength": 0.25, "temperature": 2.0}, weight_decay=0.0005),
    },
}
MEMORIES = (200, 500, 5120)
REPLAY = {"replay_batch": 128}
FEW = {"replay_batch": 10}
BY_BATCH: dict[str, Any] = {"gate": "batch"}
WITH_MEMORY: dict[str, dict[str, tuple[Setup, ...]]] = {
    "permuted": {
        "er": _three((72.37, 80.60, 89.90), (0.2, 0.2, 0.2), REPLAY),
        "gem": _three((66.93, 76.88, 87.42), (0.1, 0.1, 0.1), {"per": "total", "margin": 0.5}),
        "agem": _three((66.42, 67.56, 73.32), (0.1, 0.1, 0.1), REPLAY),
        "gss": _three(
            (63.72, 76.00, 82.22),
            (0.2, 0.1, 0.03),
            BY_BATCH | FEW | {"subset": 128},
            BY_BATCH | REPLAY | {"subset": 10},
            BY_BATCH | REPLAY | {"subset": 10},
        ),
        "der": _three(
            (81.74, 87.29, 91.66),
            (0.2, 0.2, 0.2),
            REPLAY | {"alpha": 1.0},
            REPLAY | {"alpha": 1.0},
            REPLAY | {"alpha": 0.5},
        ),
        "der++": _three(
            (83.58, 88.21, 92.26),
            (0.1, 0.2, 0.2),
            REPLAY | {"alpha": 1.0, "beta": 1.0},
            REPLAY | {"alpha": 1.0, "beta": 0.5},
            REPLAY | {"alpha": 0.5, "beta": 1.0},
        ),
    },
    "rotated": {
        "er": _three((85.01, 88.91, 93.45), (0.2, 0.2, 0.2), REPLAY),
        "gem": _three((80.80, 81.15, 88.57), (0.01, 0.01, 0.01), {"per": "total", "margin": 0.5}),
        "agem": _three((81.91, 80.31, 80.18), (0.1, 0.3, 0.3), REPLAY),
        "gss": _three(
            (79.50, 81.58, 85.24),
            (0.2, 0.2, 0.2),
            BY_BATCH | FEW | {"subset": 128},
            BY_BATCH | REPLAY | {"subset": 128},
            BY_BATCH | REPLAY | {"subset": 128},
        ),
        "der": _three(
            (90.04, 92.24, 94.14),
            (0.2, 0.2, 0.2),
            REPLAY | {"alpha": 1.0},
            REPLAY | {"alpha": 0.5},
            REPLAY | {"alpha": 0.5},
        ),
        "der++": _three(
            (90.43, 92.77, 94.65),
            (0.1, 0.2, 0.2),
            REPLAY | {"alpha": 1.0, "beta": 0.5},
            REPLAY | {"alpha": 0.5, "beta": 1.0},
            REPLAY | {"alpha": 0.5, "beta": 0.5},
        ),
    },
    "sequential": {
        "er": _three((80.43, 86.12, 93.40), (0.01, 0.1, 0.1), FEW),
        "gem": _three(
            (80.11, 85.99, 95.11),
            (0.01, 0.03, 0.1),
            {"per": "total", "margin": 1.0},
            {"per": "total", "margin": 0.5},
            {"per": "total", "margin": 1.0},
        ),
        "agem": _three((45.72, 46.66, 54.24), (0.1, 0.1, 0.1), REPLAY),
        "icarl": _three((70.51, 70.10, 70.60), (0.1, 0.1, 0.1), {}),
        "gss": (
            Setup(38.90, 0.1, BY_BATCH | FEW | {"subset": 10}, 128),
            Setup(49.76, 0.1, BY_BATCH | FEW | {"subset": 10}, 128),
            Setup(89.39, 0.1, BY_BATCH | REPLAY | {"subset": 10}, 128),
        ),
        "der": _three(
            (84.55, 90.54, 94.90),
            (0.03, 0.03, 0.1),
            FEW | {"alpha": 0.2},
            REPLAY | {"alpha": 1.0},
            REPLAY | {"alpha": 0.5},
        ),
        "der++": _three(
            (85.61, 91.00, 95.30),
            (0.03, 0.03, 0.1),
            REPLAY | {"alpha": 0.2, "beta": 1.0},
            FEW | {"alpha": 1.0, "beta": 0.5},
            {"replay_batch": 64, "alpha": 0.2, "beta": 0.5},
        ),
    },
}
#: standard deviations over the authors' 10 seeds, as far as they are recalled
SPREAD: dict[tuple[str, str], tuple[float, ...]] = {
    ("permuted", "joint"): (0.17,),
    ("permuted", "finetune"): (2.33,),
    ("permuted", "online-ewc"): (2.25,),
    ("permuted", "si"): (1.57,),
    ("rotated", "joint"): (0.04,),
    ("rotated", "finetune"): (8.53,),
    ("rotated", "online-ewc"): (5.77,),
    ("rotated", "si"): (5.83,),
    ("permuted", "er"): (0.87, 0.86, 0.13),
    ("permuted", "gem"): (1.25, 0.52, 0.95),
    ("permuted", "agem"): (4.00, 1.28, 1.12),
    ("permuted", "gss"): (0.70, 0.87, 1.14),
    ("permuted", "der"): (1.07, 0.46, 0.11),
    ("permuted", "der++"): (0.59, 0.39, 0.17),
    ("rotated", "er"): (1.90, 1.44, 0.56),
    ("rotated", "gem"): (1.15, 1.98, 0.40),
    ("rotated", "agem"): (0.76, 6.29, 5.52),
    ("rotated", "gss"): (0.41, 0.58, 0.59),
    ("rotated", "der"): (2.61, 1.12, 0.31),
    ("rotated", "der++"): (1.87, 1.05, 0.33),
}
#: Student's t for 95 % and 10 seeds, over the root of 10
OF_SPREAD = 2.262 / 10**0.5
#: cells that a paper is known to hold; all others are recalled, a lead and no truth
READ = {("rotated", name, memory) for name in ("finetune", "online-ewc", "er") for memory in (None, 200, 500)}
_GSS = (
    "the memory changes only when the gradient of a batch points away from all |S| stored examples that it is compared "
    "with, as in the authors' public code, and that is rare: with |S| = 128, which their list of settings has for "
    "rotated and for permuted 200, hardly ever, and seldom with |S| = 10 at the low rate of permuted 5120; what let "
    "more in is not found out. With |S| = 10 permuted 200 gives 61.1 ± 7.3 (3 seeds): `lifelong run permuted-mnist "
    "--tasks 20 -m gss --model mlp:100,100@xavier --epochs 1 --batch 128 --lr 0.2 --seeds 3 --evaluate last --set "
    "stream.validation=0 --set gss.capacity=200 --set gss.replay_batch=128 --set gss.subset=10 --set gss.gate=batch`; "
    "rotated 200 gives 82.1 ± 2.8: the same with rotated-mnist, `--set stream.drawn=all --set "
    "stream.interpolation=nearest --set gss.replay_batch=10`"
)
WHY: dict[tuple[str, str], str] = {
    ("permuted", "gss"): _GSS,
    ("rotated", "gss"): _GSS,
    ("permuted", "finetune"): "not found out; the published value is recalled, and er, der, der++ there agree",
}


def der() -> Table:
    """Buzzega et al. 2020, Dark Experience for General Continual Learning, MNIST streams."""
    bounds = [_part(stream, name, setup) for stream, by in WITHOUT_MEMORY.items() for name, setup in by.items()]
    replays = [
        _part(stream, name, setup, memory)
        for stream, by in WITH_MEMORY.items()
        for name, setups in by.items()
        for memory, setup in zip(MEMORIES, setups, strict=True)
    ]
    return Table(
        name="der",
        source="Buzzega et al. 2020, Dark Experience for General Continual Learning; protocol and settings from the "
        "authors' code",
        protocol="permuted and rotated (drawn from 0 … 180°, nearest): 20 tasks × 60,000, batches of 128; sequential: "
        "5 × 2 classes, all ten outputs from the start, batches of 10 (gss: 128); MLP 784-100-100-10 (Xavier), SGD, "
        "one epoch",
        parts=(*bounds, *replays),
        seeds=5,
    )


def _part(stream: str, name: str, setup: Setup, memory: int | None = None) -> Part:
    confidence: Confidence = "paper" if (stream, name, memory) in READ else "recalled"
    spread = SPREAD.get((stream, name))
    ci95 = None if spread is None else OF_SPREAD * spread[0 if memory is None else MEMORIES.index(memory)]
    named, stream_settings = STREAMS[stream]
    batch = setup.batch or BATCH[stream]
    return part(
        stream if memory is None else f"{stream}, memory {memory}",
        name,
        name,
        ({} if memory is None else {"capacity": memory}) | (setup.settings or {}),
        [Cell("acc", setup.acc, confidence, WHY.get((stream, name), ""), ci95)],
        stream=named,
        stream_settings=stream_settings,
        model=MODEL,
        training=Training(epochs=1, batch=batch, optimizer="sgd", lr=setup.lr, weight_decay=setup.weight_decay),
        head="all",
    )
