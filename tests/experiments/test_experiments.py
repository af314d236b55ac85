"""Experiments: plain values and back, folders, parallel runs, kills, and what they report."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lifelong
from lifelong.errors import ResourceError, SettingError, StorageError
from lifelong.evaluation import Record
from lifelong.experiments import Experiment, Folder, MethodSpec, collect, configure, from_toml, run_experiment, to_toml
from lifelong.methods import ER, EWC
from lifelong.streams import Stream


def small(methods: Sequence[str] = ("finetune", "er"), seeds: Sequence[int] = (0, 1), **training: Any) -> Experiment:
    return configure(
        "permuted-digits",
        [MethodSpec.of(name) for name in methods],
        seeds,
        model="mlp:16",
        training={"epochs": 1, **training},
        stream_settings={"tasks": 2},
    )


def matrices(results: lifelong.Results) -> dict[tuple[str, int], list[list[float]]]:
    return {(record.method, record.seed): record.matrix.tolist() for record in results.records}


def test_an_experiment_is_its_toml() -> None:
    experiment = configure(
        "rotated-digits",
        [MethodSpec.of(EWC(strength=float("inf"))), MethodSpec.of("ewc+er", {"er": {"capacity": 7}})],
        [3, 5],
        head="all",
        stream_settings={"angles": [0.0, 45.0], "tasks": 2, "seed": 9},
    )
    assert from_toml(to_toml(experiment)) == experiment


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stream = ", "no TOML"),
        ("seeds = [1]", "which stream"),
        ("stream = 'permuted-digit'", "did you mean 'permuted-digits'"),
        ("stream = 'permuted-digits'\nsedes = [1]", "did you mean 'seeds'"),
        ("stream = 'permuted-digits'\n[training]\nepoch = 1", "did you mean 'epochs'"),
        ("stream = 'permuted-digits'\nmethods = [{name = 'ewcc'}]", "did you mean 'ewc'"),
        ("stream = 'permuted-digits'\nmethods = []", "at least one method"),
        ("stream = 'permuted-digits'\nseeds = 'many'\nmethods = [{name = 'ewc'}]", "seeds"),
    ],
)
def test_a_wrong_toml_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        from_toml(text)


def test_parallel_runs_give_the_bits_of_runs_one_by_one_and_are_kept(tmp_path: Path) -> None:
    one_by_one = run_experiment(small(), jobs=1)
    out = Folder(tmp_path / "out")
    parallel = run_experiment(small(), out, jobs=2)
    assert matrices(one_by_one) == matrices(parallel)
    written = {file: file.stat().st_mtime_ns for file in out.path.rglob("seed-*.json")}
    again = run_experiment(small(), out, jobs=2)
    assert matrices(again) == matrices(parallel)
    assert len(written) == 4
    assert written == {file: file.stat().st_mtime_ns for file in written}, "what is finished is not run again"
    assert not list(out.path.rglob("*.safetensors")), "finished runs keep no checkpoint"
    assert matrices(collect(out.path)) == matrices(parallel)


KILLED = """
import sys
from pathlib import Path
from lifelong.experiments import Folder, load, run_experiment
import torch
run_experiment(load(Path(sys.argv[1])), Folder(Path(sys.argv[2])), jobs=1, checkpoint_every=7,
               on_event=lambda event: print(event.task, event.step, flush=True))
"""


def test_killed_again_and_again_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    """SIGKILL in the middle of tasks; the same command goes on and ends as if nothing had happened."""
    experiment = configure(
        "permuted-digits",
        [MethodSpec.of("ewc+er")],
        [0],
        model="mlp:16",
        training={"epochs": 6, "optimizer": "adam", "lr": 1e-3, "keep_optimizer": True},
        stream_settings={"tasks": 3},
    )
    uninterrupted = run_experiment(experiment, jobs=1)
    file = tmp_path / "experiment.toml"
    file.write_text(to_toml(experiment))
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, str(file), str(out)]
    kills = 0
    for news_before_the_kill in (3, 4):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(news_before_the_kill):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        kills += process.wait() == -signal.SIGKILL
    assert kills == 2
    assert list(out.rglob("seed-0.safetensors")), "it was killed in the middle of the run"
    resumed = run_experiment(experiment, Folder(out), jobs=1, checkpoint_every=7)
    assert matrices(resumed) == matrices(uninterrupted)


def test_a_folder_of_other_settings_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "out")
    run_experiment(small(("finetune",), (0,)), folder, jobs=1)
    before = folder.experiment_file.read_bytes()
    with pytest.raises(StorageError, match=r"lr was 0\.1, now 0\.2.*--out"):
        run_experiment(small(("finetune",), (0,), lr=0.2), folder, jobs=1)
    assert folder.experiment_file.read_bytes() == before
    results = run_experiment(small(("finetune", "er"), (0,)), folder, jobs=1)
    assert results.methods == ["finetune", "er"]
    assert [method.name for method in lifelong.experiments.load(folder.path).methods] == ["finetune", "er"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("precious")
    with pytest.raises(StorageError, match="holds other files"):
        run_experiment(small(), Folder(other), jobs=1)


def test_one_run_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    experiment = configure(
        "permuted-digits",
        [MethodSpec.of("finetune"), MethodSpec.of("er")],
        [0],
        model="mlp:16",
        training={"epochs": 1, "lr": 1e30},
        stream_settings={"tasks": 2},
    )
    with pytest.raises(lifelong.DivergedError, match="step"):
        run_experiment(experiment, Folder(tmp_path / "out"), jobs=1)


def test_too_little_memory_is_said_before_anything_is_written(tmp_path: Path) -> None:
    huge = configure("permuted-digits", [MethodSpec.of(ER(capacity=10**12))], [0])
    with pytest.raises(ResourceError, match=r"GiB are free.*methods that store less"):
        run_experiment(huge, Folder(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_results_say_what_was_found() -> None:
    results = lifelong.run(
        "permuted-digits", [EWC(strength=5.0), "finetune"], seeds=2, tasks=2, epochs=1, model="mlp:16", jobs=1
    )
    assert results.methods == ["ewc", "finetune"]
    assert results["ewc"].matrix.shape == (2, 3, 2)
    assert results.scores["ewc"]["acc"]["mean"] == pytest.approx(results["ewc"].matrix[:, -1].mean())
    frame = results.to_frame()
    assert list(frame["method"]) == ["ewc", "ewc", "finetune", "finetune"]
    plain = json.loads(json.dumps(results.to_json(), allow_nan=False))
    assert set(plain) == {"stream", "runs", "summary"}
    assert set(plain["runs"][0]) == {
        "method", "name", "settings", "seed", "score", "matrix", "scores", "final_scores", "matrices", "cost"
    }  # fmt: skip
    assert set(plain["runs"][0]["scores"]) == {"acc", "bwt", "fwt", "forgetting", "learning_acc"}
    assert set(plain["runs"][0]["cost"]) == {
        "train_seconds",
        "eval_seconds",
        "stored_bytes",
        "parameters",
        "capacity_used",
    }
    assert plain["runs"][0]["settings"]["strength"] == 5.0
    assert plain["summary"][0]["acc"]["mean"] == pytest.approx(results.scores["ewc"]["acc"]["mean"])
    with pytest.raises(SettingError, match="choose one"):
        _ = results.matrix


def test_streams_and_models_of_your_own_run_too() -> None:
    x, y = torch.randn(40, 5), torch.arange(40) % 2
    own = Stream.from_datasets([((x, y), (x, y)), ((-x, y), (-x, y))])
    results = lifelong.run(own, ["finetune"], model=lambda: torch.nn.Linear(5, 2), seeds=2)
    assert results.matrix.shape == (2, 3, 2)
    assert not np.array_equal(results.matrix[0], results.matrix[1])


def test_partial_evaluation_leaves_the_rest_unmeasured() -> None:
    results = lifelong.run("permuted-digits", ["finetune"], seeds=1, tasks=3, epochs=1, model="mlp:8", evaluate="last")
    R = results.matrix[0]
    assert np.isnan(R[2, 0])
    assert not np.isnan(R[[0, 3]]).any()
    assert results.to_json()["runs"][0]["matrix"][2][0] is None


def test_capacity_used_is_part_of_the_record_and_outlives_it() -> None:
    options: dict[str, Any] = {"scenario": "task", "tasks": 2, "epochs": 1, "model": "mlp:8", "seeds": 1, "jobs": 1}
    plain, packed = lifelong.run("split-digits", ["finetune", "packnet"], **options).records
    assert plain.cost.capacity_used is None
    assert 0 < (packed.cost.capacity_used or 0) < 1
    assert Record.from_json(json.loads(json.dumps(packed.to_json()))).cost == packed.cost
    older = packed.to_json()
    del older["cost"]["capacity_used"]  # records that were kept before there was such a number
    assert Record.from_json(older).cost.capacity_used is None
