"""What is the user's own in runs: import paths in workers, labels, objects, metrics, predictions, test-then-train."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lifelong
from lifelong import ER, EWC, Chain, DivergedError, Results, SettingError, Stream
from lifelong.evaluation import Record
from lifelong.experiments import Folder, MethodSpec, collect, configure, from_toml, load, run_experiment, to_toml
from lifelong.experiments.method_spec import labelled, read_methods
from lifelong.experiments.objects import reinitialised
from lifelong.experiments.tune import Range, search
from lifelong.methods.base import Method, NoState
from lifelong.training import Learner

MODULE = """
from dataclasses import dataclass
import torch
from lifelong.methods.base import Method, NoState
from lifelong import Stream
from lifelong.objectives import ClassObjective
from lifelong.types import Classes, Field, Numbers

def network(space):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(space.features, 8), torch.nn.BatchNorm1d(8),
                               torch.nn.ReLU(), torch.nn.Linear(8, space.classes))

@dataclass(frozen=True)
class Halved(Method[NoState]):
    factor: float = 0.5
    name = "halved"
    family = "bounds"
    reference = "-"
    @property
    def state_type(self):
        return NoState
    def gradient(self, state, step, grad_P):
        return grad_P.mul_(self.factor)

def tasks(count=2, seed=0):
    g = torch.Generator().manual_seed(seed)
    data = []
    for i in range(count):
        x = torch.randn(60, 4, generator=g)
        y = (x[:, i] > 0).long()
        data.append(((x, y), (x, y)))
    return Stream.from_datasets(data, validation=0.2)

def skills(seed=0):
    g = torch.Generator().manual_seed(seed)
    x, image = torch.randn(80, 4, generator=g), torch.rand(80, 1, 5, 5, generator=g)
    words = torch.randint(1, 9, (80, 6), generator=g)
    targets = [x[:, :2].tanh(), (image[:, 0, 0, 0] > 0.5).long(), (words == 3).any(1).long()]
    data = [((some, y), (some, y)) for some, y in zip([x, image, words], targets)]
    return Stream.from_datasets(
        data, target=[Numbers(2), Classes(2), Classes(2)], inputs=[None, None, Field((6,), vocabulary=9)],
        names=["numbers", "image", "word"],
    )

class Gentle(ClassObjective):
    name = "gentle"
    def loss(self, answer, y, task):
        return 0.5 * super().loss(answer, y, task)

def worst(decisions, targets):
    return float((decisions != targets).float().mean())

def fails(decisions, targets):
    return {}
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module outside the package that can be imported here and in worker processes."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "outside_runs.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(folder))
    yield "outside_runs"
    sys.modules.pop("outside_runs", None)


def matrices(results: Results) -> dict[tuple[str, int], list[list[float]]]:
    return {(record.method, record.seed): record.matrix.tolist() for record in results.records}


def test_paths_run_in_workers_are_kept_tuned_and_reported(mine: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"seeds": 2, "model": f"{mine}:network", "epochs": 2, "stream_settings": {"count": 2}}
    methods = [f"{mine}:Halved:factor=0.25", "er", f"{mine}:Halved+er"]
    out = tmp_path / "out"
    metrics = {"worst": f"{mine}:worst"}
    here = lifelong.run(f"{mine}:tasks", methods, jobs=1, **options)
    away = lifelong.run(f"{mine}:tasks", methods, jobs=2, out=out, metrics=metrics, **options)
    assert matrices(here) == matrices(away)
    assert away.methods == [f"{mine}:Halved:factor=0.25", "er", "halved+er"]
    assert [record.name for record in away.records[::2]] == ["halved", "er", "halved+er"]
    assert from_toml(to_toml(load(out))) == load(out)
    again = collect(out)
    assert matrices(again) == matrices(away)
    worst = again["er"].matrices["worst"]
    assert np.allclose(worst, 1 - again["er"].matrix)
    assert away.report(tmp_path / "report")[0].exists()
    objects = lifelong.run(
        f"{mine}:tasks",
        sys.modules[mine].Halved,
        jobs=2,
        **{**options, "model": sys.modules[mine].network},
    )  # functions and classes of a module are used by their path
    assert objects.methods == ["halved"]
    one = configure(f"{mine}:tasks", [MethodSpec.of(f"{mine}:Halved")], [0], model=f"{mine}:network")
    choice = search(one, {"halved.factor": Range(0.1, 1.0)}, first=1, trials=1, out=tmp_path / "tune")
    assert 0.1 <= choice.values["halved.factor"] <= 1


def test_the_command_takes_paths_from_its_folder(mine: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lifelong", "run", f"{mine}:tasks", "-m", f"{mine}:Halved,ewc:strength=1"]
    command += [
        "-m",
        "ewc:strength=1000",
        "--set",
        "halved.factor=0.25",
        "--set",
        "stream.count=3",
        "--metric",
        f"{mine}:worst",
    ]
    command += [
        "--model",
        f"{mine}:network",
        "--seeds",
        "1",
        "--jobs",
        "2",
        "--prequential",
        "--keep-predictions",
        "--json",
    ]
    done = subprocess.run(command, cwd=tmp_path / "package", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [run["method"] for run in found["runs"]] == ["halved", "ewc:strength=1", "ewc:strength=1000"]
    assert found["runs"][0]["settings"] == {"factor": 0.25}
    assert len(found["stream"]["tasks"]) == 3
    assert set(found["runs"][0]["matrices"]) == {"accuracy", "macro_f1", "calibration_error", "worst"}
    assert found["summary"][0]["prequential"]["mean"] == found["runs"][0]["prequential"]["mean_score"]
    assert set(found["per_class"]["halved"]) == {"0", "1"}
    wrong = [*command[:5], "-m", "er", "--model", "outside_runs:netwrok"]
    done = subprocess.run(wrong, cwd=tmp_path / "package", capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "did you mean 'network'" in done.stderr.replace("\n", " ")


def test_the_command_runs_a_stream_whose_tasks_differ_in_inputs_and_targets(mine: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lifelong", "run", f"{mine}:skills", "-m", "finetune", "-m", "joint"]
    command += ["--seeds", "2", "--jobs", "2", "--epochs", "4", "--out", str(tmp_path / "out"), "--json"]
    done = subprocess.run(command, cwd=tmp_path / "package", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(run["method"], run["seed"]) for run in found["runs"]] == [
        (m, s) for m in ("finetune", "joint") for s in (0, 1)
    ]
    assert found["runs"][0]["score"] == "r2_clipped/accuracy"
    assert found["runs"][0]["matrices"]["accuracy"][0][0] is None
    assert None not in [value for row in found["runs"][0]["matrix"] for value in row]
    assert collect(tmp_path / "out").report(tmp_path / "report")[0].exists()
    refused = subprocess.run(
        [*command[:5], "-m", "lwf"], cwd=tmp_path / "package", capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "lwf learns tasks that are alike" in refused.stderr.replace("\n", " ")


# --- labels ---


def test_two_settings_of_one_method_are_two_columns(tmp_path: Path) -> None:
    methods = [EWC(1.0), EWC(1000.0), EWC(1000.0, label="Stiff / one"), "er"]
    options: dict[str, Any] = {
        "seeds": 2,
        "tasks": 2,
        "epochs": 1,
        "model": "mlp:8",
        "jobs": 1,
        "out": tmp_path / "out",
    }
    results = lifelong.run("permuted-digits", methods, **options)
    assert results.methods == ["ewc:strength=1", "ewc:strength=1000", "Stiff / one", "er"]
    assert results["Stiff / one"].matrix.tolist() == results["ewc:strength=1000"].matrix.tolist()
    assert results["ewc:strength=1"].matrix.tolist() != results["ewc:strength=1000"].matrix.tolist()
    names = {path.name for path in (tmp_path / "out" / "runs").iterdir()}
    assert len(names) == 4
    assert all(name.isascii() and not set(name) & set(' /:*?"<>|') for name in names)
    assert matrices(collect(tmp_path / "out")) == matrices(results)
    assert load(tmp_path / "out").methods[2].label == "Stiff / one"
    assert len(results.plot()) == 3 + 4
    assert "Stiff / one" in results._repr_html_()


@pytest.mark.parametrize(
    ("methods", "titles"),
    [
        ("ewc,er", ["ewc", "er"]),
        ("ewc", ["ewc"]),
        (EWC, ["ewc"]),
        (["EWC", ER], ["ewc", "er"]),
        ("ewc+er:er.capacity=50", ["ewc+er:er.capacity=50"]),
        ([Chain(EWC(1.0), ER()), Chain(EWC(2.0), ER())], ["ewc+er:ewc.strength=1", "ewc+er:ewc.strength=2"]),
    ],
)
def test_methods_are_taken_as_people_write_them(methods: Any, titles: list[str]) -> None:
    results = lifelong.run("permuted-digits", methods, seeds=1, tasks=1, epochs=1, model="mlp:4", jobs=1)
    assert results.methods == titles


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        (["ewc", "ewc"], "each method once, got ewc twice"),
        ([EWC(1, label="a"), EWC(2, label="a"), "er"], "^$"),
        ("ewc:1", "unknown method 'ewc:1'|no module"),
        ("ewc+er:capacity=5", "of a chain as in ewc\\+er:er.capacity=50"),
        ("ewc,,er", "expected methods as in ewc,er"),
        (3, "object is not iterable|a method is a name"),
        ([3], "a method is a name"),
    ],
)
def test_methods_that_are_none_are_one_sentence(methods: Any, message: str) -> None:
    if message == "^$":
        assert [spec.title for spec in labelled([MethodSpec.of(m) for m in methods])] == [
            "a:strength=1",
            "a:strength=2",
            "er",
        ]
        return
    with pytest.raises((SettingError, TypeError), match=message):
        lifelong.run("permuted-digits", methods, seeds=1, tasks=1)


def test_settings_on_the_command_line_continue_after_a_comma() -> None:
    assert [name for name, _, _ in read_methods(["ewc:strength=1,decay=0.5,er", "mas"])] == ["ewc", "er", "mas"]
    assert read_methods(["a.b:C:x=1"]) == [("a.b:C", {"a.b:C": {"x": "1"}}, "a.b:C:x=1")]


# --- objects ---


@dataclass(frozen=True)
class Silent(lifelong.Finetune):
    name = "silent"


def test_a_method_object_on_a_named_stream_has_the_network_and_training_of_that_stream() -> None:
    Silent.__module__ = "__main__"  # as in a notebook: no import path leads to it
    options: dict[str, Any] = {"tasks": 2, "seeds": 1, "epochs": 1, "progress": False}
    object_, named = (lifelong.run("rotated-digits", method, **options) for method in (Silent(), "finetune"))
    assert np.array_equal(object_.matrix, named.matrix)
    assert object_.records[0].cost.parameters == named.records[0].cost.parameters


@dataclass(frozen=True)
class Exploding(Method[NoState]):
    """Spoils the gradient in its task `at`."""

    at: int = 1
    name = "exploding"
    family = "bounds"
    reference = "-"

    @property
    def state_type(self) -> type[NoState]:
        return NoState

    def gradient(self, state: NoState, step: Any, grad_P: torch.Tensor) -> torch.Tensor:
        return grad_P.fill_(float("nan")) if step.task == self.at else grad_P


def test_what_finished_is_kept_where_another_run_diverges(clouds: Callable[..., Stream]) -> None:
    tasks = clouds("domain", tasks=2)
    with pytest.raises(DivergedError, match="task 2") as caught:
        lifelong.run(tasks, ["finetune", Exploding(2), Exploding(9)], seeds=2, model="mlp:4", training={"epochs": 20})
    assert caught.value.results.methods == ["finetune", "exploding:at=9"]
    assert len(caught.value.results.records) == 4
    with pytest.raises(DivergedError) as named:
        lifelong.run(
            "permuted-digits", ["finetune", "der:alpha=1e30"], seeds=1, tasks=2, model="linear", epochs=1, jobs=2
        )
    assert named.value.results.methods == ["finetune"]


def test_a_module_begins_anew_for_every_seed(clouds: Callable[..., Stream]) -> None:
    tasks = clouds("domain", tasks=2)
    module = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    results = lifelong.run(tasks, "finetune", model=module, seeds=3)
    first = {tuple(record.matrix.ravel()) for record in results.records}
    assert len(first) == 3, "three initialisations"
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    again = lifelong.run(tasks, "finetune", model=module, seeds=[2, 1])
    assert matrices(again).items() <= matrices(results).items()
    alone = lifelong.run(tasks, "finetune", model=module, seeds=1)
    learner = Learner(module, None, tasks.space)
    assert alone.matrix[0, 0].tolist() == learner.evaluate(tasks), "with one seed the weights are those of the module"


def test_reinitialising_leaves_what_is_frozen_and_says_what_cannot_begin_anew() -> None:
    frozen = nn.Linear(3, 3).requires_grad_(False)
    network = reinitialised(nn.Sequential(frozen, nn.Linear(3, 2)), seed=1)
    assert torch.equal(network[0].weight, frozen.weight)

    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.ones(1))

    with pytest.raises(SettingError, match=r"layer '1' \(Scale\) has no reset_parameters; give a function"):
        reinitialised(nn.Sequential(nn.Linear(2, 2), Scale()), seed=0)


def test_objects_cannot_go_to_workers_and_it_is_said(clouds: Callable[..., Stream], tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="a Stream object cannot go to 2 worker processes; put it into a module"):
        lifelong.run(clouds("domain"), "finetune", jobs=2)
    with pytest.raises(SettingError, match=r"a model's function without an import path cannot be kept"):
        lifelong.run("permuted-digits", "finetune", model=lambda: nn.Linear(64, 10), out=tmp_path / "out")
    with pytest.raises(SettingError, match="a metric without an import path cannot go"):
        lifelong.run("permuted-digits", "finetune", metrics={"m": lambda d, y: 0.0}, jobs=2)


# --- scores ---


def test_every_score_is_in_results_frames_json_and_reports(clouds: Callable[..., Stream], tmp_path: Path) -> None:
    tasks = clouds("domain", tasks=2)

    def agree(decisions: torch.Tensor, targets: torch.Tensor) -> float:
        return float((decisions == targets).float().mean())

    results = lifelong.run(tasks, "finetune", model="mlp:4", seeds=2, metrics={"agree": agree})
    assert set(results.matrices) == {"accuracy", "macro_f1", "calibration_error", "agree"}
    assert np.allclose(results.matrices["agree"], results.matrix)
    assert np.array_equal(results.matrices["accuracy"], results.matrix)
    row = results.to_frame().iloc[0]
    assert row["agree"] == pytest.approx(row["acc"])
    plain = json.loads(json.dumps(results.to_json(), allow_nan=False))
    assert plain["runs"][0]["score"] == "accuracy"
    assert plain["summary"][0]["final_scores"]["agree"]["mean"] == pytest.approx(plain["summary"][0]["acc"]["mean"])
    assert Record.from_json(plain["runs"][0]).matrices.keys() == results.matrices.keys()
    page = results.report(tmp_path)[0].read_text()
    assert "calibration error" in page
    assert "agree" in page


def test_a_metric_that_fails_says_its_name_before_training(mine: str) -> None:
    with pytest.raises(SettingError, match=r"metric 'fails' failed on decisions .* TypeError"):
        lifelong.run("permuted-digits", "finetune", tasks=1, seeds=1, metrics={"fails": f"{mine}:fails"})
    with pytest.raises(SettingError, match="there is a score called 'accuracy' already"):
        lifelong.run("permuted-digits", "finetune", tasks=1, seeds=1, metrics={"accuracy": f"{mine}:worst"})


@pytest.mark.parametrize("jobs", [1, 2])
def test_predictions_can_be_kept_and_read(jobs: int, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "tasks": 2,
        "epochs": 1,
        "model": "mlp:8",
        "jobs": jobs,
        "keep_predictions": True,
        "seeds": 2,
    }
    loose = lifelong.run("permuted-digits", "finetune", **options)
    kept = lifelong.run("permuted-digits", "finetune", out=tmp_path / "out", **options)
    assert len(list((tmp_path / "out").rglob("*.predictions.npz"))) == 2
    for results in (loose, kept, collect(tmp_path / "out")):
        for record in results.records:
            right = [float((p.decision == p.y).mean()) for p in results.predictions["finetune", record.seed].values()]
            assert right == pytest.approx(record.matrix[-1].tolist())
        classes = results.per_class["finetune"]
        tests = [results.predictions["finetune", seed] for seed in (0, 1)]
        recall = [np.mean(np.concatenate([p.decision[p.y == 3] for p in tasks.values()]) == 3) for tasks in tests]
        assert classes[3]["recall"] == pytest.approx(np.mean(recall))
    with pytest.raises(SettingError, match="keep_predictions=True"):
        _ = replace(loose, records=tuple(replace(record, predictions={}) for record in loose.records)).predictions


def test_an_objective_of_your_own_by_path_resumes_and_goes_to_workers(mine: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"seeds": 2, "tasks": 2, "epochs": 1, "model": "mlp:8"}
    plain, half = (
        lifelong.run("permuted-digits", "finetune", lr=lr, jobs=1, objective=objective, **options)
        for lr, objective in ((0.05, None), (0.1, f"{mine}:Gentle"))
    )
    assert np.allclose(plain.matrix, half.matrix, atol=0.02), "half the loss is half the step"
    away = lifelong.run("permuted-digits", "finetune", lr=0.1, jobs=2, objective=sys.modules[mine].Gentle, **options)
    assert matrices(away) == matrices(half)
    with pytest.raises(SettingError, match="did you mean 'Gentle'"):
        lifelong.run("permuted-digits", "finetune", objective=f"{mine}:Gentel", **options)


# --- test, then train ---


def test_prequential_answers_every_batch_before_it_is_learned(clouds: Callable[..., Stream]) -> None:
    """Against a slow loop: the network is copied before each step, and answers there."""
    tasks = clouds("domain", tasks=2)

    def normed() -> nn.Module:  # to be asked in training mode would change its statistics
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))

    results = lifelong.run(tasks, "er", model=normed, seeds=1, batch=16, lr=0.5, prequential=True)
    tested = results.records[0].prequential
    assert tested is not None
    learner = Learner(normed, "er", tasks.space, batch=16, lr=0.5, seed=0)
    expected: list[float] = []

    def before(batch: Any) -> None:
        answer = copy.deepcopy(learner.model).eval()(batch.x)
        expected.append(float((answer.argmax(1) == batch.y).float().mean()))

    for task in tasks:
        learner.learn(task, on_batch=before)
    assert tested.score == pytest.approx(expected)
    assert sum(tested.examples) == sum(len(task.train) for task in tasks), "one pass"
    plain = lifelong.run(tasks, "er", model=normed, seeds=1, batch=16, lr=0.5)
    assert plain.matrix.tolist() == results.matrix.tolist(), "to be asked changes nothing"
    assert "prequential" in results.plot()
    assert results.scores["er"]["prequential"]["mean"] == pytest.approx(tested.mean_score)


def test_prequential_needs_one_pass_and_a_method_that_takes_batches_as_they_come(clouds: Callable[..., Stream]) -> None:
    with pytest.raises(SettingError, match=r"set epochs=1"):
        lifelong.run(clouds("domain"), "finetune", epochs=2, prequential=True)
    with pytest.raises(SettingError, match="joint chooses its own"):
        lifelong.run(clouds("domain"), "joint", prequential=True)


def test_a_prequential_run_that_was_killed_ends_with_the_same_curve(tmp_path: Path) -> None:
    experiment = configure(
        "permuted-digits", [MethodSpec.of("er")], [0], model="mlp:8", prequential=True, stream_settings={"tasks": 2},
        training={"epochs": 1},
    )  # fmt: skip
    whole = run_experiment(experiment, jobs=1).records[0]

    class Killed(BaseException):
        """As if the process were killed."""

    def kill(event: Any) -> None:
        if event.task == 2:
            raise Killed

    folder = Folder(tmp_path / "out")
    with pytest.raises(Killed):
        run_experiment(experiment, folder, jobs=1, checkpoint_every=7, on_event=kill)
    resumed = run_experiment(experiment, folder, jobs=1, checkpoint_every=7).records[0]
    assert whole.prequential == resumed.prequential
    assert whole.matrix.tolist() == resumed.matrix.tolist()
