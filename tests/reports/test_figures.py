"""What the figures hold, asked of the figure objects; how they look is for the eye."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.patches import Rectangle

from lifelong.errors import SettingError
from lifelong.evaluation import bwt, fwt, interval
from lifelong.methods import METHODS
from lifelong.reports import heat_map, mean_curve, task_curves, transfer_scatter
from lifelong.reports.canvas import LOOKS, looks, png, spread

R = np.array([[0.1, 0.2], [0.9, np.nan], [0.4, 1.0]])


def random_matrices(tasks: int, seeds: int = 2) -> np.ndarray:
    return np.random.default_rng(tasks).random((seeds, tasks + 1, tasks))


def test_heat_map_writes_percents_on_a_fixed_scale() -> None:
    axes = heat_map(R, "ewc+er").axes[0]
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "10",
        (1, 0): "20",
        (0, 1): "90",
        (0, 2): "40",
        (1, 2): "100",
    }
    assert axes.images[0].get_clim() == (0, 100)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0 (start)", "1", "2"]
    outlines = [patch.get_xy() for patch in axes.patches if isinstance(patch, Rectangle)]
    assert outlines == [(-0.5, 0.5), (0.5, 1.5)]


def test_heat_map_of_a_long_life_has_no_numbers_and_few_ticks() -> None:
    axes = heat_map(random_matrices(50)[0], "ewc").axes[0]
    assert len(axes.texts) == 0
    assert len(axes.get_xticks()) <= 12
    assert len(axes.patches) == 50


def test_text_is_drawn_letter_for_letter() -> None:
    assert png(heat_map(R, r"$\nonsense{$ [b] ewc")).startswith(b"\x89PNG")


def test_task_curves_join_measured_points_and_mark_the_learning() -> None:
    figure = task_curves({"ewc": R[None], "er": np.stack([R, R])})
    first, second = figure.axes
    assert [first.get_title("left"), second.get_title("left")] == ["ewc", "er"]
    curve, mark = first.lines[2], first.lines[3]  # of task 2
    assert np.asarray(curve.get_xydata()) == pytest.approx(np.array([[0, 20], [2, 100]]))
    assert np.asarray(mark.get_xydata()) == pytest.approx(np.array([[2, 100]]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["task 1", "task 2"]


def test_many_tasks_have_a_colour_scale_instead_of_a_legend() -> None:
    figure = task_curves({"ewc": random_matrices(12, seeds=1)})
    assert not figure.legends
    assert figure.axes[-1].get_ylim() == (1, 12)


def test_mean_curve_draws_means_bands_and_dashed_bounds() -> None:
    matrices = 0.4 + 0.2 * random_matrices(3, seeds=4)  # bands within 0 … 100 %
    figure = mean_curve({"joint": matrices, "ewc": matrices})
    joint, ewc = figure.axes[0].lines
    expected = [100 * matrices[:, i, :i].mean() for i in (1, 2, 3)]
    assert np.asarray(ewc.get_ydata()) == pytest.approx(np.array(expected))
    assert (joint.get_linestyle(), ewc.get_linestyle()) == ("--", "-")
    band = figure.axes[0].collections[1].get_paths()[0].vertices
    mean, half = interval(100 * matrices[:, 1, 0])
    ends = [float(y) for x, y in np.asarray(band) if x == 1]
    assert (min(ends), max(ends)) == pytest.approx((mean - half, mean + half))


def test_transfer_puts_fwt_across_and_bwt_up() -> None:
    matrices = random_matrices(3, seeds=3)
    axes = transfer_scatter({"ewc": matrices}).axes[0]
    seeds = np.asarray(axes.collections[0].get_offsets())
    assert seeds == pytest.approx(100 * np.stack([fwt(matrices), bwt(matrices)], axis=1))
    [bars] = [container for container in axes.containers if isinstance(container, ErrorbarContainer)]
    assert bars.lines[0].get_xydata() == pytest.approx(seeds.mean(0, keepdims=True))


def test_bands_of_accuracies_end_at_0_and_100() -> None:
    matrices = np.stack([np.full((3, 2), 0.0), np.full((3, 2), 1.0)])
    band = np.asarray(mean_curve({"ewc": matrices}).axes[0].collections[0].get_paths()[0].vertices)
    assert (band[:, 1].min(), band[:, 1].max()) == (0, 100)


def test_methods_that_crowd_are_enlarged_and_each_is_named_once() -> None:
    far, near = random_matrices(3, seeds=2) / 10, random_matrices(3, seeds=2) / 10
    far[:, -1, :2] -= 0.9  # forgets all of it
    far = far + 0.9
    figure = transfer_scatter({"finetune": far, "er": near, "gem": near + 0.01})
    whole, enlarged = figure.axes
    assert [[text.get_text() for text in axes.texts] for axes in (whole, enlarged)] == [["finetune"], ["er", "gem"]]
    assert np.ptp(enlarged.get_ylim()) < np.ptp(whole.get_ylim()) / 2


def test_tasks_have_names_at_the_rows() -> None:
    axes = heat_map(R, "ewc", names=["1 counting", "2 time"]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0 (start)", "1 counting", "2 time"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2"]


def test_one_task_has_no_transfer_but_still_a_figure() -> None:
    axes = transfer_scatter({"ewc": random_matrices(1)}).axes[0]
    assert axes.texts[0].get_text() == "no method has both FWT and BWT"


@pytest.mark.parametrize("figure", [task_curves, mean_curve, transfer_scatter])
def test_wrong_shapes_are_refused(figure: object) -> None:
    assert callable(figure)
    with pytest.raises(SettingError, match="at least one method"):
        figure({})
    with pytest.raises(SettingError, match=r"er: expected matrices of shape \(seeds, T \+ 1, T\), got \(3, 2\)"):
        figure({"er": R})


def test_the_same_figure_gives_the_same_bytes() -> None:
    assert png(heat_map(R, "er")) == png(heat_map(R, "er"))


def test_spread_is_the_interval_of_what_was_measured() -> None:
    values = np.random.default_rng(0).random((5, 2, 3))
    values[1:3, 0, 0] = values[:, 1, 2] = np.nan
    mean, half = spread(values)
    for place in np.ndindex(2, 3):
        column = values[(slice(None), *place)]
        expected = interval(column[~np.isnan(column)]) if place != (1, 2) else (np.nan, np.nan)
        assert (mean[place], half[place]) == pytest.approx(expected, nan_ok=True)


#: whose lines stand in one figure: of the penalties, of what examples and gradients cost, of rehearsal
TOGETHER = (
    ("finetune", "joint", "ewc", "si", "mas", "rwalk", "scp", "l2"),
    ("finetune", "joint", "ewc", "si", "er", "gem", "agem"),
    ("finetune", "joint", "ewc", "er", "gem", "lwf"),
    ("finetune", "joint", "independent", "er", "ewc", "gem"),
    ("er", "er-ace", "der", "der++", "mir", "gss"),
)


def test_every_registered_method_has_a_look_of_its_own() -> None:
    assert set(LOOKS) == set(METHODS)
    assert len(set(LOOKS.values())) == len(METHODS)


@pytest.mark.parametrize("methods", TOGETHER)
def test_methods_that_are_compared_differ_in_colour(methods: tuple[str, ...]) -> None:
    assert len({look.colour for look in looks(methods).values()}) == len(methods)


def test_a_method_looks_the_same_in_every_company() -> None:
    alone, among = looks(["er"]), looks(["gem", "ewc+er", "mine", "er", "ewc:strength=1", "ewc"])
    assert among["er"] == alone["er"]
    assert looks(["ewc+er"])["ewc+er"] == among["ewc+er"]


def test_chains_and_settings_are_dashed_in_the_colour_of_their_method() -> None:
    names = [
        "ewc",
        "ewc+er",
        "ewc:strength=1",
        "ewc:strength=2",
        "der+++ewc",
        "gem, γ = 0",
        "er-ace+si",
        "finetune:x=1",
    ]
    chosen = looks(names)
    assert len(set(chosen.values())) == len(names)
    for name, base in zip(names, ["ewc", "ewc", "ewc", "ewc", "der++", "gem", "er-ace", "finetune"], strict=True):
        assert (chosen[name].colour, chosen[name].marker) == LOOKS[base][:2]
        assert (chosen[name].line == LOOKS[base].line) == (name == base)


def test_names_that_nobody_registered_all_look_different() -> None:
    methods = ["joint", "finetune", *(f"m{i}" for i in range(20)), *LOOKS]
    chosen = looks(methods)
    assert len(set(chosen.values())) == 20 + len(LOOKS)
