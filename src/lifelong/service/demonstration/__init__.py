"""The loop shown: users, what happens to them, and the story told step by step."""

from lifelong.service.demonstration.story import Shown, scenes, tell_story

__all__ = ["Shown", "scenes", "tell_story"]
