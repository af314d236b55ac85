"""One model per task: nothing is forgotten, nothing is shared, and everything is stored T times."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from lifelong.methods.base import Claim, LearnerView, Method, StreamSize
from lifelong.methods.inference import number_of
from lifelong.models import headed
from lifelong.types import Data, Tree

__all__ = ["Independent", "IndependentState"]


@dataclass
class IndependentState:
    """The finished models, per task: its number, the weights θ, the buffers, and how many outputs it knew (0: all)."""

    tasks: list[int] = field(default_factory=list)
    theta_P: list[Tensor] = field(default_factory=list)
    buffers: list[dict[str, Tensor]] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Independent(Method[IndependentState]):
    """Train one model per task from the random initialisation, and keep them all.

    Chinese: 每个任务从随机初始化训练一个模型，全部保留。

    Formula: θ_t = argmin L_t(θ) from θ⁰; task t is answered by θ_t, the latest where it was
    learned again; a task not yet learned by θ⁰.

    Stores: T · 4 · P bytes for P float32 parameters, and as often the buffers. Needs the number of the task at test in
    *every* scenario, which the scenarios `domain` and `class` deny to all other methods: in these it is an oracle.

    Reference: Lopez-Paz & Ranzato 2017, Gradient Episodic Memory, section 5.1 ("independent").

    Deviations: the paper gives each predictor 1/T of the hidden units; here each has the full network.

    Example:
        >>> from lifelong import Independent, Learner, stream
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", Independent(), digits.space, epochs=5, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.5
        True
    """

    name = "independent"
    family = "bounds"
    reference = "Lopez-Paz & Ranzato 2017"
    state_class = IndependentState
    needs = ("task boundaries", "task number at test")
    claims = Claim.RESETS_WEIGHTS

    def declared_bytes(self, size: StreamSize) -> int:
        return size.tasks * (4 * size.parameters + size.buffers + 16)

    def begin_task(self, state: IndependentState, learner: LearnerView, task: Data) -> IndependentState:
        learner.restart()
        return state

    def end_task(self, state: IndependentState, learner: LearnerView, task: Data) -> IndependentState:
        number = number_of(task)
        if number in state.tasks:  # learned anew: the later model takes the place of the earlier one
            place = state.tasks.index(number)
            for kept in (state.tasks, state.theta_P, state.buffers, state.outputs):
                del kept[place]
        state.tasks.append(number)
        state.theta_P.append(learner.flat.theta_P.detach().clone())
        state.buffers.append({name: value.clone() for name, value in learner.model.named_buffers()})
        network = headed(learner.model)
        grows = network is not None and network.head.grows
        mixed = learner.objective.name == "mixed" and not grows  # each target has its outputs from the start
        state.outputs.append(0 if mixed else learner.objective.count)
        learner.restart()
        return state

    def predict(self, state: IndependentState, learner: LearnerView, x: Tree, task: int) -> Tensor:
        if task not in state.tasks:
            return super().predict(state, learner, x, task)
        place = state.tasks.index(task)
        weights = learner.flat.named(state.theta_P[place])
        answer = learner.flat.call(learner.model, {**weights, **state.buffers[place]}, x)
        if 0 < state.outputs[place] < answer.shape[-1]:  # outputs that came later
            answer[..., state.outputs[place] :] = float("-inf")
        return answer

    def parameters(self, state: IndependentState) -> int:
        return sum(len(theta_P) for theta_P in state.theta_P)
