"""MS-Net in training: loss, optimiser and schedule of the paper (sections 2.1 and 3.2)."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from jaxtyping import Float
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from osteoscreen.networks import MSNet, MSNetConfig
from osteoscreen.training.recipe import SegmenterRecipe

MARK_THRESHOLD = 0.5
"""A pixel is marked at probability 0.5 or more (a bundle setting)."""


class SegmenterModule(lightning.LightningModule):
    """MS-Net with its loss.

    Args:
        recipe: The recipe, as a dictionary, so that a checkpoint carries it.
    """

    def __init__(self, recipe: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.recipe = SegmenterRecipe.model_validate(recipe)
        self.network = build_segmenter(self.recipe)
        self._overlap: list[Tensor] = []

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        """Loss of one batch."""
        image, target = batch
        logits = self.network.logits(image.contiguous(memory_format=torch.channels_last))
        loss = segmenter_loss(self.recipe.loss, logits, target)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        """Collect the overlap of marks and target, a channel each."""
        image, target = batch
        marked = self.network(image) >= MARK_THRESHOLD
        wanted = target >= MARK_THRESHOLD
        axes = (0, 2, 3)
        both = (marked & wanted).sum(axes)
        self._overlap.append(torch.stack([2 * both, marked.sum(axes) + wanted.sum(axes)]))

    def on_validation_epoch_end(self) -> None:
        """Log the Dice index over all pixels of the validation slices."""
        both, total = torch.stack(self._overlap).sum(dim=0).double()
        self._overlap.clear()
        dice = both / total.clamp(min=1)
        for name, value in zip(self.recipe.marks, dice):
            self.log(f"dice_{name}", value, sync_dist=True)
        self.log("validation_score", dice.mean(), prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam; the rate is fixed, then falls linearly to 0."""
        optimizer = Adam(
            self.parameters(), lr=self.recipe.learning_rate, betas=(self.recipe.beta1, 0.999)
        )
        return {"optimizer": optimizer, "lr_scheduler": LambdaLR(optimizer, self._rate)}

    def _rate(self, epoch: int) -> float:
        after = epoch + 1 - self.recipe.epochs_fixed
        return 1.0 if after <= 0 else max(0.0, 1 - after / (self.recipe.epochs_linear + 1))


def build_segmenter(recipe: SegmenterRecipe) -> MSNet:
    """Build MS-Net with the recipe's shape and seed."""
    config = MSNetConfig(width=recipe.width, marks=len(recipe.marks), image_size=recipe.image_size)
    network = MSNet(config, generator=torch.Generator().manual_seed(recipe.seed))
    # Channels last: 1.8 times faster on a CPU.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def segmenter_loss(
    name: str,
    logits: Float[Tensor, "batch marks size size"],
    target: Float[Tensor, "batch marks size size"],
) -> Float[Tensor, ""]:
    """Return the loss of a batch.

    Args:
        name: ``"mae"``, the paper's mean absolute error of the marks (section 2), or
            ``"dice_bce"``, soft Dice plus twice the binary cross-entropy, which learns faster
            because the few vertebra pixels weigh as much as the many others. Dice is that of Wang
            et al., Dice semimetric losses, MICCAI 2023: of yes and no the usual one, and smallest
            where the mark is the target also for shares in between.
        logits: MS-Net before the sigmoid.
        target: Share of each pixel that the vertebra covers, 0 to 1.
    """
    logits = logits.float()  # sums over a batch lose their digits in half precision
    marks = torch.sigmoid(logits)
    if name == "mae":
        return nn.functional.l1_loss(marks, target)
    apart = (marks - target).abs().sum((0, 2, 3))
    total = marks.sum((0, 2, 3)) + target.sum((0, 2, 3)) + 1
    cross_entropy = nn.functional.binary_cross_entropy_with_logits(logits, target)
    return (apart / total).mean() + 2 * cross_entropy
