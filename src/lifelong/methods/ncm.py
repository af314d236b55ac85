"""Nearest class mean: the answer is the class whose mean is nearest."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lifelong.methods.base import LearnerView, StreamSize
from lifelong.methods.closed_form import ClassMeans, ClosedForm, chunks, feature_count, means_of, merged
from lifelong.types import Data

__all__ = ["NCM"]


@dataclass(frozen=True)
class NCM(ClosedForm[ClassMeans]):
    """Keep the mean of every class in a fixed space of features, and answer with the nearest.

    Chinese: 在固定的特征空间中记住每个类别的均值，回答最近的类别。

    Formula: logit_c(x) = −‖φ(x) − μ_c‖², μ_c = 1/N_c Σ_{y_n = c} φ(x_n). No gradient step is taken.

    Arguments:
        features: φ: `raw`, the inputs as they are; `backbone`, the network without its head, as it came; or `auto`,
            the backbone where the network may have been trained before, and raw for those named here that start at
            random.

    Stores: a count and a mean per class in float64, 8 · C · (D + 1) bytes for D features.

    Reference: Mensink et al. 2013, Distance-Based Image Classification: Generalizing to New Classes at Near-Zero Cost,
    equation 8, without the learned metric.

    Deviations: the distance is Euclidean in the features as they are; no metric is learned. In the scenario `domain`
    a class has one mean over all tasks.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import NCM
        >>> digits = stream("split-digits", scenario="class")
        >>> learner = Learner("linear", NCM(), digits.space)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> sum(learner.evaluate(digits)) / 5 > 0.85
        True
    """

    name = "ncm"
    reference = "Mensink et al. 2013"
    state_class = ClassMeans
    one_kind = True

    def declared_bytes(self, size: StreamSize) -> int:
        return 8 * size.outputs * (feature_count(size, self.features) + 1)

    def end_task(self, state: ClassMeans, learner: LearnerView, task: Data) -> ClassMeans:
        for h_BD, y_B in chunks(learner, task, self.features):
            state = merged(state, means_of(h_BD, y_B, learner.objective.count))
        return state

    def counts(self, state: ClassMeans) -> Tensor:
        return state.count_C

    def scores(self, state: ClassMeans, h_BD: Tensor) -> Tensor:
        mean_CD = state.mean_CD
        return 2 * h_BD @ mean_CD.T - mean_CD.square().sum(1) - h_BD.square().sum(1, keepdim=True)
