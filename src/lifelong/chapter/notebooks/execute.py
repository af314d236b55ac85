"""Run notebooks in a kernel of their own. The extra `notebooks` is imported here and nowhere else."""

from __future__ import annotations

from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import from_dict, validate

from lifelong.errors import LifelongError

__all__ = ["executed"]


def executed(content: dict[str, Any], timeout: int = 300) -> dict[str, Any]:
    """The notebook with the outputs of its cells, each of which may take `timeout` seconds.

    Raises:
        LifelongError: A cell failed; the message is its error.
    """
    node: Any = from_dict(content)
    validate(node)
    client = NotebookClient(node, timeout=timeout, kernel_name="python3", extra_arguments=["--log-level=ERROR"])
    try:
        client.execute()
    except CellExecutionError as error:
        raise LifelongError(f"a cell of the notebook failed: {error.ename}: {error.evalue}") from error
    validate(node)
    return dict(node)
