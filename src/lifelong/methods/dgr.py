"""Deep generative replay: a second network dreams of the past, and no example is kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lifelong.errors import DataError, require
from lifelong.methods.base import Claim, Inner, LearnerView, Method, Step, StreamSize
from lifelong.methods.generator import (
    Generator,
    Likelihood,
    frozen_copy,
    improve,
    new_generator,
    reset_optimizer,
    sample,
    weight_count,
)
from lifelong.methods.inference import Snapshot, answers, chunks, classes_of, number_of, snapshot
from lifelong.objectives import softmax_distance
from lifelong.types import Data, Examples

__all__ = ["DGR", "DGRState"]

CHUNK = 2048


@dataclass
class DGRState:
    """Tasks learned, the generator; the generator and the network before the newest task, the classes that it knew."""

    tasks: list[int] = field(default_factory=list)
    generator: Generator | None = None
    previous_generator: Generator | None = None
    previous_model: Snapshot | None = None
    old: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))


@dataclass(frozen=True)
class DGR(Method[DGRState]):
    """Replay inputs made by a generator and labelled by the previous network; both are learned task after task.

    Chinese: 用生成器产生旧输入、用旧网络标注来重放；两者都随任务一起学习。

    Formula: L(θ) = r · CE(B) + (1 − r) · CE(x', y'), x' from the previous generator, y' = argmax of the previous
    network's answer to x', r = 1/t at task t; with `distill` T² · KL to that answer's softmax at T in place of CE. The
    generator, a variational autoencoder, learns r · VAE(B) + (1 − r) · VAE(x'').

    Arguments:
        replay_batch: inputs made for each step, and as many others for the generator.
        latent: numbers in the generator's code.
        hidden: units in each of the two hidden layers of its encoder and of its decoder.
        output: `linear` for any inputs (Gaussian), `sigmoid` for inputs in 0 … 1 (Bernoulli).
        generator_lr: step size of the generator, which Adam trains, one step for each of the network's.
        distill: learn the previous network's probabilities instead of its hard labels.
        temperature: T > 0 of `distill`.

    Stores: G weights of the generator, as many of the previous one and two moments of each, and the previous
    network: 16 · G + 4 · P bytes for float32 numbers. No example.

    Reference: Shin et al. 2017, Continual Learning with Deep Generative Replay, equation 1 (r is its importance ratio);
    `distill` and the autoencoder: van de Ven & Tolias 2018, Generative replay with feedback connections.

    Deviations: a variational autoencoder instead of a WGAN-GP, and trained in step with the network instead of before
    it. With `linear`, the variance of its answers is the one that fits the batch best. In the scenario task a generated
    input belongs to a past task drawn at random, and is labelled among its classes. With `distill` the target of
    outputs newer than the previous network is 0.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import DGR
        >>> digits = stream("split-digits", scenario="task", tasks=2)
        >>> dreams = DGR(hidden=64, latent=8, output="sigmoid", generator_lr=0.005)
        >>> learner = Learner("mlp:32", dreams, digits.space, epochs=10, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.5
        True
    """

    replay_batch: int = 32
    latent: int = 10
    hidden: int = 256
    output: Likelihood = "linear"
    generator_lr: float = 0.001
    distill: bool = False
    temperature: float = 2.0

    name = "dgr"
    objectives = ("classes",)
    family = "generative"
    reference = "Shin et al. 2017"
    state_class = DGRState
    one_kind = True
    needs = ("task boundaries",)
    claims = Claim.RELIES_ON_WEIGHTS | Claim.STORES_BATCHES

    def validate(self) -> None:
        for setting in ("replay_batch", "latent", "hidden"):
            require(getattr(self, setting) >= 1, f"dgr.{setting} must be 1 or more, got {getattr(self, setting)}")
        require(self.generator_lr > 0, f"dgr.generator_lr must be above 0, got {self.generator_lr}")
        require(self.temperature > 0, f"dgr.temperature must be above 0, got {self.temperature}")

    def declared_bytes(self, size: StreamSize) -> int:
        weights = weight_count(size.numbers, self.hidden, self.latent)
        return 16 * weights + 4 * size.parameters + size.buffers + 8 * (size.outputs + size.tasks)

    def check_data(self, state: DGRState, learner: LearnerView, task: Data) -> None:
        x = task.at(slice(0, 1)).x
        if not isinstance(x, Tensor) or not x.is_floating_point():
            kind = x.dtype if isinstance(x, Tensor) else f"the fields {', '.join(x)}"
            raise DataError(f"dgr makes one input of floating-point numbers, got {kind}; use another method, as er")
        if state.generator is not None and x[0].numel() != state.generator.encoder[0]:
            raise DataError(
                f"dgr makes inputs of {state.generator.encoder[0]} numbers, as those of the first task were, got "
                f"{x[0].numel()}; use another method, as er"
            )
        for some in chunks(learner, task, CHUNK) if self.output == "sigmoid" else ():
            low, high = float(some.x.min()), float(some.x.max())
            if not 0 <= low <= high <= 1:
                raise DataError(f"dgr.output=sigmoid needs inputs in 0 … 1, got {low:g} … {high:g}; use linear")

    def begin_task(self, state: DGRState, learner: LearnerView, task: Data) -> DGRState:
        if state.generator is None:
            features, device = task.at(slice(0, 1)).x.numel(), learner.flat.theta_P.device
            return DGRState(generator=new_generator(features, self.hidden, self.latent, learner.generator, device))
        if not state.tasks:
            return state
        old = torch.tensor(classes_of(learner.objective, state.tasks), device=learner.flat.theta_P.device)
        return DGRState(
            state.tasks, reset_optimizer(state.generator), frozen_copy(state.generator), snapshot(learner), old
        )

    def loss(self, state: DGRState, step: Step, inner: Inner) -> Tensor:
        if state.previous_generator is None or state.previous_model is None:
            return inner(step)
        outputs, batch = step.learner.objective, step.batch
        with torch.no_grad():
            x_BD = sample(state.previous_generator, self.replay_batch, self.output, step.generator)
            past = torch.randint(len(state.tasks), (self.replay_batch,), generator=step.generator)
            task_B = torch.tensor(state.tasks)[past].to(batch.device)
            x = x_BD.view(-1, *batch.x.shape[1:]).to(batch.x.dtype)
            answer_BC = answers(step, state.previous_model, x, task_B)
            known_BC = torch.full_like(answer_BC, float("-inf")).index_copy_(1, state.old, answer_BC[:, state.old])
            known_BC = outputs.masked(known_BC, task_B)
        replay = step.on(Examples(x, known_BC.argmax(1), task_B))
        share = 1 / (len(state.tasks) + 1)
        if not self.distill:
            return share * inner(step) + (1 - share) * inner(replay)
        soft = softmax_distance(outputs.masked(replay.answer.float(), task_B), known_BC, self.temperature)
        return share * inner(step) + (1 - share) * soft

    def after_step(self, state: DGRState, step: Step) -> None:
        assert state.generator is not None
        parts = [(1.0, step.batch.x.flatten(1).float())]
        if state.previous_generator is not None:
            share = 1 / (len(state.tasks) + 1)
            with torch.no_grad():
                dreams_BD = sample(state.previous_generator, self.replay_batch, self.output, step.generator)
            parts = [(share, parts[0][1]), (1 - share, dreams_BD)]
        improve(state.generator, parts, self.output, self.generator_lr, step.generator)

    def end_task(self, state: DGRState, learner: LearnerView, task: Data) -> DGRState:
        number = number_of(task)
        tasks = state.tasks if number in state.tasks else [*state.tasks, number]
        return DGRState(tasks, state.generator, state.previous_generator, state.previous_model, state.old)
