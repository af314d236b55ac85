"""What to do about a package that is not installed."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from lifelong.errors import SettingError

__all__ = ["needing"]


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Imports inside the block that fail tell which extra to install.

    The garbage collector rests meanwhile: an import makes little but what stays, and going through it again and again
    takes a tenth of the time.

    >>> with needing("serve"):
    ...     import surely_not_installed
    Traceback (most recent call last):
    lifelong.errors.SettingError: this needs surely_not_installed: pip install 'lifelong[serve]'
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    except ModuleNotFoundError as error:
        raise SettingError(f"this needs {error.name}: pip install 'lifelong[{extra}]'") from error
    finally:
        if collects:
            gc.enable()
