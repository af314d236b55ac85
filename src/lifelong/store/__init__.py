"""Rows and bytes on disk, without torch."""

from lifelong.store.files import read_json, read_text, replacing, write_atomically, write_json

__all__ = ["read_json", "read_text", "replacing", "write_atomically", "write_json"]
