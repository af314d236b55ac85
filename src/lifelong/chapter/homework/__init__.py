"""The homework: starter code for a method of the student's own, and its grade."""

from lifelong.chapter.homework.grading import Grade, Rule, grade, rules
from lifelong.chapter.homework.starter_files import write_starter
from lifelong.chapter.homework.student import StudentError, load_method

__all__ = ["Grade", "Rule", "StudentError", "grade", "load_method", "rules", "write_starter"]
