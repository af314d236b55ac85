"""Metrics against scikit-learn's, sacreBLEU's, or a slow loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sacrebleu
import torch
from sklearn import metrics as sk

from lifelong.objectives import ClassObjective, LabelObjective, NumberObjective, TokenObjective, metrics
from lifelong.types import Tokens


def logits(count: int, outputs: int) -> torch.Tensor:
    return torch.randn(count, outputs, generator=torch.Generator().manual_seed(3))


def test_scores_of_classes_are_scikit_learns() -> None:
    z, y = logits(200, 8), torch.randint(0, 7, (200,), generator=torch.Generator().manual_seed(1))
    objective = ClassObjective()
    scores = objective.scores(objective.collect(z, y, 1))
    decision = z.argmax(1)
    assert next(iter(scores)) == "accuracy"
    assert scores["accuracy"] == pytest.approx(sk.accuracy_score(y, decision))
    assert scores["macro_f1"] == pytest.approx(sk.f1_score(y, decision, average="macro"))
    assert scores["top5"] == pytest.approx(sk.top_k_accuracy_score(y, z, k=5, labels=range(8)))
    confidence = z.double().softmax(1).max(1).values.numpy()
    slow = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence >= low) & (confidence < low + 1 / 15)
        if inside.any():
            slow += inside.mean() * abs((decision == y).numpy()[inside].mean() - confidence[inside].mean())
    assert scores["calibration_error"] == pytest.approx(slow)
    report = sk.precision_recall_fscore_support(y, decision, labels=range(8), zero_division=0)
    for label, values in metrics.per_class(decision, y).items():
        found = [values["precision"], values["recall"], values["f1"], values["examples"]]
        assert found == pytest.approx([column[label] for column in report])


def test_scores_of_numbers_are_scikit_learns() -> None:
    f, y = logits(50, 3), logits(50, 3) + 0.5 * logits(50, 3).flip(0)
    scores = NumberObjective().scores({"decision": f, "y": y})
    assert scores["r2"] == pytest.approx(sk.r2_score(y, f))
    assert scores["rmse"] == pytest.approx(math.sqrt(sk.mean_squared_error(y, f)), rel=1e-6)
    worse = NumberObjective().scores({"decision": -5 * f, "y": y})
    assert next(iter(worse)) == "r2_clipped"
    assert (worse["r2_clipped"], worse["r2"] < 0) == (0.0, True)
    constant = torch.ones(5, 1)
    assert metrics.r2(constant, constant) == 1.0
    assert metrics.r2(0 * constant, constant) == 0.0


def test_scores_of_labels_are_scikit_learns() -> None:
    z, y = logits(80, 4), (logits(80, 4).roll(1, 0) > 0.3).float()
    objective = LabelObjective()
    scores = objective.scores(objective.collect(z, y, 1))
    decision = (z > 0).int()
    assert scores["micro_f1"] == pytest.approx(sk.f1_score(y, decision, average="micro"))
    assert scores["macro_f1"] == pytest.approx(sk.f1_score(y, decision, average="macro", zero_division=0))
    assert scores["mean_average_precision"] == pytest.approx(sk.average_precision_score(y, z, average="macro"))
    assert scores["exact_match"] == pytest.approx(sk.accuracy_score(y, decision))


def test_scores_of_tokens_leave_padding_out() -> None:
    objective = TokenObjective(Tokens(9, padding=0))
    answer, y = torch.randn(6, 5, 9, generator=torch.Generator().manual_seed(0)), torch.randint(1, 9, (6, 5))
    y[:, 3:] = 0
    y[0, 1:] = 0
    pieces = [objective.collect(answer[rows], y[rows], 1) for rows in (slice(0, 4), slice(4, 6))]
    scores = objective.scores({name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]})
    right = total = 0
    nll = 0.0
    for row in range(6):
        for place in range(5):
            if y[row, place] != 0:
                total += 1
                right += int(answer[row, place].argmax() == y[row, place])
                nll -= float(answer[row, place].log_softmax(0)[y[row, place]])
    assert scores["token_accuracy"] == pytest.approx(right / total)
    assert scores["perplexity"] == pytest.approx(math.exp(nll / total), rel=1e-5)
    lines = [[" ".join(str(int(t)) for t, true in zip(a, b, strict=True) if true) for a, b in zip(rows, y, strict=True)]
             for rows in (answer.argmax(-1), y)]  # fmt: skip
    bleu = sacrebleu.corpus_bleu(lines[0], [lines[1]], tokenize="none", force=True)
    assert scores["bleu"] == pytest.approx(bleu.score / 100)
