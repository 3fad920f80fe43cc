"""LevelNet names the level that an axial slice shows, from the slice around the marked vertebra.

It is no part of the paper, whose slices come with their level. A small convolutional network sees
the slice at a coarse pixel spacing, so that ribs, kidneys, iliac crests and sacrum count and not
the grain of the bone: the slice in two windows, for lungs and fat and for bone, and MS-Net's two
marks. Its answers for one slice are weak; ``osteoscreen.screening.levels`` joins those of a series.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from osteoscreen.errors import RecipeError

IN_CHANNELS = 4
"""Soft tissue window, bone window, mark of the vertebra, mark of the body."""
GREY_MAX = 255.0
SMALLEST_IMAGE = 32
"""Four halvings leave two pixels."""


@dataclass(frozen=True)
class LevelNetConfig:
    """The shape of LevelNet.

    Raises:
        RecipeError: If a setting cannot make a network.
    """

    classes: int = 11
    """Places along the body that it tells apart."""
    width: int = 16
    """Channels of the first layers; the last ones have four times as many."""
    image_size: int = 112
    """Rows and columns of its input."""
    dropout: float = 0.2
    """Share of the pooled features that are dropped in training."""

    def __post_init__(self) -> None:
        for name in ("classes", "width"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.image_size < SMALLEST_IMAGE:
            raise RecipeError(
                f"image_size must be at least {SMALLEST_IMAGE}, got {self.image_size}"
            )
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout must be at least 0 and below 1, got {self.dropout}")


class LevelNet(nn.Module):
    """Seven 3x3 convolutions, four of them halving, then mean and maximum over the image.

    Args:
        config: Shape of the network.
        generator: Source of the initial weights; PyTorch's own where None.
    """

    def __init__(
        self, config: LevelNetConfig | None = None, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config or LevelNetConfig()
        w = self.config.width
        self.features = nn.Sequential(
            _layer(IN_CHANNELS, w, stride=2),
            _layer(w, w),
            _layer(w, 2 * w, stride=2),
            _layer(2 * w, 2 * w),
            _layer(2 * w, 4 * w, stride=2),
            _layer(4 * w, 4 * w),
            _layer(4 * w, 4 * w, stride=2),
        )
        self.dropout = nn.Dropout(self.config.dropout)
        self.head = nn.Linear(8 * w, self.config.classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Float[Tensor, "batch 4 size size"]) -> Float[Tensor, "batch classes"]:
        """Rate the places.

        Args:
            images: Grey 0..255 and marks 0..255, axes (batch, channel, row, column).

        Returns: Logits, one a place.

        Raises:
            ValueError: If ``images`` has another shape than the network was built for.
        """
        size = self.config.image_size
        if images.ndim != 4 or tuple(images.shape[1:]) != (IN_CHANNELS, size, size):
            raise ValueError(
                f"images must have the shape (batch, {IN_CHANNELS}, {size}, {size}), "
                f"got {tuple(images.shape)}"
            )
        found = self.features(images / GREY_MAX)  # b 4w size/16 size/16
        pooled = torch.cat([found.mean((2, 3)), found.amax((2, 3))], dim=1)  # b 8w
        logits: Tensor = self.head(self.dropout(pooled))  # b classes
        return logits


def _layer(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
    )
