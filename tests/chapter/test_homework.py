"""The homework's protocol at full length is the published table's, and its numbers stand beside ours only there."""

from __future__ import annotations

import numpy as np
import pytest

from lifelong.chapter.lesson import Setup
from lifelong.chapter.lessons.homework import HOMEWORK, protocol
from lifelong.chapter.shown import Shown
from lifelong.evaluation import Cost, Record
from lifelong.experiments.reproduce.homework import METHODS, SEEN, homework

EXPERIMENTS = [part.experiment for part in homework().parts]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_only_length_data_and_network_are_changed(experiment: object) -> None:
    full = protocol(Setup("mnist", full=True), experiment)  # type: ignore[arg-type]
    assert full == experiment
    for setup in (Setup("mnist"), Setup("digits"), Setup("digits", full=True)):
        short = protocol(setup, experiment)  # type: ignore[arg-type]
        assert short.methods == full.methods
        assert short.training.optimizer == "adam"
        assert short.stream_for(0).tasks[4].name == "80°" if setup.data == "digits" else True
        assert short.stream_settings["angles"] == [0.0, 20.0, 40.0, 60.0, 80.0]


def test_published_values_stand_only_beside_the_published_protocol() -> None:
    matrix = np.tile(np.linspace(0.1, 0.6, 6)[:, None], (1, 5))
    values = {name: Record(name, {}, 0, matrix, Cost(1.0, 1.0, 0, 1)).to_json() for name in METHODS}
    assert set(HOMEWORK.parts(Setup())) == set(METHODS)
    short = HOMEWORK.show(Setup("mnist"), values).tables[0].in_language("en")[2]
    full = HOMEWORK.show(Setup("mnist", full=True), values).tables[0].in_language("en")[2]
    assert [row[0] for row in short] == list(METHODS)
    assert short[0][1:6] == ["20.0", "30.0", "40.0", "50.0", "60.0"]
    published = {row[0]: row[1:6] for row in full if row[0].endswith("published")}
    assert published["ewc, published"] == [f"{value:.1f}" for value in SEEN["ewc"]]
    assert len(published) == len(SEEN)


def shown(ends: dict[str, tuple[float, float]]) -> Shown:
    """The lesson on matrices with (accuracy on old tasks, on the newest) at the end."""
    matrices = {}
    for name in METHODS:
        old, newest = ends.get(name, (0.5, 0.6))
        matrices[name] = np.vstack([np.full((5, 5), 0.9), [[old] * 4 + [newest]]])
    return HOMEWORK.show(
        Setup(),
        {name: Record(name, {}, 0, matrix, Cost(1.0, 1.0, 0, 1)).to_json() for name, matrix in matrices.items()},
    )


def test_claims_are_stated_only_on_numbers_that_bear_them() -> None:
    retains, pays = shown({"finetune": (0.2, 0.9)}).claims
    assert retains.holds
    assert pays.holds
    assert "above fine-tuning (34.0 %) on all tasks: ewc 52.0" in retains.sentence.en
    assert "fine-tuning has 90.0 %: ewc 60.0" in pays.sentence.en
    retains, pays = shown({"finetune": (0.2, 0.9), "si": (0.1, 0.95)}).claims
    assert not retains.holds
    assert not pays.holds
    assert "并非每种正则项都高于它" in retains.sentence.zh
    assert "below it are ewc, mas, rwalk, scp" in pays.sentence.en
