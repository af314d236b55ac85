"""Tasks 15 and 16: from kinds of animals to what one of them fears, and from one of a kind to another's colour."""

from __future__ import annotations

from lifelong.streams.babi.text import Question

from .words import words

__all__ = ["colour", "fear"]

ONE = {"mice": "mouse", "sheep": "sheep", "wolves": "wolf", "cats": "cat"}


def fear(question: Question) -> str:
    """What is gertrude afraid of?"""
    who = words(question.question)[2]
    kinds: dict[str, str] = {}
    fears: dict[str, str] = {}
    for said in map(words, question.story):
        if "afraid" in said:
            fears[ONE[said[0]]] = ONE[said[-1]]
        else:
            kinds[said[0]] = said[-1]
    return fears[kinds[who]]


def colour(question: Question) -> str:
    """What color is Greg?"""
    who = words(question.question)[-1]
    kinds: dict[str, str] = {}
    colours: dict[str, str] = {}
    for said in map(words, question.story):
        (kinds if said[2] == "a" else colours)[said[0]] = said[-1]
    # where a kind has two colours, the one of whom the kind was told last
    alike = [one for one, kind in kinds.items() if kind == kinds[who] and one in colours]
    return colours[alike[-1]]
