"""A convolutional network with BatchNorm."""

from torch import nn

from lifelong import Space


def convolutions(space: Space) -> nn.Module:
    """Two convolutions with BatchNorm, and one linear layer; the weights follow the seed of the run."""
    channels, height, width = space.input_shape or (1, 8, 8)
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * (height // 2) * (width // 2), space.classes or 10),
    )
