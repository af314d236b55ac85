"""The shortest useful program: learn three tasks, see what was forgotten, keep the learner."""

from __future__ import annotations

import tempfile
from pathlib import Path

import lifelong


def main() -> None:
    """Compare fine-tuning with replay on permuted digits."""
    digits = lifelong.stream("permuted-digits", tasks=3)
    for method in (lifelong.Finetune(), lifelong.ER(capacity=200)):
        learner = lifelong.Learner("mlp:64", method, digits.space, epochs=3, seed=0)
        for task in digits:
            learner.learn(task)
        row = ", ".join(f"{accuracy:.0%}" for accuracy in learner.evaluate(digits))
        print(f"{method.name}: {row} on tasks 1, 2 and 3 after learning all of them")
    with tempfile.TemporaryDirectory() as folder:
        learner.save(Path(folder) / "learner.safetensors")
        again = lifelong.Learner.load(Path(folder) / "learner.safetensors")
    assert again.evaluate(digits) == learner.evaluate(digits)


if __name__ == "__main__":
    main()
