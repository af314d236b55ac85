"""The learner: model + optimiser + method + state + random numbers, learned with, examined, saved and loaded whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.data import ByKind, labels_of
from lifelong.errors import DataError, DivergedError, SettingError, require
from lifelong.flat import Flat, hold_in_one_type
from lifelong.methods import Claim, Finetune, LearnerView, Method, StreamSize, as_method, check_space
from lifelong.methods.inference import evaluating
from lifelong.models import announce, headed, named_plainly, per_task_parts, select, selecting
from lifelong.objectives import ClassObjective, MixedObjective, Objective
from lifelong.progress import ProgressLine
from lifelong.training import inputs, loop, optimizers, serialise
from lifelong.training.augment import augmentation
from lifelong.training.construction import (
    ModelLike,
    ObjectiveLike,
    module_of,
    name_of,
    objective_of,
    seed_of,
    space_of,
    training_of,
)
from lifelong.training.preview import preview
from lifelong.training.randomness import Randomness
from lifelong.training.settings import Training
from lifelong.types import Data, Examples, HeadKind, Labels, Numbers, Space, Split, Task, Tree, leaves, tree_map

__all__ = ["Learner"]

EVAL_BATCH, EVAL_BYTES = 2048, 32 * 2**20

BATCH_NORM = nn.modules.batchnorm._BatchNorm


class Learner:
    """A model that learns task after task with a method against forgetting.

    Args:
        model: A name (`mlp:400,400`, `cnn`, `linear`), a module that maps x (B, …) to answers, or a function of the
            space, or of nothing, that makes one; also by import path (`package.module:function`). A module is taken as
            it is, not copied. Parts that are in evaluation mode, or whose parameters are all frozen, stay in
            evaluation mode while the rest learns.
        method: How forgetting is fought: an object, a class, or a name; None is fine-tuning.
        space: Inputs, target and scenario; `stream.space`. A module of your own needs target and scenario only.
        training: The budget, the optimiser, and what happens to a batch.
        head: all, growing or per-task, for named models; the default follows the scenario. For a module of your own the
            name of its last linear layer, which then becomes such a head.
        objective: An objective of your own in place of the target's: an object, a class, or an import path.
        seed: Of the initial weights and of every later random number, 0 or more.
        settings: Fields of `Training` one by one, as in `Learner(…, epochs=5, lr=0.1)`; `optimizer` may be a function
            from the list of parameters to an optimiser.

    Raises:
        SettingError: Settings do not exist or do not fit each other.

    Example:
        >>> from lifelong import EWC, stream
        >>> digits = stream("split-digits", scenario="task")
        >>> learner = Learner("mlp:32", EWC(), digits.space, epochs=2, seed=0)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> len(learner.evaluate(digits)), learner.tasks
        (5, [1, 2, 3, 4, 5])
    """

    def __init__(
        self,
        model: ModelLike,
        method: str | Method[Any] | type[Method[Any]] | None = None,
        space: Space | None = None,
        training: Training | None = None,
        *,
        head: HeadKind | str | None = None,
        objective: ObjectiveLike | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        self.training, self._factory = training_of(training, settings)
        self.method = method = Finetune() if method is None else as_method(method)
        self.space = space = space_of(space)
        self.seed = seed = seed_of(seed)
        self.objective_name = objective if isinstance(objective, str) else ""
        if objective is None:
            check_space(method, space)
        self.head = head
        model = named_plainly(model) if isinstance(model, nn.Module) else model
        device = self.training.device
        self.randomness = Randomness(seed, device)
        self.augment = augmentation(self.training.augment, self.randomness.augment)
        self.model_name = model if isinstance(model, str) else f"own:{name_of(model)}"
        with self.randomness.inside():
            self.model = method.adapt(module_of(model, space, head, seed), space, seed).to(device)
        hold_in_one_type(self.model)
        self.objective = objective_of(objective, space, self.model)
        self.tasks: list[int] = []
        self.class_names: dict[int, str] = {}
        self._cursor: loop.Cursor | None = None
        self._failed = ""
        self._given_in_eval = inputs.parts_in_eval_mode(self.model)
        self.normalizer = inputs.Normalizer(self.model) if self.training.normalize else None
        self._online_steps = 0
        self.flat = Flat(self.model)
        require(len(self.flat) > 0 or self._grows, "the model has no parameters to train")
        require(
            not (self._factory and self.training.keep_optimizer and self._grows),
            "a growing model with keep_optimizer needs an optimizer by name: its moments must be laid out anew",
        )
        self._start = self._values() if Claim.RESETS_WEIGHTS in method.claimed() else {}
        self._optimizer: optimizers.Optimizer | None = None
        if self._factory is not None:
            self._optimizer = optimizers.build(self.flat, self.training, self._factory)
        else:
            optimizers.check(self.training)
        require(
            self.normalizer is None or len(space.kinds) < 2,
            "normalize takes the moments of one kind of input, and tasks differ in theirs; scale inputs in the stream",
        )
        half = self.training.autocast == "float16"
        self.scaler = torch.amp.GradScaler(torch.device(device).type) if half else None
        self.state: Any = method.init(self)

    @property
    def optimizer(self) -> optimizers.Optimizer:
        """The optimiser, made when it is first asked for."""
        if self._optimizer is None:
            self._optimizer = optimizers.build(self.flat, self.training, self._factory)
        return self._optimizer

    @optimizer.setter
    def optimizer(self, optimizer: optimizers.Optimizer) -> None:
        self._optimizer = optimizer

    # --- what a method may see of it (methods.LearnerView) ---

    @property
    def generator(self) -> torch.Generator:
        """The method's own random numbers."""
        return self.randomness.method

    def autocast(self) -> AbstractContextManager[object]:
        """The precision of forward passes."""
        return loop.autocast(self.training)

    def restart(self) -> None:
        """Back to the random initialisation, the optimiser's moments forgotten."""
        self._assign(self._start)
        self.optimizer = optimizers.build(self.flat, self.training, self._factory)

    # --- learning ---

    def learn(
        self,
        task: Task,
        *,
        on_progress: Callable[[loop.Progress], None] | None = None,
        on_step: Callable[[int], None] | None = None,
        on_batch: Callable[[Examples], None] | None = None,
        progress: bool = True,
    ) -> None:
        """Learn `task`; a learner that was saved or interrupted in the middle of it goes on from there.

        The training split is read, and with `patience` the validation split. Bad data is found before anything changes.
        Ctrl-C ends the step that is being taken; then, as after an exception in a function given here, the learner is
        whole, in the middle of the task.

        Args:
            task: What to learn.
            on_progress: Told of the progress now and then.
            on_step: Called with the number of each step after it; it may `save`.
            on_batch: Called with each batch, as the stream gave it, before the step that learns it.
            progress: Shows a line on a terminal or in a notebook, and nothing elsewhere.

        Raises:
            DataError: The data is bad.
            SettingError: The task does not fit the model, the method or the settings.
            DivergedError: The loss is not finite; then this learner can only be replaced by its last saved file.
        """
        with ProgressLine(progress) as line:
            self._learn(task, loop.Hooks(line.reporting_to(on_progress), on_step, on_batch))

    def _learn(self, task: Task, hooks: loop.Hooks) -> None:
        self._check_usable()
        self._sync()
        data = self._training_data(task)
        if self._cursor is not None and self._cursor.task != task.number:
            raise SettingError(f"this learner is in the middle of task {self._cursor.task}, not {task.number}")
        if self.training.patience is not None:
            task.split("validation")  # is there, or says what to do
        if self._cursor is None:
            self.method.check(self._size_with(task, data))
            self.method.check_data(self.state, self, data)
            self._begin(task, data)
        cursor = self._cursor
        assert cursor is not None
        select(self.model, task.number)  # here, and not in a method: a learner that was loaded goes on from here too
        chosen = self.method.examples(self.state, data)
        joined = self._joins_last(chosen)
        steps = self.training.steps(len(chosen), len(data), loop.steps_per_epoch(chosen, self.training, joined))
        epoch = None if self.training.patience is None else lambda: self._goes_on(task, cursor)
        self._weigh_classes(chosen, task)
        finishing = False
        try:
            with (
                self.randomness.inside(),
                inputs.training_mode(self.model, self._eval_parts),
                loop.deferred_interrupt(hooks) as interruptible,
            ):
                loop.run(
                    self,
                    self.method,
                    self.state,
                    self.optimizer,
                    self.scaler,
                    self.training,
                    self.augment,
                    chosen,
                    self.randomness.order,
                    cursor,
                    steps,
                    joined,
                    replace(interruptible, epoch=epoch),
                )
                finishing = True
                self._restore_best(cursor)
                self.state = self.method.end_task(self.state, self, data)
                finishing = False
                self._cursor = None
                self.tasks.append(task.number)
        except BaseException as error:
            if finishing or cursor.broken:
                self._failed = f"{type(error).__name__} in the middle of task {task.number}: {error}"
            raise

    def _begin(self, task: Task, data: Data) -> None:
        if self.normalizer is not None and not self.normalizer.moments:
            self.normalizer.measure(data)
        self._announce(task)
        self._name_classes(task)
        if not self.training.keep_optimizer:
            self.optimizer = optimizers.build(self.flat, self.training, self._factory)
        with self.randomness.inside():
            self.state = self.method.begin_task(self.state, self, data)
        self._cursor = loop.Cursor(task.number, 0, self.randomness.order.get_state())

    def _name_classes(self, task: Task) -> None:
        """Note what the classes of `task` are called; a class that tasks call differently has all its names."""
        for label, name in zip(task.classes, task.class_names, strict=False):
            known = self.class_names.get(label, name)
            self.class_names[label] = known if f" / {name} / " in f" / {known} / " else f"{known} / {name}"

    def _size_with(self, task: Task, data: Data) -> StreamSize:
        """How large the life is so far, `task` included."""
        known = {**self.objective.classes, task.number: task.classes}
        classes = {label for some in known.values() for label in some}
        pairs = sum(len(some) for some in known.values()) if self.space.boundaries else len(classes)
        one = data.at(slice(0, 1))
        return StreamSize.of(
            len(known),
            len(data),
            sum(leaf.nbytes for leaf in leaves(one.x)),
            len(self.flat),
            len(classes) or (self.space.classes or 0),
            classes=len(classes),
            class_task_pairs=pairs,
            numbers=sum(leaf.numel() for leaf in leaves(one.x)),
            target_bytes=sum(leaf.nbytes for leaf in leaves(one.y)),
            open_ended=True,
        )

    def _training_data(self, task: Task) -> Data:
        """The training split, checked: whole where it is in memory, else an example now and each batch later."""
        data, place = task.split("train"), f"the training split of task {task.number} ({task.name})"
        if len(data) == 0:
            raise DataError(f"{place} is empty: expected at least one example")
        objective = self._objective_of(task)
        if not isinstance(data, Examples):
            self._check(data.at(slice(0, 1)), objective, task, place)

            def check(batch: Examples) -> None:
                self._check_targets(batch, objective, task, place)

            data = inputs.OnDevice(data, self.training.device, check)
        else:
            self._check(data, objective, task, place)
            data = data.to(self.training.device)
        if self._batch_normalises and min(self.training.batch, len(data)) == 1:
            what = "batch must be" if self.training.batch == 1 else f"{place} must have"
            raise SettingError(
                f"{what} 2 or more, as the network has BatchNorm, which cannot train on a single example"
            )
        return data

    def _check(self, examples: Examples, objective: Objective, task: Task, place: str) -> None:
        """Check examples against the objective, the task, and what the network takes and gives."""
        examples.check(place)
        self._check_targets(examples, objective, task, place)
        expected = (task.space or self.space).inputs
        if isinstance(expected, dict):
            have = sorted(examples.x) if isinstance(examples.x, dict) else "one tensor"
            if have != sorted(expected):
                raise DataError(f"{place} has the inputs {have}, expected {sorted(expected)}")
        shape = (task.space or self.space).input_shape
        if shape is not None:
            shapes = [tuple(leaf.shape[1:]) for leaf in leaves(examples.x)]
            if isinstance(examples.x, dict) or shapes != [shape]:
                raise DataError(f"{place} has inputs of shape {', '.join(map(str, shapes))}, expected {shape}")
        outputs = self._output_count(examples, task)
        if outputs is not None and isinstance(objective, ClassObjective):
            objective.check_outputs(examples.y, place, outputs)

    def _check_targets(self, examples: Examples, objective: Objective, task: Task, place: str) -> None:
        objective.check(examples.y, place)
        if isinstance(objective, ClassObjective):
            strange = set(examples.y.unique().tolist()) - set(task.classes)
            if strange:
                raise DataError(f"{place} has labels {sorted(strange)} outside the task's classes {task.classes}")

    def _joins_last(self, data: Data) -> bool:
        """Whether a last batch of one example belongs to the batch before it."""
        return self._batch_normalises and len(data) > self.training.batch

    @property
    def _batch_normalises(self) -> bool:
        norms = [name for name, part in self.model.named_modules() if isinstance(part, BATCH_NORM)]
        return bool(norms) and not self._eval_parts.issuperset(norms)

    @property
    def _eval_parts(self) -> frozenset[str]:
        """The parts that stay in evaluation mode: those given so, and those that are frozen now."""
        return self._given_in_eval | inputs.frozen_parts(self.model)

    def _weigh_classes(self, data: Data, task: Task) -> None:
        """Set the weights N / (K · N_c) of the task's classes, where they are asked for."""
        if self.training.class_weights is None:
            return
        objective = self._objective_of(task)
        if not isinstance(objective, ClassObjective):
            raise SettingError(f"class_weights are for classes; the target is {objective.noun}: leave them out")
        require(
            not isinstance(data, ByKind),
            f"class_weights are for tasks of one kind, and {self.method.name} learns several at once: leave them out",
        )
        y_N = data.y if isinstance(data, Examples) else labels_of(getattr(data, "data", data))
        count_C = torch.bincount(y_N.cpu(), minlength=objective.count).double()
        there_C = count_C > 0
        weight_C = torch.where(there_C, len(y_N) / (int(there_C.sum()) * count_C.clamp_min(1)), 1.0)
        objective.weight_C = weight_C.float()

    def _goes_on(self, task: Task, cursor: loop.Cursor) -> bool:
        """Whether another pass is worth it, by the score on the validation split; the best weights are kept."""
        score = next(iter(self.scores(task, "validation").values()))
        if cursor.best is None or score > cursor.best:
            cursor.best, cursor.waited = score, 0
            cursor.best_values = {"theta": self.flat.theta_P.detach().clone(), **self._buffers()}
        else:
            cursor.waited += 1
        return cursor.waited < (self.training.patience or 0)

    @torch.no_grad()
    def _restore_best(self, cursor: loop.Cursor) -> None:
        if cursor.best_values:
            self.flat.assign(cursor.best_values["theta"])
            for name, buffer in self.model.named_buffers():
                buffer.copy_(cursor.best_values[name])

    # --- example by example ---

    def learn_one(self, x: Any, y: Any, task: int = 1) -> None:
        """Learn one example in one step; `learn_many` does a batch."""
        inputs_1, single = inputs.as_inputs(x, self._space_of(task))
        require(single or len(leaves(inputs_1)[0]) == 1, "learn_one takes one example; use learn_many for several")
        target = torch.as_tensor(y)
        self.learn_many(inputs_1, target[None] if single else target, task)

    def learn_many(self, x: Any, y: Any, task: int = 1) -> None:
        """Learn a batch in one step, without an end of the task in sight: for methods that need no boundaries.

        Args:
            x: Inputs (B, …). y: Targets (B, …); new classes are announced as they come.
            task: The number of the task that they belong to.

        Raises:
            SettingError: The method needs boundaries between tasks, chooses its own data, takes no steps, or has no
                room for a new class.
            DataError: The batch is bad; nothing has changed.
        """
        self._check_usable()
        self._sync()
        method, claims = self.method, self.method.claimed()
        require(
            "task boundaries" not in method.needs and not claims & (Claim.CHOOSES_DATA | Claim.SOLVES),
            f"{method.name} learns whole tasks, learn(task); finetune, er, er-ace, der, mir and gss learn one by one",
        )
        require(self._cursor is None, "this learner is in the middle of a task; go on with learn(task)")
        batch = Examples(inputs.as_inputs(x, self._space_of(task))[0], torch.as_tensor(y), task)
        objective = self.objective.of(task)
        goal, known = self._space_of(task).goal, self.objective.classes.get(task, ())
        outputs: Iterable[float] = batch.y.unique().tolist() if isinstance(objective, ClassObjective) else ()
        if isinstance(goal, (Numbers, Labels)) and self.space.scenario == "domain":  # all are there from the start
            outputs = range(goal.count)
        classes = tuple(sorted({*known, *map(int, outputs)}))
        whole = Task(task, f"task {task}", classes, {"train": batch}.get, space=self.objective.spaces.get(task))
        place = f"the batch of task {task}"
        self._check(batch, objective, whole, place)
        require(
            len(batch) > 1 or not self._batch_normalises,
            "the network has BatchNorm, which cannot train on one example; give learn_many batches of 2 or more",
        )
        if classes != known or task not in self.objective.classes:
            method.check(self._size_with(whole, batch))
            for each in (self.objective, objective):
                each.classes.pop(task, None)
            self._announce(whole)
        batch = batch.to(self.training.device)
        count = self._online_steps = self._online_steps + 1
        select(self.model, task)
        if task not in self.tasks:
            self.state = method.begin_task(self.state, self, batch)
            self.tasks.append(task)
        cursor = loop.Cursor(task, 0, self.randomness.order.get_state())
        single_step = replace(self.training, epochs=1, iterations=1, batch=max(2, len(batch)), accumulate=1)
        try:
            with self.randomness.inside(), inputs.training_mode(self.model, self._eval_parts):
                loop.run(
                    self,
                    method,
                    self.state,
                    self.optimizer,
                    self.scaler,
                    single_step,
                    self.augment,
                    batch,
                    self.randomness.order,
                    cursor,
                    1,
                    False,
                    loop.Hooks(),
                )
        except BaseException as error:
            if cursor.broken:
                self._failed = f"{type(error).__name__} in online step {count}: {error}"
            raise

    def predict_one(self, x: Any, task: int | None = None) -> Any:
        """The decision for one example: a Python number, or a list."""
        return self.predict(inputs.as_inputs(x, self._space_of(task))[0], task)[0].tolist()

    def predict_proba_one(self, x: Any, task: int | None = None) -> dict[int, float]:
        """The probability of each class that counts, for one example."""
        p_C = self.predict_proba(inputs.as_inputs(x, self._space_of(task))[0], task)[0]
        return {label: float(p) for label, p in enumerate(p_C.tolist()) if p > 0}

    # --- answers ---

    @torch.no_grad()
    def logits(self, x: Any, task: int | None = None) -> Tensor:
        """The network's answers (N, …) to inputs `x` (N, …), −∞ for outputs that do not count for `task`.

        Args:
            x: Tensors, NumPy arrays, lists, or a dict of these.
            task: Needed in the scenario `task`, and by a method that keeps one model per task.
        """
        needed = self.objective.scenario == "task" or "task number at test" in self.method.needs
        if task is None and needed:
            raise SettingError(
                f"{self.method.name} in the scenario {self.objective.scenario!r} needs the number of the task: "
                "predict(x, task=…)"
            )
        return self._answers(self, inputs.as_inputs(x, self._space_of(task))[0], task or 0)

    def _space_of(self, task: int | None) -> Space:
        """What inputs of task number `task` look like."""
        return self.objective.spaces.get(task or 0, self.space)

    def predict(self, x: Any, task: int | None = None) -> Tensor:
        """The decision for each of the inputs `x` (N, …): the class, the numbers, the labels or the tokens.

        A single example, of the shape that the space says, gives a single decision.
        """
        batch, single = inputs.as_inputs(x, self._space_of(task))
        decision = self.objective.of(task or 0).decide(self.logits(batch, task))
        return decision[0] if single else decision

    def predict_names(self, x: Any, task: int | None = None) -> list[str] | str:
        """The name of the class of each of the inputs `x`: its number where the tasks learned name no classes.

        A single example gives a single name. Where tasks give one class different names, all are named: `0 / 2`.

        Raises:
            SettingError: The target is not classes.
        """
        require(self.objective.of(task or 0).name == "classes", "only classes have names; use predict")
        decided = self.predict(x, task).tolist()
        if isinstance(decided, int):
            return self.class_names.get(decided, str(decided))
        return [self.class_names.get(label, str(label)) for label in decided]

    def predict_proba(self, x: Any, task: int | None = None) -> Tensor:
        """Probabilities: (N, C) of the classes, (N, C) of each label, (N, L, V) of the tokens.

        Raises:
            SettingError: The target is numbers, which have none.
        """
        batch, single = inputs.as_inputs(x, self._space_of(task))
        answer, objective = self.logits(batch, task), self.objective.of(task or 0)
        require(objective.name != "numbers", "numbers have no probabilities; use predict")
        p = answer.sigmoid() if objective.name == "labels" else answer.softmax(-1)
        return p[0] if single else p

    @torch.no_grad()
    def answers(self, task: Task, split: Split = "test") -> dict[str, Tensor]:
        """What the objective collects of the answers to one split of `task`, which need not have been learned yet.

        `decision` and `y` are always among it; all are on the CPU.
        """
        self._check_usable()
        data, place = task.split(split), f"the {split} split of task {task.number} ({task.name})"
        if len(data) == 0:
            raise DataError(f"{place} is empty: expected at least one example")
        self._objective_of(task)
        view = preview(self, task)
        objective = view.objective.of(task.number)
        if isinstance(data, Examples):
            data.check(place)
            objective.check(data.y, place)
            outputs = self._output_count(data, task)
            if outputs is not None and isinstance(objective, ClassObjective):
                objective.check_outputs(data.y, place, outputs)
            answer = self._answers(view, data.x, task.number).cpu()
            return objective.collect(answer, tree_map(torch.Tensor.cpu, data.y), task.number)
        pieces: list[dict[str, Tensor]] = []
        for batch in data.batches(torch.arange(len(data)), self._eval_batch(data.at(slice(0, 1)).x)):
            objective.check(batch.y, place)
            answer = self._answers(view, batch.x, task.number).cpu()
            pieces.append(objective.collect(answer, batch.y, task.number))
        return {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}

    def scores(self, task: Task, split: Split = "test") -> dict[str, float]:
        """The scores on one split of `task` by name; the first is the one that R holds."""
        return self._objective_of(task).all_scores(self.answers(task, split))

    def score(self, task: Task, split: Split = "test") -> float:
        """The first score on one split of `task`: the accuracy, the R² (0 where it is negative), the F1, …"""
        objective = self._objective_of(task)
        return next(iter(objective.scores(self.answers(task, split)).values()))

    def accuracy(self, task: Task, split: Split = "test") -> float:
        """The fraction of right answers on one split of `task`; `score` for any target."""
        objective = self._objective_of(task)
        require(isinstance(objective, ClassObjective), f"{objective.noun} have no accuracy; use score or scores")
        collected = self.answers(task, split)
        return int((collected["decision"] == collected["y"]).sum()) / len(collected["y"])

    def evaluate(self, tasks: Iterable[Task], split: Split = "test") -> list[float]:
        """The first score on each of `tasks` (a stream, or some of its tasks): one row of R."""
        return [self.score(task, split) for task in tasks]

    def forward_raw(self, x: Tree, task: int, view: LearnerView | None = None) -> Tensor:
        """What the method says to `x` (N, …) of `task`, in the mode and on the device that the network is in.

        `logits` is what most want; this is for those who ask often, and have set the mode for good. `view` is asked in
        place of this learner, as it would be with a task that it has not learned.
        """
        view = view or self
        with selecting(view.model, task):
            return self.method.predict(self.state, view, x, task)

    @torch.no_grad()
    def _answers(self, view: LearnerView, x: Tree, task: int) -> Tensor:
        self._check_usable()
        first, device = leaves(x)[0], self.training.device
        if "protected" not in self.flat.notes and self.model_name.startswith("own:") and len(first) > 0:
            self._probe(tree_map(lambda leaf: leaf[:1].to(device), x), task)
        with evaluating(self.model), self.autocast():
            size = self._eval_batch(x)
            pieces = [
                self.forward_raw(tree_map(lambda leaf, at=at: leaf[at : at + size].to(device), x), task, view)
                for at in range(0, max(1, len(first)), size)
            ]
        return view.objective.masked(torch.cat(pieces).float(), task)

    def _probe(self, x: Tree, task: int) -> Any:
        """Ask a network of the user's once, about one example, and see to it that it changes no inputs."""
        self.flat.notes["protected"] = True
        return inputs.protect_inputs(self.model, x, lambda: selecting(self.model, task))

    def _eval_batch(self, x: Tree) -> int:
        if self.training.eval_batch is not None:
            return self.training.eval_batch
        one = sum(leaf[:1].nbytes for leaf in leaves(x))
        return max(1, min(EVAL_BATCH, EVAL_BYTES // max(1, one)))

    # --- costs ---

    @property
    def stored_bytes(self) -> int:
        """Bytes of the method's state: what it keeps next to the model."""
        return serialise.stored_bytes(self.state)

    @property
    def capacity_used(self) -> float | None:
        """The fraction of what its tasks share that a method of the family isolation has used up; else None."""
        return self.method.capacity_used(self.state)

    @property
    def parameters(self) -> int:
        """Parameters needed for prediction: the model's and those that the method keeps."""
        return sum(p.numel() for p in self.model.parameters()) + self.method.parameters(self.state)

    def __repr__(self) -> str:
        learned = f"{len(self.tasks)} task{'s' * (len(self.tasks) != 1)} learned"
        where = f", {self._cursor.step} steps into task {self._cursor.task}" if self._cursor is not None else ""
        name = self.model_name.removeprefix("own:")
        return f"Learner({name}, {self.method.title}, {learned}{where}, {self.parameters:,} parameters)"

    def _repr_html_(self) -> str:
        rows = {
            "model": self.model_name.removeprefix("own:"),
            "method": self.method.title,
            "target": self.objective.name,
            "scenario": self.objective.scenario,
            "tasks learned": ", ".join(map(str, self.tasks)) or "none",
            "parameters": f"{self.parameters:,}",
            "bytes of the method": f"{self.stored_bytes:,}",
        }
        cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows.items())
        return f"<table>{cells}</table>"

    # --- files ---

    def save(self, path: str | Path, extra: dict[str, Any] | None = None) -> None:
        """Write everything to one safetensors file, whole or not at all; `extra` is plain data next to it."""
        from lifelong.training import checkpoint

        self._check_usable()
        self._sync()
        checkpoint.save(self, Path(path), extra or {})

    @staticmethod
    def load(
        path: str | Path,
        *,
        model: ModelLike | None = None,
        method: Method[Any] | None = None,
        optimizer: optimizers.OptimizerFactory | None = None,
        objective: ObjectiveLike | None = None,
        augment: str | None = None,
        device: str | None = None,
    ) -> Learner:
        """The learner that `save` wrote; it goes on bit for bit as if it had never been away.

        Args:
            path: The file.
            model: Needed where it was your own, as are `method`, `optimizer`, `objective` and `augment`: nothing in the
                file is ever imported or run as code.
            device: Moves it to another device.

        Raises:
            StorageError: The file cannot be read or trusted, or the model has other parameters.
        """
        from lifelong.training import checkpoint

        return checkpoint.load(
            Path(path),
            model=model,
            method=method,
            optimizer=optimizer,
            objective=objective,
            augment=augment,
            device=device,
        )

    # --- inside ---

    def _objective_of(self, task: Task) -> Objective:
        """The objective that learns `task`; a task with a space of its own makes the learner's a mixed one."""
        if task.space is None:
            return self.objective.of(task.number)
        kinds = {repr(kind): kind for kind in (*self.space.kinds, *self.objective.spaces.values(), task.space)}
        check_space(self.method, replace(self.space, kinds=tuple(kinds.values())))
        if not isinstance(self.objective, MixedObjective):
            require(not self.tasks, "a task with another target needs a stream whose tasks all say their own")
            mixed = MixedObjective(scenario=self.space.scenario)
            mixed.metrics, self.objective = self.objective.metrics, mixed
        return self.objective.add(task.number, task.space)

    @torch.no_grad()
    def _output_count(self, examples: Examples, task: Task) -> int | None:
        """How many outputs the model has for `task`; None where they grow, or nobody counts them."""
        if (network := headed(self.model)) is not None:
            if task.space is not None and len(self.space.columns()) > 1:
                return task.space.classes
            return None if network.head.grows else network.head.classes
        if "outputs" not in self.flat.notes:
            one = examples.at(slice(0, 1)).to(self.training.device)
            answer = self._probe(one.x, task.number)
            self.objective.of(task.number).check_answer(answer, one.y)
            self.flat.notes["outputs"] = answer.shape[-1] if isinstance(answer, Tensor) else None
        count: int | None = self.flat.notes["outputs"]
        return count

    @property
    def _grows(self) -> bool:
        network = headed(self.model)
        return (network is not None and network.head.grows) or len(per_task_parts(self.model)) > 0

    def _announce(self, task: Task) -> None:
        """Make room for a task, and lay out anew all that runs over the parameters where they became others."""
        self._objective_of(task)
        self.objective.announce(task.number, task.classes)
        network = headed(self.model)
        before = 0 if network is None else network.head.classes
        if not announce(self.model, task.number, self.objective.count):
            return
        self._relayout()
        if self._start and network is not None:
            weight, bias = network.head.initial_rows(before, network.head.classes)
            self._start["head.weight"] = torch.cat([self._start["head.weight"], weight])
            self._start["head.bias"] = torch.cat([self._start["head.bias"], bias])

    def _relayout(self) -> None:
        """Lay out θ anew for the parameters that the module has now, and with it the state and the moments."""
        old, optimizer = self.flat, self._optimizer
        self.flat = Flat(self.model)
        self.state = serialise.remap_state(self.state, self.flat.layout, old.layout)
        if optimizer is not None and self._factory is None:
            self.optimizer = optimizers.grown(optimizer, old, self.flat, self.training)
        elif optimizer is not None:
            self.optimizer = optimizers.build(self.flat, self.training, self._factory)

    def _sync(self) -> None:
        """Make the module's parameters views of θ where they no longer are; the values of the module count.

        They are parameters of their own after a copy, a conversion, `load_state_dict(assign=True)` or another learner
        on the same module; where layers were replaced or unfrozen, θ is laid out anew.
        """
        if self.flat.is_bound(self.model):
            return
        if not self.flat.rebind(self.model):
            self._relayout()
        if self._factory is not None and self._optimizer is not None:
            self.optimizer = optimizers.build(self.flat, self.training, self._factory)

    def _buffers(self) -> dict[str, Tensor]:
        return {name: buffer.detach().clone() for name, buffer in self.model.named_buffers()}

    def _values(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    @torch.no_grad()
    def _assign(self, values: dict[str, Tensor]) -> None:
        for name, value in self.model.state_dict().items():
            value.copy_(values[name])

    def _check_usable(self) -> None:
        if self._failed:
            raise DivergedError(f"this learner is spoiled ({self._failed}); load its last saved file")
