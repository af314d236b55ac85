"""Named places where a test can kill this process, to see that what follows a crash is right."""

from __future__ import annotations

import os
import signal

__all__ = ["VARIABLE", "reach"]

VARIABLE = "LIFELONG_FAILPOINT"


def reach(name: str) -> None:
    """Die here by SIGKILL if the environment's LIFELONG_FAILPOINT is `name`; else nothing.

    >>> reach("blob written")
    """
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
