"""Networks, their output heads, and which outputs count for which task."""

from lifelong.models.head import Head
from lifelong.models.networks import Network, build, with_head
from lifelong.models.outputs import Outputs

__all__ = ["Head", "Network", "Outputs", "build", "with_head"]
