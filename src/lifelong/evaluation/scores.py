"""Scores of a matrix R (…, T + 1, T), pure functions of it; each is one number per leading index (seed).

With one task, scores that compare tasks are NaN. Row 0 is the random initialisation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lifelong.evaluation.matrix import Array, checked

__all__ = [
    "TITLES",
    "acc",
    "all_scores",
    "bwt",
    "forgetting",
    "fwt",
    "intransigence",
    "learning_acc",
    "score_title",
    "seen_acc",
]

#: the scores of the objectives as people write them
TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "top5": "top-5 accuracy",
    "calibration_error": "calibration error",
    "r2_clipped": "R² (clipped at 0)",
    "r2": "R²",
    "rmse": "RMSE",
    "mean_average_precision": "mean average precision",
    "exact_match": "exact match",
    "token_accuracy": "token accuracy",
    "sequence_accuracy": "sequence accuracy",
    "perplexity": "perplexity",
    "bleu": "BLEU",
}


def score_title(name: str) -> str:
    """How reports write the name of a score; several, of tasks that differ, are joined by `/`.

    >>> score_title("r2_clipped"), score_title("accuracy/micro_f1"), score_title("my_metric")
    ('R² (clipped at 0)', 'accuracy / micro-F1', 'my_metric')
    """
    return " / ".join(TITLES.get(part, part) for part in name.split("/"))


def acc(matrix: ArrayLike) -> Array:
    """Mean of the last row: `1/T Σ_j R[T, j]`.

    >>> R = [[0.5, 0.5], [0.9, 0.6], [0.7, 0.8]]
    >>> float(acc(R)), round(float(bwt(R)), 3), round(float(fwt(R)), 3), round(float(forgetting(R)), 3)
    (0.75, -0.2, 0.1, 0.2)

    Reference: Lopez-Paz & Ranzato 2017, equation 2.
    """
    return np.asarray(checked(matrix)[..., -1, :].mean(-1))


def learning_acc(matrix: ArrayLike) -> Array:
    """Mean accuracy of each task just after it was learned: `1/T Σ_j R[j, j]`.

    Reference: Riemer et al. 2019, Learning to Learn without Forgetting (learning accuracy).
    """
    return np.asarray(_diagonal(checked(matrix)).mean(-1))


def bwt(matrix: ArrayLike) -> Array:
    """Backward transfer: `1/(T−1) Σ_{j<T} (R[T, j] − R[j, j])`; negative where later tasks harm earlier ones.

    Reference: Lopez-Paz & Ranzato 2017, equation 3.
    """
    R = checked(matrix)
    return _mean(R[..., -1, :-1] - _diagonal(R)[..., :-1])


def fwt(matrix: ArrayLike) -> Array:
    """Forward transfer: `1/(T−1) Σ_{j>1} (R[j−1, j] − R[0, j])`; row 0 is the random initialisation.

    Reference: Lopez-Paz & Ranzato 2017, equation 4.
    """
    R = checked(matrix)
    before = np.diagonal(R[..., :-1, :], axis1=-2, axis2=-1)
    return _mean(before[..., 1:] - R[..., 0, 1:])


def forgetting(matrix: ArrayLike) -> Array:
    """`1/(T−1) Σ_{j<T} (max_{j≤i<T} R[i, j] − R[T, j])`: the fall from the best there ever was. Not −BWT.

    Reference: Chaudhry et al. 2018, Riemannian Walk, equation 3, averaged at k = T.
    """
    R = checked(matrix)
    tasks = R.shape[-1]
    # before task j is learned its column does not count: row i counts from i = j on (rows are numbered from 0)
    counts = np.arange(tasks)[:, None] >= np.arange(1, tasks + 1)[None, :]
    best = np.where(counts, np.nan_to_num(R[..., :-1, :], nan=-np.inf), -np.inf).max(-2)
    best[np.isinf(best)] = np.nan  # never examined before the end: the fall is unknown
    return _mean(best[..., :-1] - R[..., -1, :-1])


def intransigence(matrix: ArrayLike, joint: ArrayLike) -> Array:
    """`1/T Σ_j (R*[j, j] − R[j, j])` with R* of joint training: what the defence costs in learning new tasks.

    Reference: Chaudhry et al. 2018, Riemannian Walk, equation 4, averaged over the tasks.
    """
    return np.asarray((_diagonal(checked(joint)) - _diagonal(checked(matrix))).mean(-1))


def seen_acc(matrix: ArrayLike) -> Array:
    """Mean accuracy over the tasks seen so far, after each task (…, T): `1/i Σ_{j≤i} R[i, j]`."""
    R = checked(matrix)
    means = [R[..., i, :i].mean(-1) for i in range(1, R.shape[-2])]
    return np.stack(means, axis=-1)


def all_scores(matrix: ArrayLike) -> dict[str, float]:
    """The scores of one matrix (T + 1, T) by name."""
    functions = {"acc": acc, "bwt": bwt, "fwt": fwt, "forgetting": forgetting, "learning_acc": learning_acc}
    return {name: float(function(matrix)) for name, function in functions.items()}


def _diagonal(R: Array) -> Array:
    """`R[j, j]` for j = 1 … T: (…, T)."""
    return np.asarray(np.diagonal(R[..., 1:, :], axis1=-2, axis2=-1))


def _mean(values: Array) -> Array:
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    return np.asarray(values.mean(-1))
