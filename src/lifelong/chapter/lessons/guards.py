"""Lesson: the importance b of every parameter, measured and as methods estimate it, and its strength from 0 to ∞."""

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
from torch import Tensor, nn

from lifelong.chapter.geometry import drawn, loss_along, rank_correlation, second_differences, task_loss
from lifelong.chapter.learning import data_stream, learned, usual
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.shown import Claim, Grid, Picture, Shown
from lifelong.evaluation import Array, acc, forgetting, interval, intransigence
from lifelong.methods import METHODS, Spring, build
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.importances import guard_scatters, single_moves
from lifelong.reports.tradeoff import strength_curves, tradeoff
from lifelong.reports.wording import DASH, percent
from lifelong.streams import Stream
from lifelong.training import Learner, Training
from lifelong.types import Examples

__all__ = ["GUARDS"]

MEASURED = ("ewc", "si", "mas", "rwalk", "scp")
SWEPT = (*MEASURED, "l2")
#: strengths, in multiples of a method's default; 0 is fine-tuning for all of them, so it is run once
FACTORS = (0.0, 0.01, 0.1, 1.0, 3.0, 10.0, 100.0, math.inf)
TASKS, ANGLES = 3, (0.0, 60.0, 120.0)
#: weights that are moved one at a time, by how much, and the examples on which the loss is measured. The move is about
#: the size of an initial weight: a much smaller one mostly tells whether a ReLU's kink happens to be near
DRAWN, MOVE, EXAMPLES = 300, 0.1, 2000
#: the move that measures the curvature at θᵇ itself
NEAR = 1e-4
#: the weights whose way is drawn: their rank among those that were drawn, by measured curvature
SHARES = (0.5, 0.95, 1.0)


PENALTY = "L′(θ) = L(θ) + λ Σᵢ bᵢ (θᵢ − θᵢᵇ)²"


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
        "local": second_differences(loss, theta_P, index_K[chosen], NEAR).tolist(),
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
        method: [_matrix(setup, scratch, method, seed) for seed in _seeds(setup)] for method in ("finetune", "joint")
    }


def _sweep(setup: Setup, method: str, scratch: Path) -> Values:
    """The matrices of `method` for every strength above 0, one per seed; and what b = ∞ leaves free."""
    default = _default(method)
    finite = {
        f"{factor:g}": [
            _matrix(setup, scratch / f"{factor:g}", method, seed, {"strength": factor * default})
            for seed in _seeds(setup)
        ]
        for factor in FACTORS[1:-1]
    }
    frozen = [_frozen(setup, method, seed) for seed in _seeds(setup)]
    return {**finite, **{key: [run[key] for run in frozen] for key in ("inf", "free", "moved", "woken")}}


def _frozen(setup: Setup, method: str, seed: int) -> Values:
    """A run with b → ∞: its matrix and, after task 1 on, which parameters moved.

    `free` is the share of parameters with b = 0, `moved` the largest move of all others, `woken` the number of hidden
    units that were silent on the examples of a task when b was measured there and answer to them at the end.
    """
    tasks, model, training = _life(setup, seed)
    learner = Learner(model, build(method, {"strength": math.inf}), tasks.space, seed=seed, **asdict(training))
    matrix = [learner.evaluate(tasks)]
    free: list[float] = []
    moved, active = [0.0], list[Tensor]()
    for task in tasks:
        before_P, guarded_P = learner.flat.theta_P.detach().clone(), _importance(learner.state) > 0
        learner.learn(task, progress=False)
        matrix.append(learner.evaluate(tasks))
        active.append(_active(learner.model, task.train))
        if task.number > 1:
            free.append(float((~guarded_P).double().mean()))
            moved.append(float((learner.flat.theta_P.detach() - before_P).abs()[guarded_P].max()))
    woken = [_active(learner.model, task.train) & ~then for task, then in zip(tasks, active, strict=True)]
    return {"inf": matrix, "free": free, "moved": max(moved), "woken": int(torch.stack(woken).any(0).sum())}


@torch.no_grad()
def _active(model: nn.Module, examples: Examples) -> Tensor:
    """Which units of the ReLU layers answer to any of the examples."""
    answers: list[Tensor] = []

    def note(layer: nn.Module, inputs: object, answer_BU: Tensor) -> None:
        answers.append((answer_BU > 0).any(0))

    hooks = [layer.register_forward_hook(note) for layer in model.modules() if isinstance(layer, nn.ReLU)]
    model(examples.x)
    for hook in hooks:
        hook.remove()
    return torch.cat(answers)


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
        method: np.stack([forgetting(R), intransigence(R, joint)], axis=-1) for method, R in matrices.items()
    }  # (strengths, seeds, 2)
    means = {method: each.mean(1) for method, each in points.items()}
    accuracies = {method: acc(R) for method, R in matrices.items()}  # (strengths, seeds)
    pictures = (
        Picture(
            "one-weight",
            Text(
                "Figure 16.11 on a real network: one parameter moves, all others stay. The dashed parabola is what the "
                "b of ewc predicts. b knows how the loss bends at θᵇ, not its slope.",
                "真实网络上的图 16.11：只移动一个参数，其余不动。虚线抛物线是按 ewc 的 b 作出的预测。b 只反映 θᵇ 处损失"
                "的弯曲程度，不反映斜率。",
            ),
            partial(_moves, curvature),
        ),
        Picture(
            "guards",
            Text(
                "Every point is one parameter: the curvature measured by moving it, and the b it gets from the method. "
                "Hollow points are 0 or less in one of the two.",
                "每个点是一个参数：横轴是移动它测得的曲率，纵轴是方法给它的 b。空心点表示其中之一为零或为负。",
            ),
            partial(guard_scatters, measured, guards, ranks),
        ),
        Picture(
            "tradeoff",
            Text(
                "Forgetting against intransigence as the strength grows from 0 to ∞, one curve per method. The lower "
                "left corner is best.",
                "强度从 0 增大到 ∞ 时遗忘与不妥协的取舍，每种方法一条曲线。越靠近左下角越好。",
            ),
            partial(tradeoff, means),
        ),
        Picture(
            "strength",
            Text(
                "Mean accuracy on all tasks at the end, as the strength grows from 0 to ∞.",
                "强度从 0 增大到 ∞ 时，最终在所有任务上的平均准确率。",
            ),
            partial(strength_curves, FACTORS, {method: each.mean(1) for method, each in accuracies.items()}),
        ),
    )
    claims = (
        _ranks_claim(ranks, len(measured)),
        _parabola_claim(curvature),
        _extremes_claim(points),
        _frozen_claim(values, matrices),
        *(_strength_claim(method, accuracies[method]) for method in SWEPT),
    )
    tables = (_penalties(), _ranks(measured, guards, ranks), _tradeoffs(means))
    return Shown(tables, pictures, _notes(setup, len(measured), int(curvature["parameters"])), claims)


def _run(seeds: int) -> Text:
    """On what a sentence rests."""
    if seeds == 1:
        return Text("in this run", "在这次运行中")
    return Text(f"in the mean of {seeds} seeds", f"{seeds} 个随机种子平均")


def _above(differences: Array) -> bool:
    """Whether a difference (seeds,) is above 0: its 95 % interval with several seeds, its sign with one."""
    mean, ci95 = interval(differences)
    return mean - (0.0 if math.isnan(ci95) else ci95) > 0


def _ranks_claim(ranks: Mapping[str, float | None], moved: int) -> Claim:
    """Whether every method's b rises with the measured curvature (Fisher's interval of ρ)."""
    known = {method: rank for method, rank in ranks.items() if rank is not None}
    half = 1.96 / math.sqrt(max(moved - 3, 1))
    rising = [method for method, rank in known.items() if math.atanh(min(rank, 1 - 1e-9)) - half > 0]
    words = ", ".join(f"{method} {rank:.2f}" for method, rank in known.items())
    chinese = words.replace(", ", "、")
    return Claim(
        len(rising) == len(ranks),
        Text(
            f"All methods give a large b where the loss is stiff, although none of them moves single parameters: "
            f"Spearman's ρ between b and the measured curvature is {words}.",
            "各方法都没有逐个移动参数，但给出的 b 都在损失陡峭的参数上更大：b 与实测曲率的斯皮尔曼相关系数 ρ 为 "
            f"{chinese}。",
        ),
        Text(
            f"Not every b rises with the measured curvature: Spearman's ρ is {words}, and its 95 % interval is above 0 "
            f"for {', '.join(rising) or 'none'} only.",
            f"并非每种方法的 b 都随实测曲率增大：斯皮尔曼相关系数 ρ 为 {chinese}；95% 置信区间在 0 以上的只有："
            f"{'、'.join(rising) or '无'}。",
        ),
    )


def _parabola_claim(curvature: Values) -> Claim:
    """Whether ewc's b is the curvature at θᵇ, and how far that carries."""
    measured = [curvature["measured"][place] for place in curvature["chosen"]]
    assigned = [curvature["guards"]["ewc"][place] for place in curvature["chosen"]]
    near, far = (
        [b / value if value > 0 else math.inf for b, value in zip(assigned, values, strict=True)]
        for values in (curvature["local"], measured)
    )
    words = [", ".join(f"{value:.2f}" for value in values) for values in (near, far)]
    chinese = [word.replace(", ", "、") for word in words]
    return Claim(
        all(0.95 < value < 1.05 for value in near),
        Text(
            f"At θᵇ ewc's b is the curvature of the loss: b divided by the curvature over a move of ±{NEAR:g} is "
            f"{words[0]} for the three parameters. Over ±{MOVE:g} it is {words[1]}: a longer move crosses kinks of "
            "ReLUs, which b at θᵇ does not see.",
            f"在 θᵇ 处，ewc 的 b 就是损失的曲率：对三个参数，b 与移动 ±{NEAR:g} 测得的曲率之比为 {chinese[0]}。移动 "
            f"±{MOVE:g} 时比值为 {chinese[1]}：移动较远会跨过 ReLU 的折点，而 θᵇ 处的 b 看不到这些折点。",
        ),
        Text(
            f"ewc's b divided by the measured curvature is {words[0]} for the three parameters over a move of "
            f"±{NEAR:g} and {words[1]} over ±{MOVE:g}, so b ranks parameters here but does not measure the curvature.",
            f"对三个参数，ewc 的 b 与实测曲率之比在移动 ±{NEAR:g} 时为 {chinese[0]}，在移动 ±{MOVE:g} 时为 "
            f"{chinese[1]}；因此这里的 b 只能给参数排序，不等于曲率。",
        ),
    )


def _extremes_claim(points: Mapping[str, Array]) -> Claim:
    """Whether, for every method, b = 0 forgets more than b → ∞, which learns new tasks worse."""
    seeds = len(next(iter(points.values()))[0])
    fair = {
        method: _above(each[0, :, 0] - each[-1, :, 0]) and _above(each[-1, :, 1] - each[0, :, 1])
        for method, each in points.items()
    }
    ends = [np.array([each[place].mean(0) for each in points.values()]) for place in (0, -1)]
    none = percent(ends[0][0, 0]), percent(ends[0][0, 1])
    most = [
        f"{percent(float(ends[1][:, score].min()))} … {percent(float(ends[1][:, score].max()))}" for score in (0, 1)
    ]
    wrong = [method for method, holds in fair.items() if not holds]
    english = (
        f"with b = 0 forgetting is {none[0]} points and intransigence {none[1]}; with b → ∞ forgetting is {most[0]} "
        f"and intransigence {most[1]}, by method"
    )
    chinese = (
        f"b = 0 时遗忘 {none[0]} 个百分点、不妥协 {none[1]}；b → ∞ 时各方法遗忘 {most[0]}、不妥协 {most[1]} 个百分点"
    )
    where = _run(seeds)
    return Claim(
        not wrong,
        Text(f"Both extremes show {where.en}: {english}.", f"两个极端{where.zh}都看得到：{chinese}。"),
        Text(
            f"{where.en.capitalize()} {english}. The difference is not clear for {', '.join(wrong)}.",
            f"{where.zh}，{chinese}。差别不明显的有：{'、'.join(wrong)}。",
        ),
    )


def _frozen_claim(values: Mapping[str, Values], matrices: Mapping[str, Array]) -> Claim:
    """Whether b → ∞ freezes what has b > 0, and forgets only by what has b = 0."""
    lost = {method: float(forgetting(R[-1]).mean()) for method, R in matrices.items()}
    exact = [method for method, value in lost.items() if value <= 0]
    leaks = [method for method in lost if method not in exact]
    moved = max(max(values[method]["moved"]) for method in lost)
    forgotten = [f"{method} {percent(value)}" for method, value in lost.items() if value > 0]
    free, woken = (
        [f"{method} {write(np.mean(values[method][key]))}" for method in lost]
        for key, write in (("free", percent), ("woken", "{:g}".format))
    )
    reason = Text(
        f"With b → ∞ forgetting is 0 for {', '.join(exact) or 'no method'}; others still forget (points): "
        f"{', '.join(forgotten)}. The penalty itself holds: no parameter with b > 0 moved. But b is exactly 0 for some "
        f"parameters (percent: {', '.join(free)}), those of pixels and units that were silent when b was measured, and "
        f"no λ holds them. A large move wakes such a unit for old tasks, too (units: {', '.join(woken)}).",
        f"b → ∞ 时，{'、'.join(exact) or '没有方法'}什么都不忘，其余方法仍有遗忘（百分点）：{'、'.join(forgotten)}。正"
        "则项并没有失效：b > 0 的参数都没有移动。但有些参数的 b 恰好为 0，λ 再大也拉不住（百分比："
        f"{'、'.join(free)}）：它们属于测量 b 时没有激活的像素和神经元。移动得远了，这样的神经元在旧任务上也会被激活（"
        f"个数：{'、'.join(woken)}）。",
    )
    return Claim(
        moved == 0 and all(np.mean(values[method]["free"]) > 0 for method in leaks),
        reason if leaks else Text("With b → ∞ no method forgets anything.", "b → ∞ 时，各方法什么都不忘。"),
        Text(
            f"With b → ∞ parameters with b > 0 should not move, but one moved by {moved:g}. Forgetting (points): "
            f"{', '.join(forgotten) or 'none'}; parameters with b = 0 (percent): {', '.join(free)}.",
            f"b → ∞ 时，b > 0 的参数本不应移动，但最多移动了 {moved:g}。遗忘（百分点）："
            f"{'、'.join(forgotten) or '无'}；b = 0 的参数（百分比）：{'、'.join(free)}。",
        ),
    )


def _chosen(accuracies: Array) -> Array:
    """The accuracy of each seed (seeds,) at the strength that is best for the others, so that luck is not chosen.

    A single seed is at its own best strength.
    """
    seeds = accuracies.shape[1]
    others = [[seed for seed in range(seeds) if seed != left_out] or [0] for left_out in range(seeds)]
    return np.array([accuracies[accuracies[:, rest].mean(1).argmax(), seed] for seed, rest in enumerate(others)])


def _strength_claim(method: str, accuracies: Array) -> Claim:
    """Whether a strength between the extremes beats both of them."""
    where = _run(accuracies.shape[1])
    best = 1 + int(accuracies[1:-1].mean(1).argmax())
    none, inner, most = (percent(float(accuracies[place].mean())) for place in (0, best, -1))
    english = f"{none} % at 0, {inner} % at {FACTORS[best]:g} × the default, {most} % at ∞"
    chinese = f"强度为 0 时 {none}%，默认值的 {FACTORS[best]:g} 倍时 {inner}%，∞ 时 {most}%"
    return Claim(
        all(_above(_chosen(accuracies[1:-1]) - accuracies[end]) for end in (0, -1)),
        Text(
            f"{method}: the best strength lies between the extremes {where.en}: {english}.",
            f"{method}：{where.zh}最好的强度在两个极端之间：{chinese}。",
        ),
        Text(
            f"{method}: no strength beats both extremes {where.en}: {english}.",
            f"{method}：{where.zh}没有哪个强度同时好于两个极端：{chinese}。",
        ),
    )


def _penalties() -> Grid:
    """The book's loss with the penalty, and b of every method."""
    means = {
        "l2": Text("1", "1"),
        "ewc": Text(
            "Fisher information: mean of (∂ log p(y | x, θᵇ) / ∂θᵢ)²", "费舍尔信息：(∂ log p(y | x, θᵇ) / ∂θᵢ)² 的平均"
        ),
        "si": Text(
            "path integral: loss saved by θᵢ during training, over its squared move",
            "路径积分：训练中 θᵢ 带来的损失下降，除以它移动距离的平方",
        ),
        "mas": Text("sensitivity of the output: mean of |∂‖f(x)‖² / ∂θᵢ|", "输出的敏感度：|∂‖f(x)‖² / ∂θᵢ| 的平均"),
        "rwalk": Text(
            "Fisher information + path score, each scaled to 0 … 1", "费舍尔信息 + 路径得分，各自缩放到 0 … 1"
        ),
        "scp": Text(
            "sliced Cramér distance: mean of (∂(ξ · f̄) / ∂θᵢ)², f̄ the mean output, ξ random directions",
            "切片 Cramér 距离：(∂(ξ · f̄) / ∂θᵢ)² 的平均，f̄ 为平均输出，ξ 为随机方向",
        ),
    }
    half, whole = Text("strength / 2", "strength / 2"), Text("strength", "strength")
    rows: list[list[str | Text]] = []
    for method in ("l2", *MEASURED):
        kind: Any = METHODS[method]
        rows.append([method, means[method], half if kind.factor == 1 else whole, f"{_default(method):g}"])
    heads = [
        Text("method", "方法"),
        Text("bᵢ after a task", "学完一个任务后的 bᵢ"),
        Text("λ", "λ"),
        Text("default strength", "strength 的默认值"),
    ]
    return Grid(Text(f"The penalty: {PENALTY}", f"正则项：{PENALTY}"), heads, rows)


def _by_factor(values: Mapping[str, Values], method: str) -> Array:
    rows = [values["bounds"]["finetune"], *(values[method][f"{factor:g}"] for factor in FACTORS[1:])]
    return np.asarray(rows, dtype=np.float64)


def _moves(curvature: Values, language: Language) -> Figure:
    moves, losses = np.asarray(curvature["moves"]), np.asarray(curvature["losses"])
    rises = losses - losses[:, [len(moves) // 2]]
    guards = [float(curvature["guards"]["ewc"][place]) for place in curvature["chosen"]]
    titles = (
        Text("typical parameter (median)", "典型的参数（中位数）"),
        Text("stiff (95th percentile)", "陡峭的参数（第 95 百分位）"),
        Text("the stiffest of the sample", "样本中最陡峭的参数"),
    )
    return single_moves(moves, list(rises), guards, titles, language)


def _ranks(measured: Array, guards: Mapping[str, Array], ranks: Mapping[str, float | None]) -> Grid:
    heads: list[str | Text] = [
        Text("method", "方法"),
        Text("Spearman's ρ with the measured curvature", "与实测曲率的斯皮尔曼相关系数 ρ"),
        Text("median b", "b 的中位数"),
        Text("largest b", "b 的最大值"),
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
    return Grid(Text("b after task 1", "学完任务 1 之后的 b"), heads, rows)


def _tradeoffs(points: Mapping[str, Array]) -> Grid:
    caption = Text(
        "Forgetting / intransigence in points, by strength (in multiples of the method's default)",
        "各强度（默认值的倍数）下的遗忘 / 不妥协（百分点）",
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
            f"The penalty is {PENALTY}, with θᵇ the parameters after the last task. The cards of ewc and l2 write λ/2, "
            "as their paper does, so half of their strength is the λ here. With several past tasks ewc sums one "
            "penalty per task, each with its own θᵇ; si, mas and scp sum b, rwalk averages its path score over the "
            "tasks, l2 keeps 1.",
            f"正则项为 {PENALTY}，θᵇ 是学完上一个任务时的参数。ewc 和 l2 的说明沿用论文写作 λ/2，所以它们的 strength 的"
            "一半才是这里的 λ。旧任务不止一个时，ewc 对每个任务各加一项，各有自己的 θᵇ；si、mas、scp 把 b 累加，rwalk "
            "对路径得分取平均，l2 始终为 1。",
        ),
        Text(
            f"{moved} of {parameters:,} parameters were moved by ±{MOVE:g} each. The strengths were tried on three "
            f"tasks ({tasks.en}) with {seeds} seed{'s' if seeds > 1 else ''}. Intransigence is how far the accuracy on "
            "a task just learned lies below that of joint training (Chaudhry et al. 2018). Below 0 the method learns "
            "the new task better than joint training does, as it attends to that task alone.",
            f"从 {parameters} 个参数中抽取 {moved} 个，各移动 ±{MOVE:g}。各强度在三个任务（{tasks.zh}）上测试，{seeds} "
            "个随机种子。不妥协（intransigence）指刚学完某任务时，准确率比 joint 低多少（Chaudhry 等，2018）；为负表示"
            "比 joint 学得更好，因为它只需顾及这一个任务。",
        ),
        Text(
            "We chose these tasks and this training by looking at test accuracy, so that there is much to forget. They "
            "show what a penalty does; they do not rank methods.",
            "任务与训练方式是参照测试准确率挑选的，为的是让遗忘明显。这里展示正则项的作用，不比较方法的优劣。",
        ),
    ]
    if not setup.full:
        notes.append(
            Text(
                "Shortened: one seed, so differences of a few points may be chance; --full takes 5 seeds and moves "
                "more parameters.",
                "已缩短：只用一个随机种子，几个百分点的差别可能出于偶然；加 --full 用 5 个种子，并移动更多参数。",
            )
        )
    return tuple(notes)


GUARDS = Lesson(
    name="guards",
    figures=("16.11",),
    title=Text("A guard for every parameter", "给每个参数配一个守卫"),
    see=Text(
        "Selective synaptic plasticity, or regularisation, adds a penalty to the loss of the new task: every parameter "
        "θᵢ is pulled back to its old value θᵢᵇ, with the weight bᵢ, its guard. Which b should a parameter get? Move "
        "one parameter and watch the loss of the old task; where it rises steeply, b should be large. The scatter "
        "plots compare the b of five methods with that measurement. Then look at the two extremes: b = 0 is plain "
        "training, with b → ∞ nothing that has a guard can move. A model that cannot learn the new task any more is "
        "called intransigent. Follow each curve from its ring (0) to its star (∞): how close does it come to the lower "
        "left corner?",
        "选择性的突触可塑性，也叫基于正则的方法，在新任务的损失上加一个正则项：每个参数 θᵢ 都被拉向旧值 θᵢᵇ，系数 bᵢ "
        "就是它的“守卫”。b 该给多大？只移动一个参数，观察旧任务的损失：上升越陡，b 就应当越大。散点图把五种方法给出的 "
        "b 与这样的实测相对照。再看两个极端：b = 0 就是一般的训练；b → ∞ 时，凡有守卫的参数都不能动。如果模型因此学不好"
        "新任务，就叫不妥协（intransigence）。请沿每条曲线从圆圈（0）走到星号（∞）：它离左下角有多近？",
    ),
    parts=_parts,
    show=_show,
)
