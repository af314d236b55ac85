"""The loop shown: users, what happens to them, and the story told step by step."""

from lifelong.service.demonstration.story import Shown, tell_story

__all__ = ["Shown", "tell_story"]
