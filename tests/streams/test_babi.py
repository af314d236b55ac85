"""The bAbI tasks: the format to the line, the closed lists of words and answers, and the stream of 20 skills."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from lifelong.errors import DataError, SettingError
from lifelong.streams import settings_for, stream
from lifelong.streams.babi.encode import WIDTH, decode_story, encode, split
from lifelong.streams.babi.simulate import ANSWERS, WORDS, simulated
from lifelong.streams.babi.stream import Babi
from lifelong.streams.babi.text import parse, read
from lifelong.training import Learner

STORY = """\
1 Mary moved to the bathroom.
2 John went to the hallway.
3 Where is Mary? \tbathroom\t1
4 Daniel got the apple.
5 Daniel took the milk.
6 What is Daniel carrying?\tapple,milk\t4 5
1 The office is east of the hallway.
2 The kitchen is north of the office.
3 How do you go from the kitchen to the hallway?\ts,w\t2 1
"""


@pytest.fixture
def official() -> Path:
    """The folder with the official files; the test is skipped where there is none."""
    root = os.environ.get("LIFELONG_DATA")
    if root is None or not (Path(root) / "babi" / "en").is_dir():
        pytest.skip("needs the official bAbI files: set LIFELONG_DATA to a folder that has babi/en")
    return Path(root) / "babi" / "en"


def test_questions_are_read_with_what_was_told_before_them() -> None:
    first, second, third = parse(STORY, "here")
    assert first.story == ("Mary moved to the bathroom.", "John went to the hallway.")
    assert (first.question, first.answer, first.support) == ("Where is Mary?", "bathroom", (1,))
    assert (second.numbers, second.support, second.answer) == ((1, 2, 4, 5), (4, 5), "apple,milk")
    assert third.story == ("The office is east of the hallway.", "The kitchen is north of the office.")
    assert [one.line(one.number) for one in (first, second, third)] == [3, 6, 9]
    assert parse(STORY.removesuffix("\n"), "here") == [first, second, third]


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (3, "3 Where is Mary? bathroom 1", "answer and its supporting facts behind tabs, got 'Where is Mary? bathroom"),
        (3, "3 Where is Mary?\tbathroom", "two tabs between them, got 2 fields"),
        (3, "3 Where is Mary?\tbathroom\t1\t2", "two tabs between them, got 4 fields"),
        (3, "3 Where is Mary?\t\t1", "expected an answer, a list joined by commas, got ''"),
        (6, "6 What is Daniel carrying?\tapple,\t4", "a list joined by commas, got 'apple,'"),
        (3, "3 Mary is in.\tbathroom\t1", "ends with a question mark, got 'Mary is in.'"),
        (3, "3 Where is Mary?\tbathroom\t", "at least one supporting fact"),
        (3, "3 Where is Mary?\tbathroom\tone", "earlier sentences of the story (1, 2), got 'one'"),
        (3, "3 Where is Mary?\tbathroom\t0", "got '0'"),
        (3, "3 Where is Mary?\tbathroom\t4", "(1, 2), got '4'"),
        (6, "6 What is Daniel carrying?\tapple\t3", "(1, 2, 4, 5), got '3'"),  # a question is no fact
        (1, "1 Where is Mary?\tbathroom\t1", "it has none yet"),
        (2, "3 John went to the hallway.", "expected the line number 2, or 1 for a new story, got 3"),
        (1, "2 Mary moved to the bathroom.", "expected the line number 1, or 1 for a new story, got 2"),
        (2, "02 John went to the hallway.", "expected a line number, one space and a text"),
        (2, "two John went to the hallway.", "expected a line number, one space and a text, got 'two John"),
        (2, "2  John went to the hallway.", "expected a line number, one space and a text"),
        (2, "", "expected a line number, one space and a text, got ''"),
        (2, "2 John went to the hallway", "a sentence that ends with a full stop"),
    ],
)
def test_what_is_not_in_the_format_is_told_with_its_line(line: int, text: str, message: str, tmp_path: Path) -> None:
    lines = STORY.splitlines()
    lines[line - 1] = text
    file = tmp_path / "qa1_wrong_train.txt"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(DataError) as caught:
        read(file)
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["1 Mary moved to the bathroom.\n", "", "\n"])
def test_a_file_that_asks_nothing_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="here"):
        parse(text, "here")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.txt").write_bytes(b"1 \xff\xfe")
    with pytest.raises(DataError, match=r"binary\.txt cannot be read as text"):
        read(tmp_path / "binary.txt")
    with pytest.raises(DataError, match=r"absent\.txt cannot be read as text"):
        read(tmp_path / "absent.txt")


def decoded(row: list[int]) -> list[str]:
    return [WORDS[number - 1] for number in row if number]


def test_what_is_encoded_can_be_read_back() -> None:
    questions = parse(STORY, "here")
    x, y = encode(questions, sentences=5, place="here")
    assert (x.shape, x.dtype) == ((3, 6, WIDTH), torch.uint8)
    assert [ANSWERS[number] for number in y.tolist()] == ["bathroom", "apple,milk", "s,w"]
    for rows, asked in zip(x.tolist(), questions, strict=True):
        expected = [split(asked.question), *(split(text) for text in reversed(asked.story))]
        assert [decoded(row) for row in rows if any(row)] == expected
        assert not any(map(any, rows[len(expected) :]))


def test_an_overlong_story_keeps_its_newest_sentences() -> None:
    x, _ = encode(parse(STORY, "here"), sentences=3, place="here")
    assert [" ".join(decoded(row)) for row in x[1].tolist()] == [
        "what is daniel carrying",
        "daniel took the milk",
        "daniel got the apple",
        "john went to the hallway",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2 John", "2 Johanna", "here:2: unknown word 'johanna' in 'Johanna went to the hallway.'"),
        ("Where is Mary?", "Whence is Mary?", "here:3: unknown word 'whence'"),
        ("2 The kitchen", "2 The cellar", "here:8: unknown word 'cellar'"),
        ("\tbathroom\t", "\tattic\t", "here:3: unknown answer 'attic'"),
        ("\ts,w\t", "\ts,n\t", "here:9: unknown answer 's,n'"),
        (
            "4 Daniel got",
            "4 Daniel and John and Mary and the milk and the apple got",
            "here:4: expected at most 12 words",
        ),
    ],
)
def test_words_and_answers_out_of_the_lists_are_told_with_their_line(old: str, new: str, message: str) -> None:
    assert old in STORY
    with pytest.raises(DataError, match="here:") as caught:
        encode(parse(STORY.replace(old, new), "here"), sentences=5, place="here")
    assert message in str(caught.value)


def test_the_lists_have_no_word_twice_and_fit_in_a_byte() -> None:
    assert len(set(WORDS)) == len(WORDS) < 256
    assert len(set(ANSWERS)) == len(ANSWERS)


@pytest.mark.parametrize("skill", range(1, 21))
def test_the_official_files_are_read_whole_and_have_no_other_words(skill: int, official: Path) -> None:
    for part in ("train", "test"):
        [file] = official.glob(f"qa{skill}_*_{part}.txt")
        questions = read(file)
        assert len(questions) == 1000
        x, _ = encode(questions, 50, str(file))
        told = (x[:, 1:] > 0).any(-1).sum(1).tolist()
        assert told == [min(50, len(asked.story)) for asked in questions]


def test_every_word_of_the_list_is_in_the_official_training_files(official: Path) -> None:
    questions = [asked for file in official.glob("qa*_train.txt") for asked in read(file)]
    texts = {text for asked in questions for text in (*asked.story, asked.question)}
    assert {word for text in texts for word in split(text)} == set(WORDS)
    assert {asked.answer for asked in questions} <= set(ANSWERS)


@pytest.mark.parametrize("skill", range(1, 21))
def test_simulated_tasks_have_the_words_of_the_list(skill: int) -> None:
    questions = parse(simulated(skill, 100, 7), f"skill {skill}")
    assert len(questions) == 100
    encode(questions, 50, f"skill {skill}")


def test_the_stream_is_the_same_at_every_call_and_other_with_another_seed() -> None:
    one, two, other = (stream("babi", order=(3, 1), questions=60, seed=seed) for seed in (0, 0, 1))
    assert [task.name for task in one] == ["3 three supporting facts", "1 single supporting fact"]
    assert one.space == two.space
    assert one.space.vocabulary == len(WORDS) + 1
    for task, twin, stranger in zip(one, two, other, strict=True):
        assert task.classes == tuple(range(len(ANSWERS)))
        assert task.validation is not None
        assert len(task.train) + len(task.validation) == len(task.test) == 60
        for part, again in ((task.train, twin.train), (task.test, twin.test)):
            assert torch.equal(part.x, again.x)
            assert torch.equal(part.y, again.y)
        assert not torch.equal(task.test.x, stranger.test.x)


def files(folder: Path, skill: int, copies: int = 10) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        (folder / f"qa{skill}_title_{part}.txt").write_text(STORY * copies, "utf-8")


def test_files_are_found_in_the_folder_or_in_en_and_stories_are_held_out_whole(tmp_path: Path) -> None:
    files(tmp_path / "babi" / "en", 2)
    for folder in (tmp_path, tmp_path / "babi", tmp_path / "babi" / "en"):
        task = stream("babi", data_dir=folder, source="files", order=(2,), questions=30, validation=0.2).task(1)
        assert task.validation is not None
        assert (len(task.train) + len(task.validation), len(task.test)) == (30, 30)
        # a story asks two questions (bathroom and apple,milk) or one (s,w): together in one part
        counts = [(task.validation.y == ANSWERS.index(answer)).sum().item() for answer in ("bathroom", "apple,milk")]
        assert counts[0] == counts[1]


def test_files_that_are_missing_too_short_or_wrong_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"needs one file qa1_…_train\.txt in .*: found 0"):
        stream("babi", data_dir=tmp_path, source="files")
    files(tmp_path, 1)
    wanted = {"data_dir": tmp_path, "source": "files", "order": (1,)}
    with pytest.raises(DataError, match="expected 1000 questions or more, got 30; use questions=30"):
        _ = stream("babi", **wanted).task(1).train
    test = tmp_path / "qa1_title_test.txt"
    test.write_text(STORY.replace("John", "Johanna"), "utf-8")
    short = stream("babi", questions=3, **wanted).task(1)
    assert len(short.train) == 3
    with pytest.raises(DataError, match=r"qa1_title_test\.txt:2: unknown word 'johanna'"):
        _ = short.test
    (tmp_path / "qa1_other_test.txt").write_text(STORY, "utf-8")
    with pytest.raises(DataError, match="found 2"):
        stream("babi", **wanted)


def test_settings_may_be_text_and_wrong_ones_are_refused() -> None:
    assert settings_for("babi", {"order": "5,1,2", "tasks": "2"}) == Babi(tasks=2, order=(5, 1, 2))
    for wrong, message in (
        ({"order": (1, 21)}, r"skills from 1 to 20, got \[21\]"),
        ({"order": (2, 2)}, "each skill once"),
        ({"tasks": 3, "order": (1, 2)}, r"tasks must be in 1 … 2"),
        ({"scenario": "class"}, "the scenario must be domain"),
        ({"source": "web"}, "source"),
        ({"questions": 0}, "questions must be 1 or more"),
        ({"sentences": 0}, "sentences must be 1 or more"),
        ({"validation": 1.0}, "validation must be a fraction"),
        ({"order": "one"}, "order"),
        ({"skills": 3}, "unknown setting of babi"),
    ):
        with pytest.raises(SettingError, match=message):
            stream("babi", **wrong)


def test_a_memory_network_learns_the_first_skill() -> None:
    first = stream("babi", tasks=1, questions=600)
    learner = Learner("memn2n:20", None, first.space, optimizer="adam", lr=0.02, epochs=8, seed=0)
    learner.learn(first.task(1))
    assert learner.accuracy(first.task(1)) > 0.8  # a place drawn from the six is right in 0.17


@pytest.mark.parametrize("skill", range(1, 21))
def test_decoded_stories_are_the_texts_they_were_encoded_from(skill: int) -> None:
    asked = parse(simulated(skill, 40, seed=1), "example")
    x, _ = encode(asked, 50, "example")
    for one, x_SW in zip(asked, x, strict=True):
        sentences, question = decode_story(x_SW)
        assert sentences == one.story[-50:]
        # the questions of tasks 15 and 20 have names in small letters
        assert question == one.question or (skill in (15, 20) and question.lower() == one.question.lower())


def test_what_is_no_story_is_not_decoded() -> None:
    with pytest.raises(SettingError, match=r"expected one story \(sentences, words\), got shape \(2, 3, 4\)"):
        decode_story(torch.zeros(2, 3, 4))
    with pytest.raises(SettingError, match=r"expected numbers of words, 0 to 145, got 0 … 146"):
        decode_story(torch.tensor([[0, 146]]))
