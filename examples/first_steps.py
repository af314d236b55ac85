"""From one line to a method of your own. Read it from top to bottom, and run it: `python examples/first_steps.py`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

import lifelong
from lifelong.methods.base import LearnerView, Method, Step, StreamSize
from lifelong.types import Data

# %% 1. One line: two methods on a stream of tasks, and what is left of each task at the end.
results = lifelong.run("rotated-digits", ["finetune", "er"], seeds=1, tasks=3, epochs=3)
for record in results.records:
    print(f"{record.method:<10} ACC {record.scores['acc']:.0%}, backward transfer {record.scores['bwt']:+.0%}")

# %% 2. The same by hand: a stream gives tasks, a learner learns them, and each exam is a row of the matrix R.
digits = lifelong.stream("rotated-digits", tasks=3, up_to=90)
learner = lifelong.Learner("mlp:128,128", lifelong.EWC(strength=100), digits.space, epochs=3, seed=0)
for task in digits:
    learner.learn(task)
    print(f"after {task.name:<10}", [f"{accuracy:.0%}" for accuracy in learner.evaluate(digits)])


# %% 3. A method of your own. It says what it remembers (the state) and what it does with it (the hooks).
@dataclass
class Memory:
    """The weights after the last task: what the defence below holds on to. `P` runs over the parameters."""

    centre_P: Tensor
    tasks: int = 0


@dataclass(frozen=True)
class Leash(Method[Memory]):
    """No weight goes further than `length` from where the last task left it: a guard that is the same for all."""

    length: float = 0.02

    name = "leash"
    family = "springs"
    reference = "this file"
    needs = ("task boundaries",)

    @property
    def state_type(self) -> type[Memory]:
        return Memory

    def declared_bytes(self, size: StreamSize) -> int:
        return 4 * size.parameters

    def init(self, learner: LearnerView) -> Memory:
        return Memory(torch.zeros_like(learner.flat.theta_P.detach()))

    def after_step(self, state: Memory, step: Step) -> None:
        if state.tasks > 0:
            low_P, high_P = state.centre_P - self.length, state.centre_P + self.length
            step.theta_P.copy_(step.theta_P.clamp(low_P, high_P))

    def end_task(self, state: Memory, learner: LearnerView, task: Data) -> Memory:
        return Memory(learner.flat.theta_P.detach().clone(), state.tasks + 1)


# %% 4. It stands beside the others at once. A short leash learns little, a long one forgets: the two extremes.
for length in (0.0, 0.02, 1.0):
    found = lifelong.run(digits, [Leash(length)], model="mlp:128,128", seeds=1, epochs=3, batch=16).records[0]
    print(f"leash {length:<5} ACC {found.scores['acc']:.0%}, backward transfer {found.scores['bwt']:+.0%}")
