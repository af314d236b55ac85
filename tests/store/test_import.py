"""What an import costs: the lab does not pay for the store, nor the store for the lab."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import lifelong, lifelong.store
assert not {"sqlalchemy", "psycopg", "fsspec"} & set(sys.modules)
import lifelong.store.database, lifelong.store.review, lifelong.store.lots, lifelong.store.blobs
assert not {"torch", "numpy", "psycopg", "fsspec"} & set(sys.modules)
"""


def test_what_is_loaded() -> None:
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=120)
