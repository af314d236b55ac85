"""The learner and the one training loop."""

from lifelong.training.checkpoint import extra_of
from lifelong.training.learner import Learner
from lifelong.training.loop import Progress
from lifelong.training.settings import Training

__all__ = ["Learner", "Progress", "Training", "extra_of"]
