"""Task 20: where a need sends somebody, and which need it was."""

from __future__ import annotations

from lifelong.streams.babi.text import Question

from .words import words

__all__ = ["motive"]

PLACES = {"hungry": "kitchen", "thirsty": "kitchen", "bored": "garden", "tired": "bedroom"}


def motive(question: Question) -> str:
    """Where will jason go? Why did jason go there, or get that?"""
    asked = words(question.question)
    need = next(said[-1] for said in map(words, reversed(question.story)) if said[0] == asked[2] and said[-1] in PLACES)
    return PLACES[need] if asked[0] == "where" else need
