"""The classic experiments through which lifelong learning is taught, each with its figures and its numbers."""

from lifelong.chapter.lesson import Lesson, Setup
from lifelong.chapter.lessons import LESSONS, lesson
from lifelong.chapter.run import finished, run_lessons, unfinished, write_page

__all__ = ["LESSONS", "Lesson", "Setup", "finished", "lesson", "run_lessons", "unfinished", "write_page"]
