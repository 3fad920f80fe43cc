"""MS-Net marks the lumbar vertebra in an axial CT slice (paper, section 2.1 and Figure 2).

The encoder halves the slice with 4x4 stride-2 convolutions until one value a channel is left; the
decoder doubles it back with as many 4x4 stride-2 deconvolutions; each encoder layer but the last
is joined to the decoder layer of its size. A 1x1 convolution and a sigmoid give the marks. The
depth follows the image size: the paper's 512 makes nine layers each way and eight skip
connections; 256 makes eight and seven, without one of the layers of ``8 * width`` channels.

What the paper leaves open, and what is chosen here:

- The count of deconvolutions: the text says eight, its list (six of 512 channels, then 256, 128,
  64) makes nine. Nine, because eight would stop at 256x256.
- The output layer: a 1x1 convolution and a sigmoid, so that the listed 64 channels stay.
- Skip connections: concatenation, as in U-Net; what is joined are activated values.
- Batch norm: after every convolution and deconvolution, the first one included, because the grey
  values run to 255 and the first skip connection would else drown the decoder values beside it.
  None at the 1x1 level, where one image alone would give each channel a single value. None in the
  output layer.
- Decoder activation: ReLU, as in pix2pix, whose U-Net shares the encoder's kernel and slope.
- Padding 1 (halves and doubles exactly); no dropout; a bias only where no batch norm follows.
- Initial weights: Kaiming normal for the fan-in that each layer really has, Xavier in the output
  layer, biases zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from osteoscreen.errors import RecipeError

KERNEL = 4
"""Kernel size of every convolution and deconvolution (section 2.1)."""
STRIDE = 2
"""Stride of every convolution and deconvolution (section 2.1)."""
PADDING = 1
"""The padding with which a 4x4 stride-2 layer halves, and its deconvolution doubles, exactly."""
FIRST_MULTIPLES = (1, 2, 4)
"""Channels of the first three encoder layers in units of the width: 64, 128, 256 (section 2.1)."""
DEEP_MULTIPLE = 8
"""Channels of every deeper encoder layer in units of the width: 512 (section 2.1)."""
SMALLEST_IMAGE, LARGEST_IMAGE = 64, 1024
"""Image sizes that make sense: below, a vertebra is a few pixels; above, no CT is stored."""


@dataclass(frozen=True)
class MSNetConfig:
    """The shape of MS-Net; the defaults are the paper's.

    Raises:
        RecipeError: If a setting cannot make a network.
    """

    width: int = 64
    """Channels of the first encoder layer; all other layers are multiples of it."""
    marks: int = 1
    """Marks that the network draws, each with its own sigmoid; the paper draws one."""
    image_size: int = 512
    """Rows and columns of a slice, a power of two; the depth of the network follows from it."""
    in_channels: int = 1
    """Channels of a slice; CT has one."""
    slope: float = 0.2
    """Slope of the encoder's leaky ReLU for negative values."""

    def __post_init__(self) -> None:
        for name in ("width", "marks", "in_channels"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} must be at least 1, got {getattr(self, name)}")
        size = self.image_size
        if not SMALLEST_IMAGE <= size <= LARGEST_IMAGE or size.bit_count() != 1:
            raise RecipeError(
                f"image_size must be a power of two from {SMALLEST_IMAGE} to {LARGEST_IMAGE}, "
                f"got {size}"
            )
        if not 0 <= self.slope < 1:
            raise RecipeError(f"slope must be at least 0 and below 1, got {self.slope}")

    @property
    def depth(self) -> int:
        """Convolutions that halve the image to 1x1: nine for 512."""
        return self.image_size.bit_length() - 1

    @property
    def encoder_channels(self) -> tuple[int, ...]:
        """Output channels of each encoder layer, from the image to 1x1."""
        deep = (DEEP_MULTIPLE,) * (self.depth - len(FIRST_MULTIPLES))
        return tuple(self.width * multiple for multiple in FIRST_MULTIPLES + deep)

    @property
    def decoder_channels(self) -> tuple[int, ...]:
        """Output channels of each decoder layer, from 1x1 to the image, without what is joined."""
        return self.encoder_channels[::-1]


PAPER = MSNetConfig()
"""The paper's MS-Net."""


class EncoderLayer(nn.Module):
    """Convolution, batch norm where the layer has it, and leaky ReLU: half the size.

    Args:
        in_channels: Channels that come in.
        out_channels: Channels that go out.
        slope: Slope of the leaky ReLU for negative values.
        is_normed: Whether batch norm follows the convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, slope: float, is_normed: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, KERNEL, STRIDE, PADDING, bias=not is_normed
        )
        self.norm = nn.BatchNorm2d(out_channels) if is_normed else nn.Identity()
        self.activation = nn.LeakyReLU(slope)

    def forward(
        self, x: Float[Tensor, "batch in_channels row column"]
    ) -> Float[Tensor, "batch out_channels row//2 column//2"]:
        """Halve rows and columns."""
        halved: Tensor = self.activation(self.norm(self.conv(x)))  # b out r/2 c/2
        return halved


class DecoderLayer(nn.Module):
    """Deconvolution, batch norm and ReLU: twice the size.

    Args:
        in_channels: Channels that come in, those of the skip connection included.
        out_channels: Channels that go out.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(
            in_channels, out_channels, KERNEL, STRIDE, PADDING, bias=False
        )
        self.norm = nn.BatchNorm2d(out_channels)
        self.activation = nn.ReLU()

    def forward(
        self, x: Float[Tensor, "batch in_channels row column"]
    ) -> Float[Tensor, "batch out_channels 2*row 2*column"]:
        """Double rows and columns."""
        doubled: Tensor = self.activation(self.norm(self.deconv(x)))  # b out 2r 2c
        return doubled


class MSNet(nn.Module):
    """The mark-segmentation network; built without arguments it is the paper's.

    Args:
        config: Shape of the network.
        generator: Source of the initial weights; PyTorch's own where None.
    """

    def __init__(
        self, config: MSNetConfig = PAPER, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config
        down, up = config.encoder_channels, config.decoder_channels
        self.encoder = nn.ModuleList(
            EncoderLayer(before, after, slope=config.slope, is_normed=level < config.depth)
            for level, (before, after) in enumerate(pairwise((config.in_channels, *down)), start=1)
        )
        joined = (0, *down[-2::-1])  # nothing joins the 1x1 level, each other layer its mirror
        self.decoder = nn.ModuleList(
            DecoderLayer(before + skip, after)
            for before, skip, after in zip((down[-1], *up[:-1]), joined, up)
        )
        self.head = nn.Conv2d(up[-1], config.marks, kernel_size=1)
        self._set_initial_weights(generator)

    @torch.no_grad()
    def _set_initial_weights(self, generator: torch.Generator | None) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.ConvTranspose2d):
                # An output pixel meets (kernel / stride)^2 taps; PyTorch's fan counts all sixteen.
                fan_in = layer.in_channels * (KERNEL // STRIDE) ** 2
                nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_in), generator=generator)
            elif isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, a=self.config.slope, generator=generator)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        nn.init.xavier_normal_(self.head.weight, generator=generator)

    def logits(
        self, images: Float[Tensor, "batch in_channels size size"]
    ) -> Float[Tensor, "batch marks size size"]:
        """Draw the marks as they are before the sigmoid, for losses that are stable on logits.

        Args:
            images: Grey slices, axes (batch, channel, row, column), of the configured size.

        Returns: One real number a mark and pixel; above 0 where the mark is likelier than not.

        Raises:
            ValueError: If ``images`` has another shape than the network was built for.
        """
        size = self.config.image_size
        wanted = (self.config.in_channels, size, size)
        if images.ndim != 4 or tuple(images.shape[1:]) != wanted:
            raise ValueError(
                f"images must have the shape (batch, {wanted[0]}, {size}, {size}), "
                f"got {tuple(images.shape)}"
            )
        skips: list[Tensor] = []
        x = images
        for encode in self.encoder:
            x = encode(x)  # b c r/2 c/2
            skips.append(x)
        skips.pop()
        x = self.decoder[0](x)  # b 8w 2 2
        for decode in self.decoder[1:]:
            x = decode(torch.cat([x, skips.pop()], dim=1))  # b c 2r 2c
        logits: Tensor = self.head(x)  # b marks size size
        return logits

    def forward(
        self, images: Float[Tensor, "batch in_channels size size"]
    ) -> Float[Tensor, "batch marks size size"]:
        """Draw the marks.

        Args:
            images: Grey slices, axes (batch, channel, row, column), of the configured size.

        Returns: Probability, 0 to 1, that a pixel belongs to the mark, one channel a mark.

        Raises:
            ValueError: If ``images`` has another shape than the network was built for.
        """
        return torch.sigmoid(self.logits(images))
