"""Every random number of a learner, in four streams that are part of its saved state.

`order` shuffles the examples, `method` serves the method, `augment` changes inputs, `model` everything in the network
that draws from torch's default generators (dropout). They are apart so that two methods with one seed see the same
batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

__all__ = ["Randomness"]


class Randomness:
    """Four independent streams from one seed.

    >>> one, two = Randomness(7), Randomness(7)
    >>> _ = torch.rand(1, generator=one.method)
    >>> torch.equal(torch.randperm(5, generator=one.order), torch.randperm(5, generator=two.order))
    True
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        words = np.random.SeedSequence(seed).generate_state(4, np.uint64)
        order, method, model, augment = (int(word) for word in words)
        self.device = torch.device(device)
        self.order = torch.Generator().manual_seed(order)
        self.method = torch.Generator().manual_seed(method)
        self.augment = torch.Generator().manual_seed(augment)
        self._model = torch.Generator().manual_seed(model).get_state()
        self._live = False
        self._accelerator = Tensor()
        if self.device.type != "cpu":
            self._accelerator = torch.Generator(self.device).manual_seed(model).get_state()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Inside the block torch's default generators are this learner's; outside they are as if nothing happened."""
        outer, outer_accelerator = torch.get_rng_state(), self._get_accelerator()
        torch.set_rng_state(self._model)
        self._set_accelerator(self._accelerator)
        self._live = True
        try:
            yield
        finally:
            self._live = False
            self._model, self._accelerator = torch.get_rng_state(), self._get_accelerator()
            torch.set_rng_state(outer)
            self._set_accelerator(outer_accelerator)

    def state(self) -> dict[str, Tensor]:
        """The streams' states, also from within `inside()`."""
        model = torch.get_rng_state() if self._live else self._model
        accelerator = self._get_accelerator() if self._live else self._accelerator
        return {
            "order": self.order.get_state(),
            "method": self.method.get_state(),
            "augment": self.augment.get_state(),
            "model": model.clone(),
            "accelerator": accelerator.clone(),
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from a state that `state()` gave, on the same kind of device."""
        self.order.set_state(state["order"])
        self.method.set_state(state["method"])
        self.augment.set_state(state["augment"])
        self._model = state["model"].clone()
        if len(state["accelerator"]) == len(self._accelerator):
            self._accelerator = state["accelerator"].clone()

    def _get_accelerator(self) -> Tensor:
        if self.device.type == "cuda":
            return torch.cuda.get_rng_state(self.device)
        if self.device.type == "mps":
            return torch.mps.get_rng_state()
        return Tensor()

    def _set_accelerator(self, state: Tensor) -> None:
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state, self.device)
        elif self.device.type == "mps":
            torch.mps.set_rng_state(state)
