"""Lesson: the guard of every weight, what it should be and what methods make it, from no guard to an endless one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from lifelong.chapter.geometry import drawn, loss_along, rank_correlation, second_differences, task_loss
from lifelong.chapter.learning import data_stream, learned, usual
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.shown import Grid, Picture, Shown
from lifelong.evaluation import Array, acc, forgetting, intransigence
from lifelong.methods import METHODS, build
from lifelong.methods.quadratic_penalty import Spring
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.importances import guard_scatters, single_moves
from lifelong.reports.tradeoff import strength_curves, tradeoff
from lifelong.reports.wording import DASH, count, percent
from lifelong.streams import Stream
from lifelong.training import Learner, Training

__all__ = ["GUARDS"]

MEASURED = ("ewc", "si", "mas", "rwalk", "scp")
SWEPT = (*MEASURED, "l2")
#: strengths, in multiples of a method's default; 0 is fine-tuning for all of them, so it is run once
FACTORS = (0.0, 0.01, 0.1, 1.0, 3.0, 10.0, 100.0, math.inf)
TASKS, ANGLES = 3, (0.0, 60.0, 120.0)
#: weights that are moved one at a time, by how much, and the examples on which the loss is measured. The move is about
#: the size of an initial weight: a much smaller one mostly tells whether a ReLU's kink happens to be near
DRAWN, MOVE, EXAMPLES = 300, 0.1, 2000
#: the weights whose way is drawn: their rank among those that were drawn, by measured curvature
SHARES = (0.5, 0.95, 1.0)


def _parts(setup: Setup) -> Mapping[str, Part]:
    sweeps = {method: partial(_sweep, setup, method) for method in SWEPT}
    return {"curvature": partial(_curvature, setup), "bounds": partial(_bounds, setup), **sweeps}


def _curvature(setup: Setup, scratch: Path) -> Values:
    """After task 1 of permuted digits: the curvature along single weights, and what five methods take it to be.

    All five learn in one chain. In the first task no spring pulls yet, so each of them has learned as if it were alone.
    """
    tasks = data_stream(setup, "permuted", tasks=1)
    model, training = usual(setup)
    learner = Learner(model, build("+".join(MEASURED)), tasks.space, seed=setup.seed, **asdict(training))
    learner.learn(tasks.task(1), progress=False)
    theta_P = learner.flat.theta_P.detach().double()
    size, limit = (1000, None) if setup.full else (DRAWN, EXAMPLES)
    index_K = drawn(len(theta_P), size, setup.seed)
    loss = task_loss(learner, tasks.task(1).train.at(slice(0, limit)), torch.float64)
    measured_K = second_differences(loss, theta_P, index_K, MOVE)
    states = dict(zip(MEASURED, learner.state, strict=True))
    guards = {method: _importance(state)[torch.from_numpy(index_K)].tolist() for method, state in states.items()}
    ranked = np.argsort(measured_K)
    chosen = [int(ranked[round(share * (len(ranked) - 1))]) for share in SHARES]
    moves_M = np.linspace(-1, 1, 21)
    return {
        "measured": measured_K.tolist(),
        "guards": guards,
        "chosen": chosen,
        "moves": moves_M.tolist(),
        "losses": loss_along(loss, theta_P, index_K[chosen], moves_M).tolist(),
        "parameters": len(theta_P),
    }


def _importance(state: Any) -> torch.Tensor:
    spring = state if isinstance(state, Spring) else state.spring
    return spring.importance_P.double()


def _life(setup: Setup, seed: int) -> tuple[Stream, str, Training]:
    """Three tasks learned from few examples several times over: short, and with much to forget."""
    if setup.data == "mnist":  # with lr 0.1 so short a life forgets hardly anything, and there is nothing to guard
        samples = None if setup.full else 1500
        tasks = data_stream(setup, "permuted", tasks=TASKS, samples=samples, seed=seed)
        return tasks, "mlp:128,128", Training(epochs=8, batch=32, lr=0.3)
    # rotated, as after permutations ewc still forgot 21 points at b → ∞, by weights whose guard is 0. Both choices of
    # a stream were made looking at test accuracies: they decide what can be seen, and no method is ranked by them
    tasks = data_stream(setup, "rotated", tasks=TASKS, angles=ANGLES, seed=seed)
    return tasks, "mlp:128,128", Training(epochs=5, batch=32, lr=0.1)


def _seeds(setup: Setup) -> range:
    return range(setup.seed, setup.seed + (5 if setup.full else 1))


def _bounds(setup: Setup, scratch: Path) -> Values:
    """The matrices of finetune (λ = 0) and of joint, one per seed."""
    return {
        method: [_matrix(setup, scratch, method, seed) for seed in _seeds(setup)] for method in (("finetune"), "joint")
    }


def _sweep(setup: Setup, method: str, scratch: Path) -> Values:
    """The matrices of `method` for every strength above 0, one per seed."""
    usual = _default(method)
    return {
        f"{factor:g}": [
            _matrix(setup, scratch / f"{factor:g}", method, seed, {"strength": factor * usual})
            for seed in _seeds(setup)
        ]
        for factor in FACTORS[1:]
    }


def _matrix(setup: Setup, scratch: Path, method: str, seed: int, settings: dict[str, Any] | None = None) -> Any:
    tasks, model, training = _life(setup, seed)
    return learned(scratch, tasks, method, model=model, training=training, seed=seed, settings=settings)["matrix"]


def _default(method: str) -> float:
    made: Any = METHODS[method]()
    return float(made.strength)


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    curvature = values["curvature"]
    measured = np.asarray(curvature["measured"])
    guards = {method: np.asarray(curvature["guards"][method]) for method in MEASURED}
    ranks = {method: rank_correlation(measured, guards[method]) for method in MEASURED}
    matrices = {method: _by_factor(values, method) for method in SWEPT}  # (strengths, seeds, T + 1, T)
    joint = np.asarray(values["bounds"]["joint"])
    points = {
        method: np.stack([forgetting(R).mean(1), intransigence(R, joint).mean(1)], axis=1)
        for method, R in matrices.items()
    }
    accuracies = {method: acc(R).mean(1) for method, R in matrices.items()}
    pictures = (
        Picture(
            "one-weight",
            Text(
                "One weight moved, all others held: a flat one, a stiff one, and the stiffest of those that were "
                "drawn. The dashed parabola is the guard that ewc gave the weight.",
                "只移动一个参数，其余不动：一个平坦的、一个陡峭的、以及抽样中最陡峭的。虚线抛物线是 ewc 给该参数的守"
                "卫。",
            ),
            partial(_moves, curvature),
        ),
        Picture(
            "guards",
            Text(
                "Every point is one weight: the curvature that was measured by moving it, and the guard it was "
                "given. Hollow points are 0 or below 0 in one of the two. In a network of ReLUs ewc's guard is the "
                "curvature itself, but for the kinks that a move crosses.",
                "每个点是一个参数：横轴是移动它实测出的曲率，纵轴是方法给它的守卫。空心点表示其中一个为零或为负。在 "
                "ReLU 网络里，若移动中不跨过折点，ewc 的守卫就等于曲率本身。",
            ),
            partial(guard_scatters, measured, guards, ranks),
        ),
        Picture(
            "tradeoff",
            Text(
                "From no guard to an endless one: forgetting against intransigence, one curve per method. "
                "The lower left corner would be best. At ∞ weights that were given no guard at all still move.",
                "守卫从零到无穷大：遗忘与不肯学习之间的取舍，每种方法一条曲线。越靠近左下角越好。b → ∞ 时，守卫恰为"
                "零的参数仍会移动。",
            ),
            partial(tradeoff, points),
        ),
        Picture(
            "strength",
            Text(
                "Mean accuracy at the end over the strength: both extremes are bad, the best lies between them.",
                "最终平均正确率随强度的变化：两个极端都不好，最好的在中间。",
            ),
            partial(strength_curves, FACTORS, accuracies),
        ),
    )
    tables = (_ranks(measured, guards, ranks), _tradeoffs(points))
    return Shown(tables, pictures, _notes(setup, len(measured), int(curvature["parameters"])))


def _by_factor(values: Mapping[str, Values], method: str) -> Array:
    rows = [values["bounds"]["finetune"], *(values[method][f"{factor:g}"] for factor in FACTORS[1:])]
    return np.asarray(rows, dtype=np.float64)


def _moves(curvature: Values, language: Language) -> Figure:
    moves, losses = np.asarray(curvature["moves"]), np.asarray(curvature["losses"])
    rises = losses - losses[:, [len(moves) // 2]]
    guards = [float(curvature["guards"]["ewc"][place]) for place in curvature["chosen"]]
    titles = (
        Text("half are flatter", "中等：一半参数比它平坦"),
        Text("19 of 20 are flatter", "陡峭：95% 的参数比它平坦"),
        Text("the max_stable_stiffness", "最陡峭的"),
    )
    return single_moves(moves, list(rises), guards, titles, language)


def _ranks(measured: Array, guards: Mapping[str, Array], ranks: Mapping[str, float | None]) -> Grid:
    heads: list[str | Text] = [
        Text("method", "方法"),
        Text("Spearman's ρ with the measured curvature", "与实测曲率的斯皮尔曼相关系数 ρ"),
        Text("median guard b", "守卫 b 的中位数"),
        Text("largest guard b", "守卫 b 的最大值"),
    ]
    rows: list[list[str | Text]] = [
        [
            method,
            DASH if ranks[method] is None else f"{ranks[method]:.3f}",
            f"{np.median(guard):.2g}",
            f"{guard.max():.2g}",
        ]
        for method, guard in guards.items()
    ]
    rows.append([Text("measured", "实测"), DASH, f"{np.median(measured):.2g}", f"{measured.max():.2g}"])
    return Grid(Text("Guards after task 1", "学完任务 1 之后的守卫"), heads, rows)


def _tradeoffs(points: Mapping[str, Array]) -> Grid:
    caption = Text(
        "Forgetting / intransigence in points, by strength (in multiples of the method's default)",
        "各强度（默认值的倍数）下的遗忘 / 不肯学习的程度（百分点）",
    )
    rows = [
        [
            "0" if factor == 0 else "∞" if math.isinf(factor) else f"{factor:g}",
            *(f"{percent(points[method][place, 0])} / {percent(points[method][place, 1])}" for method in SWEPT),
        ]
        for place, factor in enumerate(FACTORS)
    ]
    return Grid(caption, [Text("strength", "强度"), *SWEPT], rows)


def _notes(setup: Setup, moved: int, parameters: int) -> tuple[Text, ...]:
    seeds, mnist = len(_seeds(setup)), setup.data == "mnist"
    tasks = Text("permutations", "像素置换") if mnist else Text("rotations by 0°, 60° and 120°", "旋转 0°、60°、120°")
    notes = [
        Text(
            f"{moved} of {count(parameters)} weights were moved by ±{MOVE:g} each. The curve of strengths is three "
            f"tasks ({tasks.en}), {seeds} seed{'s' if seeds > 1 else ''}. Intransigence is the accuracy "
            "on a task just learned that joint training has and the method lacks (Chaudhry et al. 2018); below 0 "
            "the method learned it better than joint training.",
            f"从 {count(parameters)} 个参数中抽取 {moved} 个，各移动 ±{MOVE:g}。强度曲线用三个任务（{tasks.zh}），"
            f"{seeds} 个随机种子。“不肯学习的程度”（intransigence）指刚学完某任务时，正确率比多任务联合学习低多少"
            "（Chaudhry 等, 2018）；为负表示比联合学习学得更好。",
        ),
        Text(
            "These tasks and this training were chosen looking at test accuracies, so that there is much to forget and "
            "to guard. They show what guards do; they are no comparison of methods.",
            "任务与训练方式是看着测试正确率挑选的，好让遗忘明显、守卫有用武之地；这里展示守卫的作用，并不比较方法的优劣。",
        ),
    ]
    if not setup.full:
        notes.append(
            Text(
                "Shortened: few seeds and examples, and short training, so differences of a few points between methods "
                "mean nothing; --full takes 5 seeds and more weights.",
                "为省时间，种子少、样本少、训练短，方法之间几个百分点的差别不说明问题；加 --full 用 5 个种子、更多参"
                "数。",
            )
        )
    return tuple(notes)


GUARDS = Lesson(
    name="guards",
    figures=("16.11",),
    title=Text("A guard for every weight", "给每个参数配一个守卫"),
    see=Text(
        "Move one weight and watch the loss of the old task: for most weights hardly anything happens, for a few it "
        "rises steeply. A good guard b is large exactly where the loss bends. The scatters hold each method's guards "
        "against what was measured: all of them were found without moving a single weight. Then the two extremes. With "
        "b = 0 nothing is guarded, the model learns the new task and forgets the old one. With b → ∞ nothing moves: it "
        "forgets nothing and refuses to learn, which is called intransigence. A method is good when its curve bends "
        "close to the lower left corner, and its strength has to be chosen on the way.",
        "只移动一个参数，看旧任务的损失怎样变化：多数参数动了几乎没有影响，少数参数一动损失就陡然上升。好的守卫 b，"
        "应当恰好在损失弯得厉害的地方大。散点图把各方法给出的守卫与实测曲率对照，而这些方法并没有真的逐个移动参数。"
        "再看两个极端：b = 0 时毫不设防，学会新任务，忘掉旧任务；b → ∞ 时寸步不移，什么都不忘，但也学不进新东西，这"
        "叫 intransigence（不肯学习）。曲线越贴近左下角，方法越好；强度要在两个极端之间选取。",
    ),
    parts=_parts,
    show=_show,
)
