"""Keep the values of a finished chapter, on which the tests state its claims again.

    lifelong chapter --all --out chapter
    python benchmarks/chapter_values.py chapter docs/results/chapter/digits.json.gz

The same values give the same bytes.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path


def main(chapter: str, out: str) -> None:
    """Read the values of every lesson in `chapter`, and write them as one compressed JSON object."""
    lessons = sorted((Path(chapter) / "values").iterdir())
    values = {
        lesson.name: {part.stem: json.loads(part.read_text()) for part in sorted(lesson.glob("*.json"))}
        for lesson in lessons
    }
    text = json.dumps(values, separators=(",", ":"), sort_keys=True)
    Path(out).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:3])
