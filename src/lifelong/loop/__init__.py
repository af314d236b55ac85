"""The loop: a deployed model that learns from feedback for life; values in, values out.

Projects, updates, gates, triggers, lots and exams are values and functions of them, which know neither a database nor a
network. `engine` joins them with a store.
"""

from lifelong.loop.project import Project

__all__ = ["Project"]
