"""A network by import path, in two worker processes, killed in the middle: it ends as if nothing had happened.

In a shell, from the folder that holds `own_network`:

    lifelong run permuted-digits -m finetune -m er --model own_network.nets:convolutions --jobs 2 --out runs/own
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parents[1]
COMMAND = [
    *(sys.executable, "-m", "lifelong", "run", "permuted-digits", "-m", "finetune", "-m", "er", "--seeds", "1"),
    *("--model", "own_network.nets:convolutions", "--tasks", "3", "--epochs", "3", "--jobs", "2"),
    *("--checkpoint-every", "20"),
]


def matrices(out: Path) -> dict[str, list[list[float]]]:
    """R of every finished run."""
    return {file.parent.name: json.loads(file.read_text())["matrix"] for file in sorted(out.rglob("seed-*.json"))}


def main() -> None:
    """Run, once with a kill in between and once without, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        killed, whole = Path(folder) / "killed", Path(folder) / "whole"
        process = subprocess.Popen([*COMMAND, "--out", str(killed)], cwd=HERE, start_new_session=True)
        while process.poll() is None and not list(killed.rglob("*.safetensors")):
            time.sleep(0.05)
        time.sleep(0.2)
        os.killpg(process.pid, signal.SIGKILL)  # the command and its two workers, wherever they are
        print("killed with exit code", process.wait(), "and", len(matrices(killed)), "of 2 runs finished")
        for out in (killed, whole):  # the same command goes on from the checkpoints
            subprocess.run([*COMMAND, "--out", str(out)], cwd=HERE, check=True)
        assert len(matrices(whole)) == 2
        assert matrices(killed) == matrices(whole)
        print("the same bits as without the kill")


if __name__ == "__main__":
    main()
