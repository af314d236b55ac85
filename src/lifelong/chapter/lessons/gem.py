"""Lesson: the current gradient, past gradients and the projected one: GEM drawn, watched at work, and its price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lifelong.chapter.geometry import CONFLICT, degrees
from lifelong.chapter.learning import data_stream, learned, usual
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.moving import gradients_to_drag
from lifelong.chapter.probe import After, Before
from lifelong.chapter.shown import Claim, Grid, Picture, Shown
from lifelong.evaluation import Array, acc, forgetting
from lifelong.memory import Ring
from lifelong.methods import Chain, Method, Step, StreamSize, build, project
from lifelong.reports.arrows import projections
from lifelong.reports.bilingual import Text
from lifelong.reports.conflicts import angles_over_life
from lifelong.reports.memories import memory_curves
from lifelong.reports.wording import percent, size
from lifelong.streams import Stream
from lifelong.training import Learner, Training
from lifelong.types import Examples

__all__ = ["GEM", "Watch", "cases"]

TASKS = 4
#: steps from one look at the angles to the next, by data
EVERY: Mapping[str, int] = MappingProxyType({"digits": 4, "mnist": 12})
#: past examples of a task that stand for all its data, where it has more
MOST = 2000
#: how much smaller the steps of one run are, of which there are as many more
FINER = 5


class Run(NamedTuple):
    """A method on the life of this lesson: its name, its settings, and whether its steps are looked at or smaller."""

    name: Text
    method: str
    settings: Mapping[str, Any] = MappingProxyType({})
    watched: bool = False
    finer: bool = False


#: by part; γ = 0 is the exact projection of the drawing, γ = 1 the default
RUNS: Mapping[str, Run] = MappingProxyType(
    {
        "gem-margin-0": Run(Text("gem, γ = 0", "gem, γ = 0"), "gem", {"margin": 0.0}, watched=True),
        "gem-margin-1": Run(Text("gem, γ = 1", "gem, γ = 1"), "gem", {"margin": 1.0}, watched=True),
        "agem": Run(Text("agem", "agem"), "agem", watched=True),
        "gem-all": Run(
            Text("gem, γ = 0, large memory", "gem, γ = 0，大记忆"),
            "gem",
            {"margin": 0.0, "capacity": MOST},
            watched=True,
        ),
        "gem-finer": Run(
            Text(f"gem, γ = 0, steps 1/{FINER} as long", f"gem, γ = 0，步长 1/{FINER}"),
            "gem",
            {"margin": 0.0},
            finer=True,
        ),
        "finetune-finer": Run(
            Text(f"finetune, steps 1/{FINER} as long", f"finetune，步长 1/{FINER}"), "finetune", finer=True
        ),
        **{method: Run(Text(method, method), method) for method in ("finetune", "er", "ewc", "si", "mas")},
    }
)
#: whose angles are drawn
DRAWN = ("gem-margin-0", "gem-margin-1", "agem")
PRICED = ("gem", "agem", "er", "ewc", "si")
#: g and past gradients in two dimensions: no conflict, one, two of which one decides, two that leave no way
CASES: tuple[tuple[list[float], list[list[float]]], ...] = (
    ([0.8, 0.4], [[0.3, 1.1]]),
    ([1.0, -0.7], [[0.3, 1.1]]),
    ([1.0, -0.7], [[0.3, 1.1], [-0.6, 0.9]]),
    ([0.1, -1.1], [[0.9, 0.7], [-0.9, 0.7]]),
)
TITLES = (
    Text("no conflict: g′ = g", "没有冲突：g′ = g"),
    Text("one conflict", "一个冲突"),
    Text("two conflicts, g₂ decides", "两个冲突，起作用的是 g₂"),
    Text("two conflicts, no way left: g′ = 0", "两个冲突，无路可走：g′ = 0"),
)


class Watch:
    """Notes the largest angle between the gradient and past gradients, and whether the step raises past losses.

    `chain` is the method to learn with. `rows` collects, for every step looked at: the task and the step; the largest
    angle to a gradient on the memory before and after the method changed the gradient; the largest angle after it to a
    gradient on the data of a past task; and by how much the step raised a past loss at most, on the memory and on the
    data.

    Args:
        method: gem or agem, whose memory gives the past gradients.
        every: So many steps from one look to the next.
        data: The training examples of every task, in order.
    """

    def __init__(self, method: Method[Any], every: int, data: Sequence[Examples]) -> None:
        self.chain = Chain(Before(self._before), method, After(self._after, stepped=self._stepped))
        self.every = every
        self.data = data
        self.learner: Learner | None = None
        self.rows: list[list[float]] = []
        self._memories: list[Examples] = []
        self._gradients_TP = torch.empty(0)
        self._losses_2T = torch.empty(0)
        self._row: list[float] = []

    def _before(self, step: Step, grad_P: Tensor) -> None:
        self._memories = []
        if self.learner is None or step.number % self.every != 0:
            return
        ring = self.learner.state[1]
        assert isinstance(ring, Ring)
        self._memories = ring.past(step.task)
        if self._memories:
            self._gradients_TP = _gradients(step, self._memories)
            self._row = [step.task, step.number, float(degrees(grad_P, self._gradients_TP).max())]

    def _after(self, step: Step, grad_P: Tensor) -> None:
        if self._memories:
            data_TP = _gradients(step, self.data[: step.task - 1])
            self._row += [float(degrees(grad_P, past_TP).max()) for past_TP in (self._gradients_TP, data_TP)]
            self._losses_2T = self._losses(step)

    def _stepped(self, step: Step) -> None:
        if self._memories:
            rises = (self._losses(step) - self._losses_2T).max(dim=1).values
            self.rows.append([*self._row, *rises.tolist()])

    @torch.no_grad()
    def _losses(self, step: Step) -> Tensor:
        """Of every past task on its memory and on its data (2, T)."""
        both = (self._memories, self.data[: step.task - 1])
        return torch.stack([torch.stack([step.on(past).base_loss().double() for past in each]) for each in both])


def _gradients(step: Step, past: Sequence[Examples]) -> Tensor:
    return torch.stack([step.gradient_on(examples) for examples in past])


def _parts(setup: Setup) -> Mapping[str, Part]:
    return {part: partial(_watched if run.watched else _unwatched, setup, run) for part, run in RUNS.items()}


def _life(setup: Setup, finer: bool = False) -> tuple[Stream, str, Training]:
    shorter: dict[str, Any] = {"iterations": 300} if setup.data == "mnist" else {"epochs": 5}
    model, training = usual(setup, None, **({} if setup.full else shorter))
    if finer:
        longer = {name: FINER * value for name in ("epochs", "iterations") if (value := getattr(training, name))}
        training = replace(training, lr=training.lr / FINER, **longer)
    return data_stream(setup, "permuted", tasks=TASKS), model, training


def _watched(setup: Setup, run: Run, scratch: Path) -> Values:
    """What `_unwatched` gives, and what was seen on the way; in one piece, as such a run cannot be resumed."""
    tasks, model, training = _life(setup)
    watch = Watch(build(run.method, run.settings), EVERY[setup.data], [task.train.at(slice(0, MOST)) for task in tasks])
    learner = Learner(model, watch.chain, tasks.space, seed=setup.seed, **asdict(training))
    watch.learner = learner
    matrix = [learner.evaluate(tasks)]
    for task in tasks:
        learner.learn(task, progress=False)
        matrix.append(learner.evaluate(tasks))
    return {"matrix": matrix, "stored_bytes": learner.stored_bytes, "steps": watch.rows}


def _unwatched(setup: Setup, run: Run, scratch: Path) -> Values:
    """The matrix of a method on the life of this lesson, and what it stored at its end."""
    tasks, model, training = _life(setup, run.finer)
    record = learned(scratch, tasks, run.method, model=model, training=training, seed=setup.seed, settings=run.settings)
    return {"matrix": record["matrix"], "stored_bytes": record["cost"]["stored_bytes"]}


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    seen = {part: np.asarray(values[part]["steps"], dtype=np.float64) for part, run in RUNS.items() if run.watched}
    tasks, _, training = _life(setup)
    examples = len(tasks.task(1).train)
    steps = training.steps(examples, examples)
    life = {
        RUNS[part].name.en: np.stack([(seen[part][:, 0] - 2) * steps + seen[part][:, 1], *seen[part][:, 2:4].T], axis=1)
        for part in DRAWN
    }
    starts = {task: (task - 2) * steps for task in range(2, TASKS + 1)}
    lives = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    extents = _extents(setup, lives)
    stored = {method: [build(method).declared_bytes(extent) for extent in extents] for method in PRICED}
    pictures = (
        Picture(
            "projection",
            Text(
                "Figure 16.12, exact, in two dimensions. The shaded region is where no past loss rises, "
                "⟨g′, gₖ⟩ ≥ 0; g′ is its point nearest to g.",
                "二维的精确版图 16.12。阴影区满足 ⟨g′, gₖ⟩ ≥ 0，即不会使任何旧任务的损失上升；g′ 是其中离 g 最近的点。",
            ),
            partial(projections, cases(), TITLES),
        ),
        Picture(
            "angles",
            Text(
                f"A real network learns {TASKS} permutations: the largest angle between the current gradient and a "
                "past task's gradient on the memory. Above 90° there is a conflict.",
                f"真实网络学习 {TASKS} 个像素置换任务：当前梯度与各旧任务在记忆样本上的梯度之间的最大夹角。超过 90° 即"
                "为冲突。",
            ),
            partial(angles_over_life, life, starts),
        ),
        Picture(
            "memory",
            Text(
                "What the methods store besides the model, with default settings, against the number of tasks.",
                "各方法（默认设置）在模型之外的存储与任务数的关系。",
            ),
            partial(memory_curves, lives, stored),
        ),
    )
    lost = {part: float(forgetting(values[part]["matrix"])) for part in RUNS}
    claims = (
        _projection_claim(seen["gem-margin-0"]),
        _reasons_claim(seen["gem-margin-0"], lost["gem-margin-0"]),
        _large_memory_claim(setup, seen["gem-all"], lost),
        _finer_claim(lost),
        _margin_claim(lost),
        _mean_claim(seen["agem"]),
        _storage_claim(lives, stored),
    )
    moving = gradients_to_drag("projection", dict(zip(TITLES, CASES, strict=True)))
    return Shown((_conflicts(seen), _price(values)), pictures, _notes(setup), claims, (moving,))


def cases() -> list[tuple[Array, Array, Array]]:
    """g, past gradients and the projected g′ of each case of the drawing, by the projection that GEM itself uses."""
    drawn = []
    for current, past in CASES:
        current_2, past_T2 = torch.tensor(current, dtype=torch.float64), torch.tensor(past, dtype=torch.float64)
        drawn.append((current_2.numpy(), past_T2.numpy(), project(current_2, past_T2).numpy()))
    return drawn


def _extents(setup: Setup, lives: Sequence[int]) -> list[StreamSize]:
    """Lives of so many tasks like those of this run."""
    tasks, model, _ = _life(setup)
    space, examples, parameters = tasks.space, len(tasks.task(1).train), len(Learner(model, space=tasks.space).flat)
    return [StreamSize.of(count, examples, 4 * space.features, parameters, space.classes or 0) for count in lives]


def _share(steps: Array, column: int, above: float = CONFLICT) -> str:
    """The percentage of steps whose value is above a limit."""
    return percent(float((steps[:, column] > above).mean()))


#: columns of what `Watch` collects
BEFORE, AFTER, ON_DATA, RISE = 2, 3, 4, 5
#: a loss that rises by less is taken to be the same: the arithmetic has seven digits
LEAST = 1e-6


def _projection_claim(steps: Array) -> Claim:
    before, after = _share(steps, BEFORE), _share(steps, AFTER)
    return Claim(
        bool((steps[:, AFTER] <= CONFLICT).all()),
        Text(
            "The projection does what it promises: the current gradient conflicts with a past task's memory in "
            f"{before} % of the steps before it and in {after} % after it (gem, γ = 0).",
            f"投影达到了目的：当前梯度与旧任务的记忆样本有冲突的步数，投影前占 {before}%，投影后占 {after}%（"
            "gem，γ = 0）。",
        ),
        Text(
            f"Conflicts with a past task's memory remain in {after} % of the steps after the projection ({before} % "
            "before), so it is not exact here (gem, γ = 0).",
            f"投影之后仍有 {after}% 的步与旧任务的记忆样本冲突（投影前为 {before}%），因此这里的投影并不精确（gem，γ = "
            "0）。",
        ),
    )


def _reasons_claim(steps: Array, lost: float) -> Claim:
    forgotten, on_data, rising = percent(lost), _share(steps, ON_DATA), _share(steps, RISE, LEAST)
    return Claim(
        lost > 0 and float(on_data) > 0 and float(rising) > 0,
        Text(
            f"All the same gem with γ = 0 forgets {forgotten} points. First, the memory is not the data: measured on "
            f"the training data of the past tasks, {on_data} % of the projected gradients still conflict. Second, "
            f"steps are finite: {rising} % of the steps raise the loss of a past task even on the memory, as ⟨g′, gₖ⟩ "
            "≥ 0 promises a falling loss for infinitely small steps only.",
            f"尽管如此，gem（γ = 0）仍遗忘 {forgotten} 个百分点。其一，记忆不等于全部数据：在旧任务的训练数据上测量，仍"
            f"有 {on_data}% 的投影后梯度存在冲突。其二，步长是有限的：即使在记忆样本上，也有 {rising}% 的步使某个旧任务"
            "的损失上升，因为 ⟨g′, gₖ⟩ ≥ 0 只对无穷小的一步保证损失不升。",
        ),
        Text(
            f"gem with γ = 0 forgets {forgotten} points; {on_data} % of the projected gradients conflict with the data "
            f"of past tasks, and {rising} % of the steps raise a past loss on the memory.",
            f"gem（γ = 0）遗忘 {forgotten} 个百分点；投影后的梯度有 {on_data}% 与旧任务的数据冲突，{rising}% 的步使旧任"
            "务在记忆样本上的损失上升。",
        ),
    )


def _large(setup: Setup) -> Text:
    """What the large memory holds."""
    if setup.data == "digits":
        return Text("all training examples", "全部训练样本")
    return Text(f"{MOST:,} examples of each task", f"每个任务 {MOST} 个样本")


def _large_memory_claim(setup: Setup, steps: Array, lost: Mapping[str, float]) -> Claim:
    small, large, on_data = percent(lost["gem-margin-0"]), percent(lost["gem-all"]), _share(steps, ON_DATA)
    holds = _large(setup)
    most = lost["gem-all"] < 0.5 * lost["gem-margin-0"]
    share = Text("most of it", "主要") if most else Text("the smaller part", "较小")
    return Claim(
        0 <= lost["gem-all"] < lost["gem-margin-0"],
        Text(
            f"A memory of {holds.en} leaves {on_data} % of conflicts with the data. In this run it takes forgetting "
            f"from {small} to {large} points, so the size of the memory explains {share.en}.",
            f"记忆扩大到{holds.zh}时，与旧任务数据的冲突只剩 {on_data}%。这次运行中，遗忘从 {small} 降到 {large} 个百分"
            f"点：记忆的大小是{share.zh}的原因。",
        ),
        Text(
            f"With a memory of {holds.en} ({on_data} % of conflicts with the data) forgetting is {large} points, "
            f"{small} with the usual memory: this run does not show that a larger memory helps.",
            f"记忆扩大到{holds.zh}（与旧任务数据的冲突为 {on_data}%）时，遗忘为 {large} 个百分点，通常的记忆为 "
            f"{small}：这次运行没有表明增大记忆有用。",
        ),
    )


def _finer_claim(lost: Mapping[str, float]) -> Claim:
    usual, finer = percent(lost["gem-margin-0"]), percent(lost["gem-finer"])
    plain, fine = percent(lost["finetune"]), percent(lost["finetune-finer"])
    english = (
        f"steps 1/{FINER} as long, and {FINER} times as many, take the forgetting of gem (γ = 0) from {usual} to "
        f"{finer} points, that of finetune from {plain} to {fine}"
    )
    chinese = (
        f"步长缩小到 1/{FINER}、步数增加到 {FINER} 倍时，gem（γ = 0）的遗忘从 {usual} 变为 {finer} 个百分点，finetune "
        f"从 {plain} 变为 {fine}"
    )
    gain = lost["gem-margin-0"] - lost["gem-finer"]
    return Claim(
        gain > 0 and gain > lost["finetune"] - lost["finetune-finer"],
        Text(f"The length of the step matters: in this run {english}.", f"步长确实是原因：在这次运行中，{chinese}。"),
        Text(
            f"In this run {english}: shorter steps do not explain it.", f"在这次运行中，{chinese}：步长不足以解释遗忘。"
        ),
    )


def _margin_claim(lost: Mapping[str, float]) -> Claim:
    exact, biased = percent(lost["gem-margin-0"]), percent(lost["gem-margin-1"])
    return Claim(
        lost["gem-margin-1"] < lost["gem-margin-0"],
        Text(
            "The margin γ = 1, the default, turns a conflicting step further towards the past gradients: forgetting "
            f"is {biased} points in this run, {exact} with γ = 0.",
            f"默认的 γ = 1 让有冲突的步更偏向旧任务的梯度：这次运行中遗忘为 {biased} 个百分点，γ = 0 时为 {exact}。",
        ),
        Text(
            f"The margin γ = 1 does not reduce forgetting in this run: {biased} points, {exact} with γ = 0.",
            f"在这次运行中，γ = 1 没有减少遗忘：{biased} 个百分点，γ = 0 时为 {exact}。",
        ),
    )


def _mean_claim(steps: Array) -> Claim:
    """A-GEM with two past tasks or more: before, their mean is the only one."""
    several = steps[steps[:, 0] > 2]
    before, after = _share(several, BEFORE), _share(several, AFTER)
    return Claim(
        float(after) > 0,
        Text(
            f"A-GEM projects onto the mean of the past gradients only, so single tasks still conflict: in {after} % of "
            f"the steps from task 3 on ({before} % before the projection).",
            f"A-GEM 只对旧梯度的平均做投影，所以个别任务仍有冲突：从任务 3 起占步数的 {after}%（投影前为 {before}%）。",
        ),
        Text(
            "A-GEM projects onto the mean of the past gradients only; in this run that leaves no single task in "
            f"conflict from task 3 on ({before} % of the steps before).",
            f"A-GEM 只对旧梯度的平均做投影；这次运行中，从任务 3 起没有任何任务仍有冲突（投影前占步数的 {before}%）。",
        ),
    )


def _storage_claim(lives: Sequence[int], stored: Mapping[str, Sequence[float]]) -> Claim:
    gem, ewc = stored["gem"], stored["ewc"]
    crossing = next((count for count, ours, theirs in zip(lives, gem, ewc, strict=True) if ours > theirs), None)
    sizes = [size(value) for value in (gem[0], gem[-1], ewc[0], ewc[-1])]
    return Claim(
        gem[-1] > gem[0] and ewc[-1] == ewc[0] and crossing is not None,
        Text(
            f"The price is memory: gem stores {sizes[0]} after {lives[0]} task and {sizes[1]} after {lives[-1]:,}, ewc "
            f"{sizes[2]} always. Of the numbers drawn, {crossing} is the first at which gem stores more.",
            f"代价是存储：gem 在学完 {lives[0]} 个任务后存 {sizes[0]}，{lives[-1]} 个任务后存 {sizes[1]}；ewc 始终为 "
            f"{sizes[2]}。在图中各任务数里，从 {crossing} 个起 gem 存得更多。",
        ),
        Text(
            f"gem stores {sizes[0]} after {lives[0]} task and {sizes[1]} after {lives[-1]:,}; ewc {sizes[2]} and "
            f"{sizes[3]}: up to there gem does not store more.",
            f"gem 在学完 {lives[0]} 个任务后存 {sizes[0]}，{lives[-1]} 个任务后存 {sizes[1]}；ewc 为 {sizes[2]} 和 "
            f"{sizes[3]}：在此范围内 gem 并不存得更多。",
        ),
    )


def _conflicts(seen: Mapping[str, Array]) -> Grid:
    """How often the current gradient conflicts with a past task, and how often a step raises a past loss."""
    heads: list[str | Text] = [
        Text("method", "方法"),
        Text("learning task", "正在学的任务"),
        Text("conflict on the memory, before", "投影前与记忆样本冲突"),
        Text("conflict on the memory, after", "投影后与记忆样本冲突"),
        Text("conflict on the data, after", "投影后与旧任务数据冲突"),
        Text("step raises a past loss on the memory", "这一步使记忆样本上的旧损失上升"),
    ]
    rows: list[list[str | Text]] = []
    for part, steps in seen.items():
        for task in range(2, TASKS + 1):
            here = steps[steps[:, 0] == task]
            angles = [_share(here, column) for column in (BEFORE, AFTER, ON_DATA)]
            rows.append([RUNS[part].name, str(task), *angles, _share(here, RISE, LEAST)])
    caption = Text(
        "How often the current gradient conflicts with a past task (% of steps)",
        "与旧任务梯度发生冲突的频率（占步数 %）",
    )
    return Grid(caption, heads, rows)


def _price(values: Mapping[str, Values]) -> Grid:
    heads: list[str | Text] = [
        Text("method", "方法"),
        Text("ACC (%)", "平均准确率 ACC（%）"),
        Text("forgetting (points)", "遗忘（百分点）"),
        Text("stored besides the model", "模型之外的存储"),
        Text("backward passes per step", "每步反向传播次数"),
    ]
    passes = {"gem": str(TASKS), "agem": "2"}
    rows: list[list[str | Text]] = [
        [
            run.name,
            percent(float(acc(values[part]["matrix"]))),
            percent(float(forgetting(values[part]["matrix"]))),
            size(values[part]["stored_bytes"]),
            passes.get(run.method, "1"),
        ]
        for part, run in RUNS.items()
    ]
    return Grid(Text(f"The same {TASKS} tasks", f"同样的 {TASKS} 个任务"), heads, rows)


def _notes(setup: Setup) -> tuple[Text, ...]:
    large, every = _large(setup), EVERY[setup.data]
    how = Text(
        f"One step in {every} is looked at. Conflict: an angle above {CONFLICT}° (the hundredth allows for rounding). "
        f"“Memory” is the method's own; “data” are up to {MOST:,} training examples of a past task; the large memory "
        f"holds {large.en}. Backward passes are those of the last task. One seed.",
        f"每 {every} 步观察一次。冲突：夹角大于 {CONFLICT}°（多出的 0.01 是舍入误差）。“记忆样本”指方法自己保存的样本；"
        f"“旧任务数据”指旧任务的至多 {MOST} 个训练样本；“大记忆”保存{large.zh}。反向传播次数按最后一个任务计。一个随机"
        "种子。",
    )
    few = Text(
        "Shortened: training at most half as long as usual; --full trains as usual.",
        "已缩短：训练长度至多为通常的一半；加 --full 则按通常长度训练。",
    )
    return (how,) if setup.full else (how, few)


GEM = Lesson(
    name="gem",
    figures=("16.12",),
    title=Text("GEM: the nearest step that harms no past task", "GEM：在不损害旧任务的前提下，离原梯度最近的一步"),
    see=Text(
        "A penalty holds parameters; GEM (gradient episodic memory) corrects the direction of the step. It keeps "
        "examples of every task, so at every step it knows the gradient of every past loss. If the current gradient is "
        "more than 90° from one of those, the step would harm that task, and GEM takes the nearest direction that "
        "harms none. The first picture is the geometry; the second follows a real network: find the steps with a "
        "conflict, and what the projection makes of them. A-GEM is the cheaper variant that only looks at the mean of "
        "the past gradients. If no past task conflicts, can the network still forget?",
        "正则项限制的是参数，GEM（gradient episodic memory）修正的是每一步的方向。它为每个任务保存一些样本，所以每一步"
        "都知道各个旧任务损失的梯度。如果当前梯度与其中某个梯度的夹角大于 90°，这一步就会损害那个任务，于是 GEM 改走离"
        "原梯度最近、又不损害任何旧任务的方向。第一张图是几何关系；第二张图跟踪真实的网络：请找出有冲突的步，看投影之后"
        "怎样。A-GEM 是更省的变体，只看旧梯度的平均。如果与旧任务都没有冲突，网络还会遗忘吗？",
    ),
    parts=_parts,
    show=_show,
)
