"""Question answering: twenty skills learned one after the other, all at once, and by twenty models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lifelong.chapter.learning import fewer_tests, learned, matrix_of, record_of
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.shown import Claim, Grid, Picture, Shown
from lifelong.evaluation import Array
from lifelong.reports.bars import grouped_bars
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.curves import mean_curve
from lifelong.reports.matrices import heat_map
from lifelong.reports.one_task import one_task
from lifelong.reports.wording import percent, points, size
from lifelong.store import write_atomically
from lifelong.streams import Stream, decode_story, stream
from lifelong.training import Learner, Training
from lifelong.types import Data, Examples, Split, Task

__all__ = ["BABI"]

#: the methods with what is not left at its default: the Fisher information by one drawn answer to each of 500 questions
#: (there are 60 answers), and memories of one size
METHODS: dict[str, dict[str, object]] = {
    "finetune": {},
    "ewc": {"fisher": "sampled", "samples": 500},
    "er": {"capacity": 200},
    "agem": {"capacity": 200},
    "lwf": {},
}
#: what is other in the shortened run
SHORT_METHODS: dict[str, dict[str, object]] = {"agem": {"replay_batch": 64}}
FOLLOWED = 5  # the task whose life is drawn alone
DEFENCES = ("ewc", "er", "agem")  # a penalty on parameters, and stored examples
HARDEST = 19
RETURNS = 8  # a later task with answers that task 5 has too: apple, football, milk
PATHS = 12  # possible answers of task 19
BARS = ("joint", "independent", "finetune")  # the methods of the bars
ASKED = (5, 15)  # tasks of which a story is shown
LONGEST = 8  # sentences in a story that is shown
SKILLS = (
    Text("one supporting fact", "一个依据"),
    Text("two supporting facts", "两个依据"),
    Text("three supporting facts", "三个依据"),
    Text("two arguments", "两个论元"),
    Text("three arguments", "三个论元"),
    Text("yes or no", "是非题"),
    Text("counting", "计数"),
    Text("lists and sets", "列表与集合"),
    Text("negation", "否定"),
    Text("uncertainty", "不确定"),
    Text("coreference", "指代"),
    Text("conjunction", "并列"),
    Text("compound coreference", "复合指代"),
    Text("time", "时间"),
    Text("deduction", "演绎"),
    Text("induction", "归纳"),
    Text("position", "方位"),
    Text("size", "大小"),
    Text("path finding", "找路"),
    Text("motivation", "动机"),
)

#: at full length: the official files, as long as the published runs
FULL = Training(epochs=60, batch=32, optimizer="adam", lr=3e-3)
# gradients leap where a skill begins, and Adam would remember the leap for the rest of the task, so they are clipped;
# weight decay keeps attention from hardening on one task, so that the next can be learned. Chosen on the validation
# parts of tasks 1 to 5
SHORT = Training(epochs=6, batch=128, optimizer="adamw", lr=3e-2, weight_decay=0.5, clip=0.1, schedule="linear")
# a pass over all tasks has 20 times the steps
SHORT_JOINT = Training(epochs=5, batch=128, optimizer="adam", lr=1e-2, clip=0.3, schedule="linear")
QUESTIONS = 2000  # per task, in the shortened run
MORE_QUESTIONS = 20_000  # of the task that is followed
TESTS = 150


def _stream(setup: Setup) -> Stream:
    """The 20 tasks: the official files at full length, else simulated ones with fewer test questions."""
    if setup.full:
        return stream("babi", data_dir=setup.data_dir, source="files", seed=setup.seed)
    few = stream("babi", questions=QUESTIONS, seed=setup.seed)
    many = stream("babi", questions=MORE_QUESTIONS, seed=setup.seed).task(FOLLOWED)
    tasks = tuple(many if task.number == FOLLOWED else task for task in few)
    return fewer_tests(replace(few, tasks=tasks), TESTS)


def _sequence(setup: Setup, method: str, scratch: Path) -> Values:
    training = FULL if setup.full else SHORT
    tasks, file = _stream(setup), scratch / "answers.json"
    settings = METHODS[method] if setup.full else {**METHODS[method], **SHORT_METHODS.get(method, {})}

    def ask(learner: Learner, _: Task) -> None:
        answers = json.loads(file.read_text()) if file.exists() else {}
        now = {str(number): _answer(learner, tasks.task(number)) for number in ASKED}
        write_atomically(file, json.dumps({**answers, str(len(learner.tasks)): now}).encode())

    values = learned(
        scratch,
        tasks,
        method,
        model="memn2n",
        training=training,
        seed=setup.seed,
        settings=settings,
        on_task=ask if method == "finetune" else None,
    )
    if method != "finetune":
        return values
    answers = json.loads(file.read_text())
    return {**values, "stories": [_story(tasks.task(number), answers) for number in ASKED]}


def _short_story(task: Task) -> Examples:
    """The first test question of a task whose story has at most `LONGEST` sentences."""
    test = task.test
    sentences_N = (test.x[:, 1:] > 0).any(-1).sum(-1)
    first = int((sentences_N <= LONGEST).nonzero()[0])
    return test.at(slice(first, first + 1))


def _answer(learner: Learner, task: Task) -> str:
    """What a model answers to the story of a task."""
    assert task.class_names is not None
    return task.class_names[int(learner.predict(_short_story(task).x, task.number)[0])]


def _story(task: Task, answers: Mapping[str, Mapping[str, str]]) -> Values:
    """The story of a task in words, with the model's answer right after the task was learned and at the end."""
    assert task.class_names is not None
    asked = _short_story(task)
    sentences, question = decode_story(asked.x[0])
    number = str(task.number)
    return {
        "task": task.number,
        "sentences": list(sentences),
        "question": question,
        "answer": task.class_names[int(asked.y[0])],
        "after": answers[number][number],
        "end": answers[str(max(map(int, answers)))][number],
    }


def _independent(setup: Setup, scratch: Path) -> Values:
    """Twenty models for twenty tasks."""
    training = FULL if setup.full else SHORT
    return learned(
        scratch, _stream(setup), "independent", model="memn2n", training=training, seed=setup.seed, evaluate="last"
    )


def _joint(setup: Setup, scratch: Path) -> Values:
    """The accuracies of one network that learned all tasks at once."""
    tasks = _stream(setup)
    examples = Examples.cat([replace(task.train, task=1) for task in tasks])
    splits: dict[Split, Data] = {"train": examples}
    merged = Task(1, "all tasks", tasks.task(1).classes, splits.get)
    training = FULL if setup.full else SHORT_JOINT
    checkpoint = scratch / "joint.safetensors"
    if checkpoint.exists():
        learner = Learner.load(checkpoint)
    else:
        learner = Learner("memn2n", None, tasks.space, seed=setup.seed, **asdict(training))
    learner.learn(merged, on_step=lambda step: learner.save(checkpoint) if step % 2000 == 0 else None, progress=False)
    accuracies = [learner.accuracy(replace(task, number=1)) for task in tasks]
    return {"accuracies": accuracies, "epochs": training.epochs, "bytes": 4 * learner.parameters}


def _parts(setup: Setup) -> Mapping[str, Part]:
    """The longest first, so that no core waits for it alone in the end."""
    methods = sorted(METHODS, key=lambda method: method != "agem")
    together: dict[str, Part] = {"joint": partial(_joint, setup), "independent": partial(_independent, setup)}
    return {**{method: partial(_sequence, setup, method) for method in methods}, **together}


def _life_of_one(matrices: dict[str, Array], language: Language) -> Figure:
    return one_task({name: matrix[None] for name, matrix in matrices.items()}, FOLLOWED, language)


def _skills(language: Language) -> list[str]:
    return [f"{number} {skill.of(language)}" for number, skill in enumerate(SKILLS, start=1)]


def _heat(matrix: Array, language: Language) -> Figure:
    title = Text("finetune, 20 tasks", "finetune，20 个任务")
    return heat_map(matrix, title.of(language), language, names=_skills(language))


def _bars(bars: Mapping[Text, Array], language: Language) -> Figure:
    label = Text("accuracy (%)", "准确率（%）").of(language)
    values = np.stack(list(bars.values()), axis=1)[None]
    return grouped_bars(values, _skills(language), [name.of(language) for name in bars], label, BARS)


def _means(matrices: dict[str, Array], language: Language) -> Figure:
    return mean_curve({name: matrix[None] for name, matrix in matrices.items()}, language)


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    matrices = {method: matrix_of(values[method]) for method in METHODS}
    finetune, joint = matrices["finetune"], np.array(values["joint"]["accuracies"])
    alone = matrix_of(values["independent"])[-1]
    bars = {
        Text("all at once, one model", "一个模型同时学"): joint,
        Text("twenty models", "二十个模型"): alone,
        Text("one after the other, at the end", "一个模型依次学，学完之后"): finetune[-1],
    }
    pictures = (
        Picture(
            "task-5",
            Text(
                f"Figure 16.6: accuracy on task {FOLLOWED} after each of the 20 tasks.",
                f"图 16.6：依次学习 20 个任务时，任务 {FOLLOWED} 的准确率。",
            ),
            partial(_life_of_one, matrices),
        ),
        Picture(
            "finetune",
            Text(
                "The same for all tasks: the diagonal is each task right after it was learned, below it stands what "
                "later tasks left of it.",
                "所有任务的情形：对角线是各任务刚学完时的准确率，对角线以下是后来的任务给它留下的准确率。",
            ),
            partial(_heat, finetune),
        ),
        Picture(
            "joint",
            Text(
                "Figure 16.7: all 20 tasks at once in one network, a network for each task, and what is left in one "
                "network after learning them one after the other.",
                "图 16.7：一个网络同时学 20 个任务、每个任务一个网络，以及一个网络依次学完之后的准确率。",
            ),
            partial(_bars, bars),
        ),
        Picture(
            "methods",
            Text("Mean accuracy on the tasks seen so far, by method.", "各方法在已学任务上的平均准确率。"),
            partial(_means, matrices),
        ),
    )
    tables = (_stories(values["finetune"]["stories"]), _table(values, matrices))
    return Shown(tables, pictures, (_note(setup, values["joint"]),), _claims(values, matrices, joint, alone))


def _stories(stories: Sequence[Values]) -> Grid:
    """Figure 16.5: a story of each of `ASKED`, and what the model answers."""
    caption = Text(
        f"Figure 16.5: the first test question of a task whose story has at most {LONGEST} sentences, and the answers "
        "of finetune",
        f"图 16.5：各任务测试集中第一道故事不超过 {LONGEST} 句的题，以及 finetune 的回答",
    )
    heads = [
        Text("task", "任务"),
        Text("story", "故事"),
        Text("question", "问题"),
        Text("right answer", "正确答案"),
        Text("right after learning the task", "刚学完该任务时的回答"),
        Text("after all 20 tasks", "学完 20 个任务后的回答"),
    ]
    rows: list[list[str | Text]] = []
    for story in stories:
        number, skill = story["task"], SKILLS[story["task"] - 1]
        name = Text(f"{number} {skill.en}", f"{number} {skill.zh}")
        answers = [f"{story[key]} {'✓' if story[key] == story['answer'] else '✗'}" for key in ("after", "end")]
        rows.append([name, " ".join(story["sentences"]), story["question"], story["answer"], *answers])
    return Grid(caption, heads, rows)


def _table(values: Mapping[str, Values], matrices: Mapping[str, Array]) -> Grid:
    heads = [
        Text("method", "方法"),
        "ACC (%)",
        "BWT",
        Text(f"task {FOLLOWED} right after it (%)", f"任务 {FOLLOWED} 刚学完（%）"),
        Text("one task later (%)", "再学一个任务后（%）"),
        Text("at the end (%)", "最后（%）"),
        Text("extra storage", "额外存储"),
    ]
    rows: list[list[str | Text]] = []
    for method in METHODS:
        record, life = record_of(values[method]), matrices[method][:, FOLLOWED - 1]
        scores = [percent(record.scores["acc"]), points(record.scores["bwt"])]
        lives = [percent(float(life[row])) for row in (FOLLOWED, FOLLOWED + 1, -1)]
        rows.append([method, *scores, *lives, size(record.cost.stored_bytes)])
    alone = record_of(values["independent"])
    once = float(np.mean(values["joint"]["accuracies"]))
    rows.append([Text("all at once", "同时学"), percent(once), *["–"] * 5])
    rows.append(
        [Text("twenty models", "二十个模型"), percent(alone.scores["acc"]), *["–"] * 4, size(alone.cost.stored_bytes)]
    )
    return Grid(Text("What each method keeps of the 20 tasks", "各方法在 20 个任务上保住了多少"), heads, rows)


def _claims(
    values: Mapping[str, Values], matrices: Mapping[str, Array], joint: Array, alone: Array
) -> tuple[Claim, ...]:
    """The book's story of task 5, of all skills, of one network that learns them at once, and of twenty models."""
    finetune = matrices["finetune"]
    life = [percent(float(value)) for value in finetune[:, FOLLOWED - 1]]
    before, after, later = (float(finetune[row, FOLLOWED - 1]) for row in (FOLLOWED - 1, FOLLOWED, FOLLOWED + 1))
    falls = np.diag(finetune[1:])[:-1] - finetune[-1, :-1]
    least = int(falls.argmin())
    kept = {method: float(matrices[method][-1].mean()) for method in METHODS}
    lost = [method for method in DEFENCES if kept[method] <= kept["finetune"]]
    listed, listed_zh = (
        mark.join(f"{method} {percent(kept[method])}{sign}" for method in DEFENCES)
        for mark, sign in ((", ", " %"), ("，", "%"))
    )
    together, ended = float(joint.mean()), float(finetune[-1].mean())
    hard, easy = joint[HARDEST - 1], percent(float(joint[HARDEST - 1]))
    one, twenty = values["joint"]["bytes"], record_of(values["independent"]).cost.stored_bytes
    back = float(finetune[RETURNS, FOLLOWED - 1] - finetune[RETURNS - 1, FOLLOWED - 1])
    lives = f"{life[FOLLOWED - 1]} %, {life[FOLLOWED]} %, {life[FOLLOWED + 1]} %"
    lives_zh = f"{life[FOLLOWED - 1]}%、{life[FOLLOWED]}%、{life[FOLLOWED + 1]}%"
    return (
        Claim(
            before < 0.2 and after > 0.9 and later < after / 2,
            Text(
                f"In this run task {FOLLOWED} goes from {life[FOLLOWED - 1]} % just before it is learned to "
                f"{life[FOLLOWED]} % right after, and to {life[FOLLOWED + 1]} % when the next task is learned.",
                f"本次运行中，任务 {FOLLOWED} 学之前为 {life[FOLLOWED - 1]}%，刚学完为 {life[FOLLOWED]}%，"
                f"再学一个任务就跌到 {life[FOLLOWED + 1]}%。",
            ),
            Text(
                f"In this run task {FOLLOWED} is at {lives} just before, right after and one task later: not the rise "
                "from 0 to 100 % and the fall that the book shows.",
                f"本次运行中，任务 {FOLLOWED} 在学之前、刚学完、再学一个任务后分别为 {lives_zh}：与书中从 0 升到 100% "
                "再暴跌的情形不同。",
            ),
        ),
        Claim(
            bool((falls > 0).all()),
            Text(
                f"Each of the 19 earlier skills is forgotten in this run: at the end all are below where they were "
                f"right after learning, by {percent(float(falls.mean()))} points on average.",
                f"本次运行中，前 19 种技能全都遗忘了：最后都低于刚学完时，平均低 {percent(float(falls.mean()))} "
                "个百分点。",
            ),
            Text(
                f"Not every skill is forgotten in this run: task {least + 1} changes by "
                f"{points(-float(falls[least]))} points from right after learning to the end.",
                f"本次运行中并非每种技能都遗忘了：任务 {least + 1} 从刚学完到最后变化 "
                f"{points(-float(falls[least]))} 个百分点。",
            ),
        ),
        Claim(
            back > 0.05,
            Text(
                f"Task {RETURNS} brings {percent(back)} points of task {FOLLOWED} back: both are answered with apple, "
                "football and milk.",
                f"任务 {RETURNS} 让任务 {FOLLOWED} 回升 {percent(back)} 个百分点：两者的答案都有 apple、football、"
                "milk。",
            ),
            Text(
                f"Task {RETURNS} has answers in common with task {FOLLOWED} (apple, football, milk), but changes it by "
                f"{points(back)} points only in this run.",
                f"任务 {RETURNS} 与任务 {FOLLOWED} 有共同的答案（apple、football、milk），但本次运行中只使后者变化 "
                f"{points(back)} 个百分点。",
            ),
        ),
        Claim(
            together > 2 * ended,
            Text(
                f"The network is not too small: all at once it learns the same tasks to {percent(together)} % on "
                f"average, one after the other {percent(ended)} % are left.",
                f"网络并不太小：同时学，平均准确率 {percent(together)}%；依次学，最后只剩 {percent(ended)}%。",
            ),
            Text(
                f"All at once the network has {percent(together)} % on average and one after the other "
                f"{percent(ended)} %: too close to say that its size is not the reason.",
                f"同时学平均 {percent(together)}%，依次学平均 {percent(ended)}%：相差不大，不能排除网络太小。",
            ),
        ),
        Claim(
            bool(hard == joint.min()),
            Text(
                f"Task {HARDEST} (path finding) is the hardest in this run: {easy} % all at once and "
                f"{percent(float(alone[HARDEST - 1]))} % with a model of its own, where guessing one of {PATHS} paths "
                f"gives {percent(1 / PATHS)} %.",
                f"本次运行中，任务 {HARDEST}（找路）最难：同时学 {easy}%，单独一个模型 "
                f"{percent(float(alone[HARDEST - 1]))}%，"
                f"而在 {PATHS} 条路线中乱猜也有 {percent(1 / PATHS)}%。",
            ),
            Text(
                f"Task {HARDEST} (path finding) is not the hardest in this run: {easy} % all at once, against "
                f"{percent(float(joint.min()))} % on task {int(joint.argmin()) + 1}.",
                f"本次运行中任务 {HARDEST}（找路）不是最难的：同时学 {easy}%，而任务 {int(joint.argmin()) + 1} 为 "
                f"{percent(float(joint.min()))}%。",
            ),
        ),
        Claim(
            bool(alone.mean() > ended) and twenty > 15 * one,
            Text(
                f"Twenty models forget nothing ({percent(float(alone.mean()))} % on average), but take {size(twenty)} "
                f"instead of the {size(one)} of one, and need the task number of every question.",
                f"二十个模型什么都不忘（平均 {percent(float(alone.mean()))}%），但占 {size(twenty)}，"
                f"而一个模型只占 {size(one)}；而且每道题都要知道属于哪个任务。",
            ),
            Text(
                f"Twenty models have {percent(float(alone.mean()))} % on average and take {size(twenty)}; one takes "
                f"{size(one)} and has {percent(ended)} % left.",
                f"二十个模型平均 {percent(float(alone.mean()))}%，占 {size(twenty)}；一个模型占 {size(one)}，"
                f"最后剩 {percent(ended)}%。",
            ),
        ),
        Claim(
            not lost,
            Text(
                f"A penalty on parameters and a few stored examples keep more than finetune ({percent(ended)} %) in "
                f"this run: {listed}.",
                f"本次运行中，对参数加惩罚、存少量样本，都比 finetune（{percent(ended)}%）保住得更多：{listed_zh}。",
            ),
            Text(
                f"In this run {', '.join(lost)} keep no more than finetune ({percent(ended)} %): {listed}.",
                f"本次运行中，{'、'.join(lost)} 并不比 finetune（{percent(ended)}%）保住得更多：{listed_zh}。",
            ),
        ),
        Claim(
            kept["lwf"] > ended + 0.05,
            Text(
                f"The old model as a teacher (lwf) keeps {percent(kept['lwf'])} % in this run without stored examples.",
                f"本次运行中，请旧模型当老师（lwf）不存样本，也保住了 {percent(kept['lwf'])}%。",
            ),
            Text(
                f"The old model as a teacher (lwf) keeps {percent(kept['lwf'])} % in this run, no more than finetune "
                "or too little to conclude from: the teacher is only asked about stories of the new task.",
                f"本次运行中，请旧模型当老师（lwf）保住 {percent(kept['lwf'])}%，不比 finetune 多，"
                "或相差太小不能下结论："
                "老师只回答新任务的题目。",
            ),
        ),
    )


def _note(setup: Setup, joint: Values) -> Text:
    if setup.full:
        return Text(
            f"Official bAbI files (version 1.2, 1,000 questions per task), {FULL.epochs} epochs.",
            f"官方 bAbI 数据（1.2 版，每个任务 1000 题），{FULL.epochs} 轮。",
        )
    return Text(
        f"Shortened: simulated stories ({QUESTIONS:,} questions per task, {MORE_QUESTIONS:,} for task {FOLLOWED}, "
        f"{TESTS} in each exam), {SHORT.epochs} epochs per task and {joint['epochs']} for all at once, one seed, "
        f"weight decay {SHORT.weight_decay} one after the other. With "
        f"--full: the official files, {FULL.epochs} epochs.",
        f"本次为缩短版：模拟生成的故事（每个任务 {QUESTIONS} 题，任务 {FOLLOWED} 为 {MORE_QUESTIONS} 题，"
        f"每次考试 {TESTS} 题），一个随机种子，"
        f"逐个学时每个任务 {SHORT.epochs} 轮、权重衰减 {SHORT.weight_decay}，一起学时 {joint['epochs']} 轮。"
        f"加上 --full 则使用官方数据，{FULL.epochs} 轮。",
    )


BABI = Lesson(
    name="babi",
    figures=("16.5", "16.6", "16.7"),
    title=Text("Twenty skills of question answering", "二十种问答技能"),
    see=Text(
        "A memory network reads short stories and answers questions about them. Each of the 20 bAbI tasks asks for "
        "another skill, such as using one fact, using two facts, counting, or finding a path. The first table shows "
        f"stories of tasks {ASKED[0]} and {ASKED[1]}, with the model's answers right after it learned the task and at "
        "the "
        f"end. Then follow task {FOLLOWED} in the first figure, while the skills are learned one after the other, and "
        "all tasks in the second. The bars compare three ways to learn them: one network with all tasks at once "
        "(multi-task learning), twenty networks with one task each, and one network with one task after the other. The "
        "last figure shows how much some defences keep: a penalty on parameters (ewc), a few stored examples (er, "
        "agem), or the old model as a teacher (lwf).",
        "记忆网络读一段小故事，然后回答问题。bAbI 的 20 个任务各考一种技能：利用一个事实、利用两个事实、计数、找路……"
        f"第一个表格给出任务 {ASKED[0]} 和任务 {ASKED[1]} 的故事，以及模型在刚学完该任务时和最后的回答。"
        "然后请看第一张图：依次学习各种技能时，"
        f"任务 {FOLLOWED} 的准确率如何变化；第二张图是所有任务的情形。柱状图比较三种学法："
        "一个网络同时学所有任务（多任务学习）、"
        "二十个网络各学一个任务、一个网络依次学习。最后一张图说明几种方法能保住多少：对参数加惩罚（ewc）、"
        "存少量样本（er、agem）、请旧模型当老师（lwf）。",
    ),
    parts=_parts,
    show=_show,
)
