"""Networks, their output heads, and which outputs count for which task."""

from lifelong.models.head import Head
from lifelong.models.networks import Network, build, cut_head, factory_of, from_factory, named_plainly, with_head

__all__ = ["Head", "Network", "build", "cut_head", "factory_of", "from_factory", "named_plainly", "with_head"]
