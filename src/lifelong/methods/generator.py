"""A variational autoencoder as values: inputs like those it has seen, from one flat vector of weights.

The encoder maps x (D) to the mean and log-variance of a code z (Z), the decoder maps z back; both have two hidden
layers. Its loss per example, with x̂ the decoder's answer:

    KL(q(z | x) ‖ N(0, 1)) + D/2 · log(mean of (x − x̂)²)      linear: Gaussian, of the variance that fits best
    KL(q(z | x) ‖ N(0, 1)) + Σ BCE(x̂, x)                      sigmoid: Bernoulli, for inputs in 0 … 1

Reference: Kingma & Welling 2014, Auto-Encoding Variational Bayes; the variance: Rybkin et al. 2021, Simple and
Effective VAE Training with Calibrated Decoders.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.adam import adam

__all__ = [
    "Generator",
    "Likelihood",
    "frozen_copy",
    "improve",
    "new_generator",
    "reset_optimizer",
    "sample",
    "vae_loss",
    "weight_count",
]

Likelihood = Literal["linear", "sigmoid"]
#: matrix (H, D) and bias (H,)
Layer = tuple[Tensor, Tensor]


@dataclass
class Generator:
    """Layer widths, all weights in one vector, and the moments of Adam (Kingma & Ba 2015)."""

    encoder: list[int]
    decoder: list[int]
    weights: Tensor
    first: Tensor
    second: Tensor
    steps: int = 0


def new_generator(features: int, hidden: int, latent: int, random: torch.Generator, device: torch.device) -> Generator:
    """A new generator, its weights uniform in ±1/√(inputs of the layer)."""
    encoder, decoder = [features, hidden, hidden, 2 * latent], [latent, hidden, hidden, features]
    parts = [
        (2 * torch.rand(wide * narrow + narrow, generator=random) - 1) / math.sqrt(wide)
        for widths in (encoder, decoder)
        for wide, narrow in pairwise(widths)
    ]
    weights = torch.cat(parts).to(device)
    return Generator(encoder, decoder, weights, torch.zeros_like(weights), torch.zeros_like(weights))


def reset_optimizer(generator: Generator) -> Generator:
    """The same generator, the moments of Adam forgotten."""
    zeros = torch.zeros_like(generator.weights)
    return Generator(generator.encoder, generator.decoder, generator.weights, zeros, zeros.clone())


def frozen_copy(generator: Generator) -> Generator:
    """A copy that learns no more: weights without moments."""
    none = generator.weights.new_empty(0)
    return Generator(generator.encoder, generator.decoder, generator.weights.clone(), none, none.clone())


def weight_count(features: int, hidden: int, latent: int) -> int:
    """The number of weights."""
    return _size([features, hidden, hidden, 2 * latent]) + _size([latent, hidden, hidden, features])


def sample(generator: Generator, count: int, likelihood: Likelihood, random: torch.Generator) -> Tensor:
    """`count` inputs (count, D): the decoder's answers to z ~ N(0, 1), drawn on the CPU."""
    z_BZ = torch.randn(count, generator.decoder[0], generator=random).to(generator.weights.device)
    x_BD = _through(_layers(generator, generator.weights)[1], z_BZ)
    return x_BD.sigmoid() if likelihood == "sigmoid" else x_BD


def vae_loss(
    generator: Generator, weights: Tensor, x_BD: Tensor, likelihood: Likelihood, random: torch.Generator
) -> Tensor:
    """The loss of `weights` on a batch, the mean over its examples."""
    return _weighted_loss(_layers(generator, weights), [(1.0, x_BD)], likelihood, random)


def improve(
    generator: Generator,
    parts: list[tuple[float, Tensor]],
    likelihood: Likelihood,
    lr: float,
    random: torch.Generator,
) -> None:
    """One step of Adam, in place, on the weighted sum of the losses of batches: `parts` are (weight, x (B, D))."""
    # matrices and biases are leaves of their own: the gradient of a slice of one long vector is as long as the vector
    encoder, decoder = _layers(generator, generator.weights)
    leaves = [(weight.requires_grad_(), bias.requires_grad_()) for weight, bias in (*encoder, *decoder)]
    flat = [value for layer in leaves for value in layer]
    with torch.enable_grad():
        halves = leaves[: len(encoder)], leaves[len(encoder) :]
        grads = torch.autograd.grad(_weighted_loss(halves, parts, likelihood, random), flat)
    done = torch.full((len(flat),), float(generator.steps), device=generator.weights.device)
    generator.steps += 1
    moments = [
        [value for half in _layers(generator, moment) for layer in half for value in layer]
        for moment in (generator.first, generator.second)
    ]
    with torch.no_grad():
        adam(
            flat,
            list(grads),
            *moments,
            max_exp_avg_sqs=[],
            state_steps=list(done.unbind()),
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=lr,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


def _size(widths: list[int]) -> int:
    return sum(wide * narrow + narrow for wide, narrow in pairwise(widths))


def _layers(generator: Generator, vector: Tensor) -> tuple[list[Layer], list[Layer]]:
    """`vector`, as long as all weights, as views: matrix and bias of each layer of the encoder and of the decoder."""
    pairs = [*pairwise(generator.encoder), *pairwise(generator.decoder)]
    pieces = iter(vector.split([part for wide, narrow in pairs for part in (wide * narrow, narrow)]))
    layers = [(next(pieces).view(narrow, wide), next(pieces)) for wide, narrow in pairs]
    depth = len(generator.encoder) - 1
    return layers[:depth], layers[depth:]


def _through(layers: list[Layer], x: Tensor) -> Tensor:
    """`x` through linear layers with ReLU between them."""
    for place, (matrix, bias) in enumerate(layers):
        x = F.linear(x if place == 0 else x.relu(), matrix, bias)
    return x


def _weighted_loss(
    halves: tuple[list[Layer], list[Layer]],
    parts: list[tuple[float, Tensor]],
    likelihood: Likelihood,
    random: torch.Generator,
) -> Tensor:
    """Σ share · loss over the batches of `parts`, which go through the layers together."""
    encoder, decoder = halves
    sizes = [len(x_BD) for _, x_BD in parts]
    all_BD = torch.cat([x_BD for _, x_BD in parts]) if len(parts) > 1 else parts[0][1]
    mean_BZ, log_variance_BZ = _through(encoder, all_BD).chunk(2, dim=1)
    noise_BZ = torch.cat([torch.randn(size, mean_BZ.shape[1], generator=random) for size in sizes]).to(mean_BZ)
    answer_BD = _through(decoder, mean_BZ + (0.5 * log_variance_BZ).exp() * noise_BZ)
    kl_B = 0.5 * (mean_BZ.square() + log_variance_BZ.exp() - log_variance_BZ - 1).sum(1)
    pieces = zip(parts, kl_B.split(sizes), answer_BD.split(sizes), strict=True)
    losses = [share * (kl.mean() + _misfit(answer, x_BD, likelihood)) for (share, x_BD), kl, answer in pieces]
    return torch.stack(losses).sum()


def _misfit(answer_BD: Tensor, x_BD: Tensor, likelihood: Likelihood) -> Tensor:
    """−log p(x | z) up to a constant, the mean over the batch."""
    if likelihood == "sigmoid":
        return F.binary_cross_entropy_with_logits(answer_BD, x_BD, reduction="sum") / len(x_BD)
    return 0.5 * x_BD.shape[1] * F.mse_loss(answer_BD, x_BD).clamp_min(1e-6).log()
