"""What the lesson on question answering says of known numbers, and the story that the model is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lifelong.chapter.learning import learned
from lifelong.chapter.lesson import Setup, Values
from lifelong.chapter.lessons.babi import (
    BABI,
    FOLLOWED,
    HARDEST,
    LONGEST,
    METHODS,
    SKILLS,
    TESTS,
    _short_story,
    _stream,
)
from lifelong.chapter.shown import Shown
from lifelong.evaluation import Cost, Record
from lifelong.streams import Stream, decode_story, stream
from lifelong.training import Learner, Training
from lifelong.types import Task

STORY = {
    "task": 5,
    "sentences": ["Jeff got the milk.", "Jeff gave the milk to Fred."],
    "question": "Who gave the milk?",
    "answer": "Jeff",
    "after": "Jeff",
    "end": "bored",
}


def forgetful() -> np.ndarray:
    """R of a model that knows a task right after it learned it, and nothing else."""
    matrix = np.zeros((21, 20))
    matrix[np.arange(1, 21), np.arange(20)] = 0.98
    matrix[8, FOLLOWED - 1] = 0.4
    return matrix


def record(method: str, matrix: np.ndarray, stored: int = 0) -> Values:
    return Record(method, {}, 0, matrix, Cost(1.0, 1.0, stored, 1)).to_json()


def shown(finetune: np.ndarray, others: float = 0.5, together: float = 0.8, hardest: float = 0.1) -> Shown:
    """The lesson on a run of finetune, where the other methods keep `others` of every task."""
    values = {method: record(method, np.full((21, 20), others), 100) for method in METHODS}
    joint = [together] * 20
    joint[HARDEST - 1] = hardest
    return BABI.show(
        Setup(),
        values
        | {
            "finetune": {**record("finetune", finetune), "stories": [STORY]},
            "independent": record("independent", np.full((21, 20), 0.7), 20 * 1000),
            "joint": {"accuracies": joint, "epochs": 5, "bytes": 1000},
        },
    )


def test_the_story_of_the_book_is_stated_where_it_happened() -> None:
    claims = shown(forgetful()).claims
    assert all(claim.holds for claim in claims)
    rise, skills, back, size, hardest, twenty, saved, teacher = (claim.sentence.en for claim in claims)
    assert "from 0.0 % just before it is learned to 98.0 % right after, and to 0.0 %" in rise
    assert "by 98.0 points on average" in skills
    assert back.startswith("Task 8 brings 40.0 points of task 5 back")
    assert "76.5 % on average, one after the other 4.9 % are left" in size
    assert "10.0 % all at once and 70.0 % with a model of its own" in hardest
    assert "70.0 % on average), but take 20 kB instead of the 1.0 kB of one" in twenty
    assert saved.endswith("ewc 50.0 %, er 50.0 %, agem 50.0 %.")
    assert "(lwf) keeps 50.0 %" in teacher


def test_another_outcome_is_stated_as_it_was() -> None:
    remembers = np.tile(np.linspace(0.0, 0.9, 21)[:, None], (1, 20))  # rises by 4.5 points per task
    claims = shown(remembers, others=0.5, together=0.95, hardest=0.99).claims
    assert not any(claim.holds for claim in claims if "Twenty" not in claim.text.en)
    sentences = [claim.sentence for claim in claims]
    assert "not the rise from 0 to 100 % and the fall" in sentences[0].en
    assert "task 1 changes by +85.5 points" in sentences[1].en
    assert "changes it by +4.5 points only" in sentences[2].en
    assert "too close to say" in sentences[3].en
    assert "99.0 % all at once, against 95.0 % on task 1" in sentences[4].en
    assert sentences[6].en.startswith("In this run ewc, er, agem keep no more than finetune (90.0 %)")
    assert "no more than finetune" in sentences[7].en
    assert all("本次运行中" in sentence.zh or "平均" in sentence.zh for sentence in sentences)


def test_stories_and_skills_are_named_in_both_languages() -> None:
    lesson = shown(forgetful())
    _, heads, [row] = lesson.tables[0].in_language("zh")
    assert row == [
        "5 三个论元",
        "Jeff got the milk. Jeff gave the milk to Fred.",
        "Who gave the milk?",
        "Jeff",
        "Jeff ✓",
        "bored ✗",
    ]
    assert heads[-1] == "学完 20 个任务后的回答"
    assert lesson.tables[0].in_language("en")[2][0][0] == "5 three arguments"
    _, heat, bars, _ = (picture.draw("en") for picture in lesson.pictures)
    rows = [label.get_text() for label in heat.axes[0].get_yticklabels()]
    assert rows[5] == "5 three arguments"
    assert rows[1:] == [label.get_text() for label in bars.axes[0].get_xticklabels()]
    assert len(SKILLS) == 20


def test_the_followed_task_has_more_questions_and_every_exam_as_many() -> None:
    tasks = _stream(Setup())
    assert len(tasks.task(FOLLOWED).train) > 9 * len(tasks.task(4).train)
    assert {len(tasks.task(number).test) for number in (4, FOLLOWED)} == {TESTS}
    names = [task.name.partition(" ")[0] for task in tasks]
    assert names == [str(number) for number in range(1, 21)]


@pytest.mark.parametrize("number", [5, 15])
def test_the_story_is_the_first_short_one_of_the_test(number: int) -> None:
    task = stream("babi", questions=200).task(number)
    story = decode_story(_short_story(task).x[0])
    lengths = [len(decode_story(x_SW).sentences) for x_SW in task.test.x]
    first = next(place for place, length in enumerate(lengths) if length <= LONGEST)
    assert story == decode_story(task.test.x[first])


def test_a_run_hears_of_every_task_once_it_is_learned_and_again_of_one_that_was_cut_short(
    clouds: Callable[..., Stream], tmp_path: Path
) -> None:
    tasks, heard = clouds("domain", tasks=3), []

    def hear(learner: Learner, task: Task) -> None:
        heard.append((len(learner.tasks), task.number))
        if len(heard) == 2:
            raise KeyboardInterrupt

    def run() -> Values:
        return learned(tmp_path, tasks, "finetune", model="mlp:8", training=Training(epochs=1), on_task=hear)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert run()["seed"] == 0
    assert heard == [(1, 1), (2, 2), (2, 2), (3, 3)]
