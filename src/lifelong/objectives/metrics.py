"""Scores of answers, as pure functions; each is tested against scikit-learn's or the library that is named.

Suffixes: C classes or labels, N examples, L positions. Higher is better but for errors.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "accuracy",
    "calibration_error",
    "macro_f1",
    "mean_average_precision",
    "micro_f1",
    "multi_label_macro_f1",
    "per_class",
    "r2",
    "rmse",
    "text_scores",
    "top_k",
]


def accuracy(decision_N: Tensor, y_N: Tensor) -> float:
    """The fraction of right decisions."""
    return int((decision_N == y_N).sum()) / len(y_N)


def per_class(decision_N: Tensor, y_N: Tensor) -> dict[int, dict[str, float]]:
    """Precision, recall, F1 and number of examples of every class among decisions and targets.

    Example:
        >>> per_class(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]))[0]["recall"]
        0.5
    """
    count = int(torch.cat([decision_N, y_N]).max()) + 1
    right_C = torch.bincount(y_N[decision_N == y_N], minlength=count).double()
    told_C, true_C = (torch.bincount(values, minlength=count).double() for values in (decision_N, y_N))
    found: dict[int, dict[str, float]] = {}
    for label in ((told_C + true_C) > 0).nonzero()[:, 0].tolist():
        right, told, true = float(right_C[label]), float(told_C[label]), float(true_C[label])
        precision, recall = right / told if told else 0.0, right / true if true else 0.0
        both = 2 * right / (told + true)
        found[label] = {"precision": precision, "recall": recall, "f1": both, "examples": true}
    return found


def macro_f1(decision_N: Tensor, y_N: Tensor) -> float:
    """The mean F1 over the classes among decisions and targets."""
    count = int(torch.cat([decision_N, y_N]).max()) + 1
    right_C = torch.bincount(y_N[decision_N == y_N], minlength=count).double()
    both_C = torch.bincount(decision_N, minlength=count) + torch.bincount(y_N, minlength=count)
    there_C = both_C > 0
    return float((2 * right_C[there_C] / both_C[there_C]).mean())


def top_k(answer_NC: Tensor, y_N: Tensor, k: int) -> float:
    """The fraction of examples whose class is among the `k` highest outputs."""
    return int((answer_NC.topk(k, dim=1).indices == y_N[:, None]).any(1).sum()) / len(y_N)


def calibration_error(answer_NC: Tensor, y_N: Tensor, bins: int = 15) -> float:
    """Expected calibration error: Σ_b |b|/N |accuracy(b) − confidence(b)| over `bins` equal bins of confidence.

    Reference: Guo et al. 2017, On Calibration of Modern Neural Networks, equation 3.
    """
    confidence_N, decision_N = answer_NC.double().softmax(1).max(1)
    place_N = (confidence_N * bins).long().clamp_max(bins - 1)
    gap_N = (decision_N == y_N).double() - confidence_N
    return float(torch.zeros(bins, dtype=torch.float64).index_add_(0, place_N, gap_N).abs().sum()) / len(y_N)


def micro_f1(decision_NC: Tensor, y_NC: Tensor) -> float:
    """F1 over all labels of all examples together; 1 where there is nothing to find and nothing was claimed."""
    right, both = float((decision_NC * y_NC).sum()), float(decision_NC.sum() + y_NC.sum())
    return 2 * right / both if both else 1.0


def multi_label_macro_f1(decision_NC: Tensor, y_NC: Tensor) -> float:
    """The mean over labels of their F1, 0 for a label that neither occurs nor is claimed (as scikit-learn has it)."""
    right_C, both_C = (decision_NC * y_NC).sum(0).double(), (decision_NC.sum(0) + y_NC.sum(0)).double()
    return float((2 * right_C / both_C.clamp_min(1)).mean())


def mean_average_precision(answer_NC: Tensor, y_NC: Tensor) -> float:
    """The mean over labels that occur of Σ_n (recall_n − recall_{n−1}) precision_n, examples by falling answer.

    Equal answers stand together, as in scikit-learn.
    """
    from sklearn.metrics import average_precision_score

    occurring = y_NC.sum(0) > 0
    if not bool(occurring.any()):
        return float("nan")
    return float(average_precision_score(y_NC[:, occurring].numpy(), answer_NC[:, occurring].double().numpy()))


def r2(decision_NC: Tensor, y_NC: Tensor) -> float:
    """1 − Σ (f − y)² / Σ (y − ȳ)² per output, the mean over outputs; 1 or 0 where the targets do not vary."""
    y, f = y_NC.double(), decision_NC.double()
    rest_C, all_C = (f - y).square().sum(0), (y - y.mean(0)).square().sum(0)
    each_C = torch.where(
        all_C > 0, 1 - rest_C / all_C.clamp_min(torch.finfo(torch.float64).tiny), (rest_C == 0).double()
    )
    return float(each_C.mean())


def rmse(decision_NC: Tensor, y_NC: Tensor) -> float:
    """The root of the mean squared error over examples and outputs."""
    return float((decision_NC.double() - y_NC.double()).square().mean().sqrt())


def text_scores(decision_NL: Tensor, y_NL: Tensor, padding: int) -> dict[str, float]:
    """BLEU (0 … 1) of the decisions, tokens written as numbers; empty without the extra `text`.

    The decisions are those of single steps along the true sequence (teacher forcing), not of free generation.

    Reference: sacreBLEU (Post 2018) computes it.
    """
    try:
        import sacrebleu
    except ImportError:
        return {}
    real_NL = y_NL != padding

    def lines(tokens_NL: Tensor) -> list[str]:
        pairs = zip(tokens_NL.tolist(), real_NL.tolist(), strict=True)
        return [" ".join(str(token) for token, real in zip(*pair, strict=True) if real) for pair in pairs]

    ours, theirs = lines(decision_NL), lines(y_NL)
    bleu = sacrebleu.corpus_bleu(ours, [theirs], tokenize="none", force=True)
    return {"bleu": bleu.score / 100}
