"""BCC-Net names the bone condition of a cropped vertebra (paper, section 2.2, Table 1, Figure 3).

A small DenseNet: a 7x7 stride-2 convolution and a max pool, four dense blocks with a transition
between each two, a global average pool and a linear layer. Within a block, each layer sees the
outputs of all layers before it. The paper's comparison networks (section 3.5, Table 5) are other
settings of the same class: ``DENSENET_1``, ``DENSENET_2`` and ``DENSENET_121``.

What the paper leaves open, and what is chosen here:

- Channels of the first convolution: 24, twice the growth, as DenseNet has it.
- Width of the 1x1 convolution inside a dense layer: 24, twice the growth, for "a smaller integer
  compared with DenseNet-121", where it is four times.
- Transition: halves the channels, rounded down, as in DenseNet-121.
- Order within a layer: convolution, batch norm, ReLU, as the caption of Table 1 says. DenseNet-121
  keeps its own order (batch norm, ReLU, convolution, and a last batch norm and ReLU before the
  global pool), without which ImageNet weights would not fit. Its first convolution is followed by
  batch norm and ReLU in both orders.
- Dropout: the paper counts convolution, batch norm and ReLU as one layer, so dropout stands after
  the three; in DenseNet-121's order it stands after the convolution, which there comes last. It
  follows the 1x1 and 3x3 layers of the dense blocks and the transitions, before their pool.
  DenseNet-121 has none by default, as the original has none on ImageNet.
- Convolutions have no bias, since batch norm follows before anything else is added to them.
- Padding keeps the size, as the output sizes of Table 1 need.
- Initial weights: Kaiming normal in the convolutions, Xavier in the linear layer, biases zero.

Dropout in training makes batch norm's running variances wrong for testing: see
``osteoscreen.networks.batch_norm``.
"""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from osteoscreen.errors import RecipeError

ConvOrder = Literal["conv-bn-relu", "bn-relu-conv"]
"""Order of convolution, batch norm and ReLU within a layer."""

SMALLEST_IMAGE = 32
"""The network halves five times; a smaller image would vanish."""


@dataclass(frozen=True)
class BCCNetConfig:
    """The shape of BCC-Net; the defaults are the paper's.

    Raises:
        RecipeError: If a setting cannot make a network.
    """

    blocks: tuple[int, int, int, int] = (1, 2, 4, 2)
    """Layers of each dense block."""
    growth: int = 12
    """Channels that each dense layer adds, the growth rate k."""
    stem: int = 24
    """Channels of the first convolution."""
    bottleneck: int = 2
    """Channels of the 1x1 convolution inside a dense layer, in units of the growth."""
    transition: float = 0.5
    """Share of the channels that a transition keeps, rounded down."""
    dropout: float = 0.4
    """Dropout rate after each convolutional layer but the first."""
    conv_order: ConvOrder = "conv-bn-relu"
    """Order of convolution, batch norm and ReLU within a layer."""
    in_channels: int = 1
    """Channels of the image; CT has one, ImageNet weights want three."""
    classes: int = 3
    """Bone conditions that the network tells apart."""
    image_size: int = 224
    """Rows and columns of the roi in training; the network itself takes any size from 32 up."""

    def __post_init__(self) -> None:
        floors = {"growth": 1, "stem": 1, "bottleneck": 1, "in_channels": 1, "classes": 2}
        for name, floor in (floors | {"image_size": SMALLEST_IMAGE}).items():
            if getattr(self, name) < floor:
                raise RecipeError(f"{name} must be at least {floor}, got {getattr(self, name)}")
        if len(self.blocks) != 4 or min(self.blocks) < 1:
            raise RecipeError(f"blocks must be four counts of at least 1, got {self.blocks}")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout must be at least 0 and below 1, got {self.dropout}")
        if not 0 < self.transition <= 1 or min(self.transition_channels) < 1:
            raise RecipeError(
                "transition must be above 0 and at most 1, and keep a channel, "
                f"got {self.transition}"
            )
        if self.conv_order not in get_args(ConvOrder):
            raise RecipeError(
                f"conv_order must be one of {get_args(ConvOrder)}, got {self.conv_order!r}"
            )

    @property
    def transition_channels(self) -> tuple[int, ...]:
        """Output channels of each of the three transitions."""
        kept, channels = [], self.stem
        for layers in self.blocks[:-1]:
            channels = int((channels + layers * self.growth) * self.transition)
            kept.append(channels)
        return tuple(kept)


BCC_NET = BCCNetConfig()
"""The paper's BCC-Net (Table 1)."""
DENSENET_1 = BCCNetConfig(blocks=(1, 1, 2, 1))
"""The smaller sibling (section 3.5, Table 5)."""
DENSENET_2 = BCCNetConfig(blocks=(2, 4, 6, 4))
"""The larger sibling (section 3.5, Table 5)."""
DENSENET_121 = BCCNetConfig(
    blocks=(6, 12, 24, 16),
    growth=32,
    stem=64,
    bottleneck=4,
    dropout=0.0,
    conv_order="bn-relu-conv",
    in_channels=3,
)
"""The original DenseNet-121 with three classes (Table 1; Huang et al. 2017, Table 1)."""


class ConvLayer(nn.Module):
    """Convolution, batch norm and ReLU in either order, with dropout at the end.

    Args:
        in_channels: Channels that come in.
        out_channels: Channels that go out.
        kernel: Kernel size, odd; the padding keeps the size.
        stride: Stride of the convolution.
        order: Order of convolution, batch norm and ReLU.
        dropout: Dropout rate; at 0 there is no dropout layer.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        order: ConvOrder,
        dropout: float,
    ) -> None:
        super().__init__()
        self.order = order
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False
        )
        self.norm = nn.BatchNorm2d(out_channels if order == "conv-bn-relu" else in_channels)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(
        self, x: Float[Tensor, "batch in_channels row column"]
    ) -> Float[Tensor, "batch out_channels new_row new_column"]:
        """Compute the layer."""
        if self.order == "conv-bn-relu":
            x = self.relu(self.norm(self.conv(x)))  # b out r/s c/s
        else:
            x = self.conv(self.relu(self.norm(x)))  # b out r/s c/s
        dropped: Tensor = self.dropout(x)
        return dropped


class DenseLayer(nn.Module):
    """A 1x1 layer, then a 3x3 layer whose output is put behind the input.

    Args:
        in_channels: Channels that come in.
        config: Growth, bottleneck, order and dropout of the network.
    """

    def __init__(self, in_channels: int, config: BCCNetConfig) -> None:
        super().__init__()
        order, dropout = config.conv_order, config.dropout
        inner = config.bottleneck * config.growth
        self.squeeze = ConvLayer(in_channels, inner, 1, order=order, dropout=dropout)
        self.grow = ConvLayer(inner, config.growth, 3, order=order, dropout=dropout)

    def forward(
        self, x: Float[Tensor, "batch in_channels row column"]
    ) -> Float[Tensor, "batch grown_channels row column"]:
        """Add ``growth`` channels."""
        return torch.cat([x, self.grow(self.squeeze(x))], dim=1)  # b in+growth r c


class Transition(nn.Module):
    """A 1x1 layer and a 2x2 average pool: fewer channels, half the size.

    Args:
        in_channels: Channels that come in.
        out_channels: Channels that go out.
        config: Order and dropout of the network.
    """

    def __init__(self, in_channels: int, out_channels: int, config: BCCNetConfig) -> None:
        super().__init__()
        self.squeeze = ConvLayer(
            in_channels, out_channels, 1, order=config.conv_order, dropout=config.dropout
        )
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2)

    def forward(
        self, x: Float[Tensor, "batch in_channels row column"]
    ) -> Float[Tensor, "batch out_channels row//2 column//2"]:
        """Halve rows and columns; an odd last row or column is left out."""
        halved: Tensor = self.pool(self.squeeze(x))  # b out r/2 c/2
        return halved


class BCCNet(nn.Module):
    """The bone-conditions-classification network; built without arguments it is the paper's.

    Args:
        config: Shape of the network.
        generator: Source of the initial weights; PyTorch's own where None.
    """

    def __init__(
        self, config: BCCNetConfig = BCC_NET, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.stem = ConvLayer(
            config.in_channels, config.stem, 7, stride=2, order="conv-bn-relu", dropout=0.0
        )
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        starts = (config.stem, *config.transition_channels)
        ends = [start + layers * config.growth for start, layers in zip(starts, config.blocks)]
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(DenseLayer(channels, config) for channels in range(start, end, config.growth))
            )
            for start, end in zip(starts, ends)
        )
        self.transitions = nn.ModuleList(
            Transition(end, start, config) for end, start in zip(ends[:-1], starts[1:])
        )
        is_normed_last = config.conv_order == "bn-relu-conv"
        self.final_norm = nn.BatchNorm2d(ends[-1]) if is_normed_last else nn.Identity()
        self.final_relu = nn.ReLU() if is_normed_last else nn.Identity()
        self.classifier = nn.Linear(ends[-1], config.classes)
        self._set_initial_weights(generator)

    @torch.no_grad()
    def _set_initial_weights(self, generator: torch.Generator | None) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        nn.init.xavier_normal_(self.classifier.weight, generator=generator)
        nn.init.zeros_(self.classifier.bias)

    def forward(
        self, images: Float[Tensor, "batch in_channels row column"]
    ) -> Float[Tensor, "batch classes"]:
        """Score the bone conditions.

        Args:
            images: Grey rois, axes (batch, channel, row, column), at least 32 rows and columns;
                the published size is 224x224.

        Returns: Logits, one a class; their softmax is ``probabilities``.

        Raises:
            ValueError: If ``images`` has other channels or is too small.
        """
        channels, smallest = self.config.in_channels, SMALLEST_IMAGE
        if images.ndim != 4 or images.shape[1] != channels or min(images.shape[2:]) < smallest:
            raise ValueError(
                f"images must have the shape (batch, {channels}, rows, columns) with at least "
                f"{smallest} rows and columns, got {tuple(images.shape)}"
            )
        x = self.pool(self.stem(images))  # b stem r/4 c/4
        x = self.blocks[0](x)  # b c r/4 c/4
        for transition, block in zip(self.transitions, self.blocks[1:]):
            x = block(transition(x))  # b c r/2 c/2
        x = self.final_relu(self.final_norm(x))
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))  # b classes
        return logits

    def probabilities(
        self, images: Float[Tensor, "batch in_channels row column"]
    ) -> Float[Tensor, "batch classes"]:
        """Give the softmax probabilities of the bone conditions.

        Args:
            images: Grey rois as ``forward`` takes them.

        Returns: Probabilities, 0 to 1, which sum to 1 over the classes.

        Raises:
            ValueError: If ``images`` has other channels or is too small.
        """
        return torch.softmax(self(images), dim=1)


def load_imagenet(network: BCCNet, path: Path) -> None:
    """Start a DenseNet-121 from ImageNet weights, all but its classifier.

    Args:
        network: Network of the shape ``DENSENET_121``; changed in place. Its classifier keeps the
            weights it has, because ImageNet's thousand classes are of no use here.
        path: State dict of torchvision's ``densenet121``, as torchvision publishes it or as its
            ``state_dict()`` names it.

    Raises:
        RecipeError: If the file holds no state dict, or one that does not fit the network.
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise RecipeError(
            f"ImageNet weights must be a PyTorch file, got {path}: {error}"
        ) from error
    if not isinstance(loaded, dict) or not all(map(torch.is_tensor, loaded.values())):
        raise RecipeError(
            f"ImageNet weights must be a dict of tensors, got another object in {path}"
        )
    weights = {_our_name(name): value for name, value in loaded.items() if "classifier" not in name}
    wanted = {
        name: value for name, value in network.state_dict().items() if "classifier" not in name
    }
    # Files from before PyTorch 0.4.1 have no batch counts, and nothing here reads them.
    needed = {name for name in wanted if not name.endswith("num_batches_tracked")}
    wrong = sorted((needed - weights.keys()) | (weights.keys() - wanted.keys()))
    wrong += [name for name in needed & weights.keys() if weights[name].shape != wanted[name].shape]
    if wrong:
        raise RecipeError(
            "ImageNet weights must fit the network, which must be DenseNet-121 with three input "
            f"channels, got {len(wrong)} tensors that do not, {wrong[0]} one of them, in {path}"
        )
    network.load_state_dict(weights, strict=False)


def _our_name(name: str) -> str:
    """Translate torchvision's name of a DenseNet tensor; other names come back as they are.

    The published file writes ``norm.1`` where torchvision's module writes ``norm1``.
    """
    dense = r"features\.denseblock(\d+)\.denselayer(\d+)\.(norm|conv)\.?([12])\.(\w+)"
    if match := re.fullmatch(dense, name):
        block, layer, kind, place, leaf = match.groups()
        part = "squeeze" if place == "1" else "grow"
        return f"blocks.{int(block) - 1}.{int(layer) - 1}.{part}.{kind}.{leaf}"
    if match := re.fullmatch(r"features\.transition(\d+)\.(norm|conv)\.(\w+)", name):
        place, kind, leaf = match.groups()
        return f"transitions.{int(place) - 1}.squeeze.{kind}.{leaf}"
    ends = {"conv0": "stem.conv", "norm0": "stem.norm", "norm5": "final_norm"}
    if match := re.fullmatch(r"features\.(conv0|norm0|norm5)\.(\w+)", name):
        return f"{ends[match[1]]}.{match[2]}"
    return name
