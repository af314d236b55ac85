"""Whether joint training is the upper bound, and whether the guards on weights help, in default streams with 5 seeds.

    python benchmarks/guards.py permuted-digits rotated-digits noisy-digits split-digits

Everything is at its default. A difference is that of the same seeds, with its 95 % interval; "helps" is written where
the interval lies above 0.
"""

from __future__ import annotations

import sys

import lifelong
from lifelong.evaluation import Array, acc, bwt, interval, paired_difference
from lifelong.reports.wording import points, with_interval

METHODS = ("finetune", "joint", "ewc", "online-ewc", "l2", "si", "mas", "rwalk", "scp")
SEEDS = 5


def rows(stream: str) -> list[str]:
    """Rows of a Markdown table, one per method."""
    results = lifelong.run(stream, METHODS, seeds=SEEDS, progress=False)
    matrices: dict[str, Array] = {method: results[method].matrix for method in METHODS}
    base = acc(matrices["finetune"])
    lines: list[str] = []
    for method, matrix in matrices.items():
        difference = paired_difference(acc(matrix), base)
        verdict = (
            "" if method == "finetune" else "helps" if difference.mean > difference.ci95 else "no difference shown"
        )
        scores = with_interval(interval(acc(matrix))), with_interval(interval(bwt(matrix)), points)
        lines.append(
            f"| {stream} | {method} | {' | '.join(scores)} | {with_interval(difference, points)} | {verdict} |"
        )
    return lines


def main(streams: list[str]) -> None:
    """Print the table, stream after stream."""
    print("| stream | method | ACC (%) | BWT | ACC above finetune | |\n|---|---|---|---|---|---|")
    for stream in streams:
        print("\n".join(rows(stream)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
