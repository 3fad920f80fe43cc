"""LevelNet in training: cross-entropy over the places, AdamW, one cycle of the learning rate."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from osteoscreen.bundle import PLACES
from osteoscreen.networks import LevelNet, LevelNetConfig
from osteoscreen.training.recipe import LevelRecipe

SMOOTHING = 0.05
"""Share of the target that is spread over all places: a slice through a disc shows two."""


class LevelModule(lightning.LightningModule):
    """LevelNet with its loss.

    Args:
        recipe: The recipe, as a dictionary, so that a checkpoint carries it.
    """

    def __init__(self, recipe: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.recipe = LevelRecipe.model_validate(recipe)
        self.network = build_leveller(self.recipe)
        self._right: list[Tensor] = []

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        """Loss of one batch."""
        view, place = batch
        loss = nn.functional.cross_entropy(self.network(view), place, label_smoothing=SMOOTHING)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        """Collect which slices are placed right."""
        view, place = batch
        self._right.append(self.network(view).argmax(dim=1) == place)

    def on_validation_epoch_end(self) -> None:
        """Log the share of slices whose place is right."""
        right = torch.cat(self._right).double()
        self._right.clear()
        self.log("validation_score", right.mean(), prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW; the rate rises and falls once over the whole training."""
        recipe = self.recipe
        optimizer = AdamW(
            self.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        steps = recipe.epochs * (recipe.views_per_epoch // recipe.batch)
        schedule = OneCycleLR(optimizer, recipe.learning_rate, total_steps=max(steps, 2))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def build_leveller(recipe: LevelRecipe) -> LevelNet:
    """Build LevelNet with the recipe's shape and seed."""
    config = LevelNetConfig(
        classes=len(PLACES),
        width=recipe.width,
        image_size=recipe.image_size,
        dropout=recipe.dropout,
    )
    return LevelNet(config, generator=torch.Generator().manual_seed(recipe.seed))
