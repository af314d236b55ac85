"""The learner: model + optimiser + method + state + random numbers, learned with, examined, saved and loaded whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lifelong.errors import DataError, DivergedError, SettingError, require
from lifelong.flat import Flat
from lifelong.methods import Claim, Finetune, LearnerView, Method, StreamSize, as_method, check_space
from lifelong.models import Network, build, factory_of, from_factory
from lifelong.objectives import ClassObjective, objective_for
from lifelong.progress import ProgressLine
from lifelong.training import loop, optimizers, serialise
from lifelong.training.grow import carried
from lifelong.training.preview import preview
from lifelong.training.randomness import Randomness
from lifelong.training.settings import Autocast, Training
from lifelong.types import Examples, HeadKind, Space, Split, Task, as_examples, leaves, tree_map

__all__ = ["Learner"]

CHUNK = 2048

ModelLike = str | nn.Module | Callable[..., nn.Module]


class Learner:
    """A model that learns task after task with a method against forgetting.

    Arguments:
        model: a name (`mlp:400,400`, `cnn`, `linear`), a module that maps x (B, …) to logits (B, C), or a function
            of the space, or of nothing, that makes one; also by import path (`package.module:function`). A module is
            taken as it is, not copied.
        method: how forgetting is fought; None is fine-tuning.
        space: input shape, number of outputs and scenario; `stream.space`. A module of your own needs the scenario
            only.
        optimizer: a name (sgd, adam, adamw), or a function from the list of parameters to an optimiser.
        seed: of the initial weights and of every later random number.
        head: all, growing or per-task, for named models; the default follows the scenario.
        epochs, iterations, batch, lr, momentum, weight_decay, keep_optimizer, clip, device, autocast: see `Training`.

    Raises: `SettingError` for settings that do not exist or do not fit each other.

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
        *,
        optimizer: str | optimizers.OptimizerFactory = "sgd",
        lr: float = 0.1,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        keep_optimizer: bool = False,
        epochs: int = 1,
        iterations: int | None = None,
        batch: int = 32,
        clip: float | None = None,
        device: str = "cpu",
        autocast: Autocast | None = None,
        head: HeadKind | None = None,
        seed: int = 0,
    ) -> None:
        self._factory = None if isinstance(optimizer, str) else optimizer
        self.training = Training(
            epochs=epochs,
            iterations=iterations,
            batch=batch,
            optimizer=optimizer if isinstance(optimizer, str) else f"own:{getattr(optimizer, '__name__', 'factory')}",
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            keep_optimizer=keep_optimizer,
            clip=clip,
            device=device,
            autocast=autocast,
        )
        method, space = Finetune() if method is None else as_method(method), space or Space()
        check_space(method, space)
        self.method, self.space, self.seed, self.head = method, space, seed, head
        self.randomness = Randomness(seed, device)
        self.model_name = model if isinstance(model, str) else f"own:{_name_of(model)}"
        with self.randomness.inside():
            self.model = method.adapt(self._made(model), space, seed).to(device)
        grows = isinstance(self.model, Network) and self.model.head.grows
        self.objective = objective_for(space.target, space.scenario, announced_only=grows)
        self.tasks: list[int] = []
        self._position: loop.Position | None = None
        self._failed = ""
        self.flat = Flat(self.model)
        grows = isinstance(self.model, Network) and self.model.grows
        require(len(self.flat) > 0 or grows, "the model has no parameters to train")
        require(
            not (self._factory and keep_optimizer and grows),
            "a growing model with keep_optimizer needs an optimizer by name: its moments must be laid out anew",
        )
        self._start = self._values() if Claim.RESETS_WEIGHTS in method.claimed() else {}
        self._optimizer: Optimizer | None = None
        self._moments: dict[str, Any] | None = None  # those of a file, until there is an optimiser to have them
        if self._factory is not None:
            self._optimizer = optimizers.build(self.flat, self.training, self._factory)
        else:
            optimizers.check(self.training)
        self.scaler = torch.amp.GradScaler(torch.device(device).type) if autocast == "float16" else None
        self.state: Any = method.init(self)

    @property
    def optimizer(self) -> Optimizer:
        """The optimiser, made when it is first asked for: torch takes two seconds to import what those of its own need,
        which a server that only answers can spare.
        """
        if self._optimizer is None:
            self._optimizer = optimizers.build(self.flat, self.training)
            if self._moments is not None:
                self._optimizer.load_state_dict(self._moments)
                self._moments = None
        return self._optimizer

    @optimizer.setter
    def optimizer(self, made: Optimizer) -> None:
        self._optimizer, self._moments = made, None

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
        on_report: Callable[[loop.Report], None] | None = None,
        on_step: Callable[[int], None] | None = None,
        on_batch: Callable[[Examples], None] | None = None,
        progress: bool = True,
    ) -> None:
        """Learn `task`; a learner that was saved in the middle of it goes on from there.

        Only the training part is read. Bad data is found before anything changes. `on_report` hears of the progress
        now and then; `on_step(step)` is called after each step and may `save`; `on_batch(batch)` before the step that
        learns the batch. `progress` shows a line on a terminal or in a notebook, and nothing elsewhere.

        Raises: `DataError` for bad data; `DivergedError` for a loss that is not finite, after which this learner
        can only be replaced by its last saved file.
        """
        with ProgressLine(progress) as line:
            self._learn(task, line.reporting_to(on_report), on_step, on_batch)

    def _learn(
        self,
        task: Task,
        on_report: Callable[[loop.Report], None] | None,
        on_step: Callable[[int], None] | None,
        on_batch: Callable[[Examples], None] | None,
    ) -> None:
        self._check_usable()
        own = self._training_part(task)
        if self._position is not None and self._position.task != task.number:
            raise SettingError(f"this learner is in the middle of task {self._position.task}, not {task.number}")
        if isinstance(self.model, Network):
            self.model.select(task.number)  # here, and not in a method: a learner that was loaded goes on from here too
        if self._position is None:
            self.method.check(self._extent_with(task, own))
            self.method.check_data(self.state, self, own)
            self._begin(task, own)
        position = self._position
        assert position is not None
        examples = self.method.examples(self.state, own)
        steps = self.training.steps(len(examples), len(own))
        self.model.train()
        try:
            with self.randomness.inside():
                loop.run(
                    self,
                    self.method,
                    self.state,
                    self.optimizer,
                    self.scaler,
                    self.training,
                    examples,
                    self.randomness.order,
                    position,
                    steps,
                    on_report,
                    on_step,
                    on_batch,
                )
                self.state = self.method.end_task(self.state, self, own)
        except BaseException as error:
            self._failed = f"{type(error).__name__} in the middle of task {task.number}: {error}"
            raise
        self._position = None
        self.tasks.append(task.number)

    def _extent_with(self, task: Task, own: Examples) -> StreamSize:
        """How large the life is so far, `task` included."""
        known = {**self.objective.classes, task.number: task.classes}
        classes = {label for some in known.values() for label in some}
        pairs = sum(len(some) for some in known.values()) if self.space.boundaries else len(classes)
        one = leaves(own.at(slice(0, 1)).x)
        sizes = {"classes": len(classes), "class_task_pairs": pairs, "numbers": sum(leaf.numel() for leaf in one)}
        sizes["target_bytes"] = sum(leaf.nbytes for leaf in leaves(own.at(slice(0, 1)).y))
        return StreamSize.of(
            len(known),
            len(own),
            sum(leaf.nbytes for leaf in one),
            len(self.flat),
            len(classes),
            **sizes,
            open_ended=True,
        )

    def _begin(self, task: Task, own: Examples) -> None:
        self._announce(task.number, task.classes)
        if not self.training.keep_optimizer:
            self.optimizer = optimizers.build(self.flat, self.training, self._factory)
        with self.randomness.inside():
            self.state = self.method.begin_task(self.state, self, own)
        self._position = loop.Position(task.number, 0, self.randomness.order.get_state())

    def _training_part(self, task: Task) -> Examples:
        own = task.train
        place = f"the training part of task {task.number} ({task.name})"
        own.check(place)
        self.objective.check(own.y, place)
        classes = isinstance(self.objective, ClassObjective)
        strange = set(own.y.unique().tolist()) - set(task.classes) if classes else set()
        if strange:
            raise DataError(f"{place} has labels {sorted(strange)} outside the task's classes {task.classes}")
        shape = self.space.input_shape
        if shape is not None and isinstance(own.x, Tensor) and tuple(own.x.shape[1:]) != shape:
            raise DataError(f"{place} has inputs of shape {tuple(own.x.shape[1:])}, expected {shape}")
        self._check_outputs(own, place)
        return own.to(self.training.device)

    # --- answers ---

    @torch.no_grad()
    def logits(self, x: Tensor, task: int | None = None) -> Tensor:
        """Answers (N, C) to inputs `x` (N, …), −∞ for outputs that do not count for `task`.

        `task` is needed in the scenario `task`, and by a method that keeps one model per task.
        """
        needed = self.objective.scenario == "task" or "task number at test" in self.method.needs
        if task is None and needed:
            raise SettingError(
                f"{self.method.name} in the scenario {self.objective.scenario!r} needs the number of the task: "
                "predict(x, task=…)"
            )
        return self._logits(self, x, task or 0)

    def predict(self, x: Tensor, task: int | None = None) -> Tensor:
        """The output (N,) with the highest logit for each of the inputs `x` (N, …)."""
        return self.logits(x, task).argmax(1)

    @torch.no_grad()
    def accuracy(self, task: Task, split: Split = "test") -> float:
        """The fraction of right answers on one part of `task`, which need not have been learned yet."""
        exam = as_examples(task.split(split))
        place = f"the {split} split of task {task.number} ({task.name})"
        exam.check(place)
        self.objective.check(exam.y, place)
        self._check_outputs(exam, place)
        student = preview(self, task)
        right = (self._logits(student, exam.x, task.number).argmax(1).cpu() == exam.y.cpu()).sum()
        return int(right) / len(exam)

    def evaluate(self, tasks: Iterable[Task], split: Split = "test") -> list[float]:
        """The accuracy on each of `tasks` (a stream, or some of its tasks): one row of R."""
        return [self.accuracy(task, split) for task in tasks]

    def ask(self, x: Tensor, task: int, student: LearnerView | None = None) -> Tensor:
        """What the method says to `x` (N, …) of `task`, (N, C), in the mode and on the device that the network is in.

        `logits` is what most want; this is for those who ask often, and have set the mode for good. `student` is who is
        asked in place of this learner, as it would be with a task that it has not learned.
        """
        student = student or self
        model = student.model
        if not isinstance(model, Network) or not model.per_task:  # most: a server is asked thousands of times a second
            return self.method.predict(self.state, student, x, task)
        with model.selecting(task):
            return self.method.predict(self.state, student, x, task)

    def _logits(self, student: LearnerView, x: Tensor, task: int) -> Tensor:
        self._check_usable()
        training = self.model.training
        self.model.eval()
        try:
            with self.autocast():
                pieces = [self.ask(piece.to(self.training.device), task, student) for piece in x.split(CHUNK)]
            return student.objective.masked(torch.cat(pieces).float(), task)
        finally:
            self.model.train(training)

    # --- costs ---

    @property
    def stored_bytes(self) -> int:
        """Bytes of the method's state: what it keeps beside the model."""
        return serialise.stored_bytes(self.state)

    @property
    def capacity_used(self) -> float | None:
        """The fraction of what its tasks share that a method of the family isolation has used up; else None."""
        return self.method.capacity_used(self.state)

    @property
    def parameters(self) -> int:
        """Parameters needed for prediction: the model's and those that the method keeps."""
        return sum(p.numel() for p in self.model.parameters()) + self.method.parameters(self.state)

    # --- files ---

    def save(self, path: str | Path, extra: dict[str, Any] | None = None) -> None:
        """Write everything to one safetensors file, whole or not at all; `extra` is plain data kept beside it."""
        from lifelong.training import checkpoint

        self._check_usable()
        checkpoint.save(self, Path(path), extra or {})

    @staticmethod
    def load(
        path: str | Path,
        *,
        model: ModelLike | None = None,
        method: Method[Any] | None = None,
        optimizer: optimizers.OptimizerFactory | None = None,
        device: str | None = None,
    ) -> Learner:
        """The learner that `save` wrote; it goes on bit for bit as if it had never been away.

        Arguments: `model`, `method`, `optimizer` are needed only where they were your own, as nothing in the file is
            ever run as code. `device` moves it to another device.

        Raises: `StorageError` for a file that cannot be read or trusted.
        """
        from lifelong.training import checkpoint

        return checkpoint.load(Path(path), model=model, method=method, optimizer=optimizer, device=device)

    # --- inside ---

    def _made(self, model: ModelLike) -> nn.Module:
        if isinstance(model, nn.Module):
            return model
        factory = factory_of(model, import_paths=True) if isinstance(model, str) else model
        if isinstance(model, str) and factory is None:
            return build(model, self.space, self.head, self.seed)
        return from_factory(factory, _name_of(model), self.space, self.head, self.seed)

    def _check_outputs(self, examples: Examples, place: str) -> None:
        if not isinstance(self.objective, ClassObjective):
            return
        outputs = self._output_count(examples.x)
        if outputs is not None:
            self.objective.check_outputs(examples.y, place, outputs)

    @torch.no_grad()
    def _output_count(self, x: Tensor) -> int | None:
        """How many outputs the model has; None where they grow."""
        if isinstance(self.model, Network):
            return None if self.model.head.grows else self.model.head.classes
        training = self.model.training
        self.model.eval()
        logits_BC = self.model(tree_map(lambda leaf: leaf[:1].to(self.training.device), x))
        self.model.train(training)
        require(
            isinstance(logits_BC, Tensor) and logits_BC.ndim == 2,
            f"the model must map (B, …) to logits (B, C), got {getattr(logits_BC, 'shape', type(logits_BC))}",
        )
        return int(logits_BC.shape[1])

    def _announce(self, task: int, classes: tuple[int, ...]) -> None:
        """Make room for a task, and lay out anew all that runs over the parameters where they became others."""
        self.objective.announce(task, classes)
        if not isinstance(self.model, Network):
            return
        if self._moments is not None:
            _ = self.optimizer  # they are laid out like the parameters as they are now
        old, before = self.flat, self.model.head.classes
        if not self.model.announce(task, self.objective.count):
            return
        self.flat = Flat(self.model)
        self.state = carried(self.state, self.flat, old)
        if self._factory is None and self._optimizer is not None:
            self.optimizer = optimizers.grown(self._optimizer, old, self.flat, self.training)
        if self._start:
            weight, bias = self.model.head.initial_rows(before, self.model.head.classes)
            self._start["head.weight"] = torch.cat([self._start["head.weight"], weight])
            self._start["head.bias"] = torch.cat([self._start["head.bias"], bias])

    def _values(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    @torch.no_grad()
    def _assign(self, values: dict[str, Tensor]) -> None:
        for name, value in self.model.state_dict().items():
            value.copy_(values[name])

    def _check_usable(self) -> None:
        if self._failed:
            raise DivergedError(f"this learner is spoiled ({self._failed}); load its last saved file")


def _name_of(model: ModelLike) -> str:
    if isinstance(model, str):
        return model
    return type(model).__name__ if isinstance(model, nn.Module) else getattr(model, "__name__", type(model).__name__)
