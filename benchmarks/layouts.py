"""Networks laid out as other programs', with random weights: what they compute, not what they say.

Only their time is compared. Every layout has the public source that it follows.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from monai.networks.nets.basic_unet import BasicUNet
from monai.networks.nets.densenet import DenseNet121
from monai.networks.nets.dynunet import DynUNet
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from osteoscreen.networks import MSNet
from osteoscreen.networks.ms_net import MSNetConfig

PATCH = 128
"""nnU-Net's patch at both resolutions, voxels along each axis."""
STEP_SHARE = 0.5
"""Patches follow each other by half a patch (nnU-Net, ``tile_step_size``)."""


RUNS = 2


@dataclass(frozen=True)
class Passes:
    """Forward passes that a program needs for a series.

    Args:
        network: With random weights.
        shape: Of one input, without the batch.
        count: Passes.
        about: Which layout it is.
    """

    network: nn.Module
    shape: tuple[int, ...]
    count: int
    about: str

    @property
    def multiply_adds(self) -> float:
        """Of one pass, in units of 10^9: two operations each, counted without computing."""
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            copy.deepcopy(self.network).to("meta").eval()(
                torch.empty(1, *self.shape, device="meta")
            )
        return counter.get_total_flops() / 2e9

    def core_seconds(self) -> float:
        """Shortest time of some passes in PyTorch on one core, the first one left out, s.

        It is time of the processor, whatever runs beside it.
        """
        torch.set_num_threads(1)
        image, network = torch.rand(1, *self.shape), self.network.eval()
        times = []
        with torch.inference_mode():
            for _ in range(RUNS + 1):
                start = time.process_time()
                network(image)
                times.append(time.process_time() - start)
        return min(times[1:])


def count_patches(extent_mm: Sequence[float], spacing_mm: float) -> int:
    """Count nnU-Net's patches over a volume (``compute_steps_for_sliding_window``)."""
    steps = [
        math.ceil(max(round(mm / spacing_mm) - PATCH, 0) / (PATCH * STEP_SHARE)) + 1
        for mm in extent_mm
    ]
    return math.prod(steps)


def nn_unet(extent_mm: Sequence[float], spacing_mm: float, classes: int, about: str) -> Passes:
    """Lay out nnU-Net's 3-D full-resolution network: six stages, 32 to 320 channels."""
    network = DynUNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=classes,
        kernel_size=[3] * 6,
        strides=[1, 2, 2, 2, 2, 2],
        upsample_kernel_size=[2] * 5,
        filters=[32, 64, 128, 256, 320, 320],
        norm_name="instance",
    )
    return Passes(network, (1, PATCH, PATCH, PATCH), count_patches(extent_mm, spacing_mm), about)


def other_layouts(extent_mm: Sequence[float], slices: int, classified: int) -> dict[str, Passes]:
    """Lay out what other programs would run over a series.

    Args:
        extent_mm: Of the volume.
        slices: Of the series.
        classified: Slices whose vertebra is classified.
    """
    return {
        "TotalSegmentator, 1.5 mm": nn_unet(
            extent_mm, 1.5, 27, "nnU-Net 3-D, one of its five networks (that of the vertebrae)"
        ),
        "TotalSegmentator, 3 mm": nn_unet(extent_mm, 3.0, 118, "nnU-Net 3-D, one for all classes"),
        "lungmask R231": Passes(
            BasicUNet(2, 1, 3, features=(64, 128, 256, 512, 1024, 64), norm="batch"),
            (1, 256, 256),
            slices,
            "2-D U-Net, five stages from 64 channels, a pass a slice",
        ),
        "DenseNet-121": Passes(
            DenseNet121(2, 1, 3), (1, 224, 224), classified, "in BCC-Net's place, a pass a roi"
        ),
    }


def ms_net_multiply_adds(width: int, marks: int, size: int) -> float:
    """Multiply-adds of MS-Net for one slice, in units of 10^9."""
    config = MSNetConfig(width=width, marks=marks, image_size=size)
    return Passes(MSNet(config), (1, size, size), 1, "MS-Net").multiply_adds
