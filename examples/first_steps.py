"""From one line to a method of your own. Read it from top to bottom, and run it: `python examples/first_steps.py`."""

from own_method import Leash  # the file next to this one

import lifelong

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

# %% 3. A method of your own, own_method.py: it says what it remembers (the state) and what it does with it (the hooks).
#       A short leash learns little, a long one forgets: the two extremes.
for length in (0.0, 0.02, 1.0):
    record = lifelong.run(digits, [Leash(length)], model="mlp:128,128", seeds=1, epochs=3, batch=16).records[0]
    print(f"leash {length:<5} ACC {record.scores['acc']:.0%}, backward transfer {record.scores['bwt']:+.0%}")
