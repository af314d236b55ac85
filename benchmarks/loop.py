"""Whether the loop keeps its promises, by numbers: kills, swaps under load, rates, and how long a start takes.

    python benchmarks/loop.py [--kills 1000] [--own] [--swaps 100] [--rates] [--starts 5] [--database postgresql+psycopg://…]

Everything runs on this machine over loopback, on a home that is made for it and thrown away. `--kills N`: clients send
feedback (each with a key), ask for predictions, ask for updates and move the champion; SIGKILL of the whole process
group at random moments; after each the server must be ready, and nothing acknowledged lost or doubled, one champion,
the audit whole, every version loadable. A killed server is a child of a fork server, which has imported torch before;
with `--own` it is `lifelong serve` from the beginning, which takes seconds. Without options: 200 kills, 100 swaps,
rates. The exit code is 1 where a promise was broken; speed alone breaks none.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

from loop_kills import kills
from loop_rates import rates, swaps
from loop_server import PROJECT, Forked, Own, Servers, fork_server, prepare, started

from lifelong.loop.learning import Candidate
from lifelong.loop.project import Project
from lifelong.service.home import open_engine
from lifelong.store import versions

HEAD = f"{'':44} {'rate':>10} {'median':>11} {'99 of 100':>11} {'failed':>6}"


def homes(
    folder: Path, name: str, database: str | None, project: Project = PROJECT, others: int = 1
) -> tuple[Path, str]:
    """A new home with version 1 and `others`, each a learner of its own, and its key."""
    home = folder / name / "home"
    home.parent.mkdir()
    key = prepare(home, database, project)
    with open_engine(home, database) as engine:
        one = engine.read(lambda connection: versions.listed(connection, project.name))[0]
        for seed in range(1, others + 1):
            other = Candidate.of(replace(project, seed=seed).new_learner())
            content = versions.NewVersion(
                project=project.name,
                parent=one.id,
                blob=engine.blobs.put(other.data),
                settings={},
                task=1,
                exam_row=one.exam_row,
            )
            engine.write(lambda connection, content=content: versions.add(connection, content, 1.0))
    return home, key


def main() -> int:
    """Run what was asked for, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--own", action="store_true")
    parser.add_argument("--longest", type=float, default=0.25, help="seconds that a server lives at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--swaps", type=int, default=0)
    parser.add_argument("--rates", action="store_true")
    parser.add_argument("--starts", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--database", help="an empty one; without it SQLite")
    args = parser.parse_args()
    if not (args.kills or args.swaps or args.rates or args.starts):
        args.kills, args.swaps, args.rates = 200, 100, True
    if args.database and sum(map(bool, (args.kills, args.swaps, args.rates, args.starts))) > 1:
        parser.error("with --database one thing at a time, each on an empty one")
    print(f"load of this machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    options = ("--rate", "0", *(("--database", args.database) if args.database else ()))
    broken = False
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lifelong-loop-")))

        def servers(home: Path, own: bool = True) -> Servers:
            if own:
                return Own(home, options)
            forking = stack.enter_context(fork_server(home.parent / "log"))
            return Forked(home, forking, {"database": args.database, "rate": 0.0})

        if args.starts:
            home, _ = homes(folder, "starts", args.database)
            own, taken = servers(home), list[float]()
            for _ in range(args.starts):
                server = started(own)
                own.end(server.pid)
                taken.append(server.seconds)
            print(f"lifelong serve to ready: median {median(taken):.2f} s, at most {max(taken):.2f} s")
        if args.kills:
            home, key = homes(folder, "kills", args.database)

            def tell(life: int) -> None:
                if life % 50 == 0:
                    print(f"life {life} …", file=sys.stderr)

            outcome = kills(
                servers(home, args.own), key, args.kills,
                seed=args.seed, database=args.database, longest=args.longest, on_life=tell,
            )  # fmt: skip
            print(outcome.told())
            broken |= bool(outcome.faults)
        if args.swaps or args.rates:
            print(HEAD)
        if args.swaps:
            # of three versions one is kept in memory beside the champion: what comes next must be loaded
            home, key = homes(folder, "swaps", args.database, replace(PROJECT, keep=1), others=2)
            found = steady, swapping = swaps(servers(home), key, args.swaps)
            broken |= any(rate.failed for rate in found)
            print(*(rate.told() for rate in found), sep="\n")
            print(f"99 of 100 answers: {swapping.part(0.99) / steady.part(0.99):.2f} times as long (aim: 2 at most)")
        if args.rates:
            home, key = homes(folder, "rates", args.database)
            found = rates(servers(home), key, args.seconds)
            broken |= any(rate.failed for rate in found)
            print(*(rate.told() for rate in found), sep="\n")
    print(f"load of this machine after: {os.getloadavg()[0]:.2f}")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
