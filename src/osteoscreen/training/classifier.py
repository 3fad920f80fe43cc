"""BCC-Net in training: loss, optimiser and schedule of the paper (section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR

from osteoscreen.evaluation.metrics import accuracy_score, auc_scores, by_patient
from osteoscreen.networks import (
    DENSENET_1,
    DENSENET_2,
    DENSENET_121,
    BCCNet,
    BCCNetConfig,
    load_imagenet,
    recalibrate_batch_norm,
)
from osteoscreen.training.recipe import ClassifierRecipe

NETWORKS = {
    "bcc-net": BCCNetConfig(),
    "densenet-1": DENSENET_1,
    "densenet-2": DENSENET_2,
    "densenet-121": DENSENET_121,
}


class ClassifierModule(lightning.LightningModule):
    """BCC-Net with its loss.

    Args:
        recipe: The recipe, as a dictionary, so that a checkpoint carries it.
        patients: Patient of every validation slice, in order.
    """

    def __init__(self, recipe: dict[str, Any], patients: Sequence[str] = ()) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.recipe = ClassifierRecipe.model_validate(recipe)
        self.network = build_classifier(self.recipe)
        self._patients = list(patients)
        self._seen: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        """Softmax cross-entropy of one batch (the paper's softmax loss, section 2)."""
        image, condition = batch
        loss = nn.functional.cross_entropy(self.network(self._channels(image)), condition)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Re-estimate batch norm with dropout off: without it the published setting collapses."""
        loader = self.trainer.train_dataloader
        if self.recipe.bn_recalibrate and loader is not None and not self.trainer.sanity_checking:
            batches = islice(loader, self.recipe.bn_recalibrate)
            recalibrate_batch_norm(
                self.network, (self._channels(image.to(self.device)) for image, _ in batches)
            )

    def validation_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        """Collect the probabilities of one batch."""
        image, condition = batch
        self._seen.append((self.network.probabilities(self._channels(image)), condition))

    def on_validation_epoch_end(self) -> None:
        """Log patient-level macro AUC and accuracy (the mean softmax of a patient's slices)."""
        scores = torch.cat([score for score, _ in self._seen]).double().cpu()
        truth = torch.cat([condition for _, condition in self._seen]).cpu()
        self._seen.clear()
        if self.trainer.sanity_checking:
            return
        wanted, mean = by_patient(self._patients, truth.numpy(), scores.numpy())
        self.log("validation_accuracy", accuracy_score(wanted, mean), sync_dist=True)
        area = float(auc_scores(wanted, mean).mean())
        self.log("validation_score", area, prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """SGD; the rate follows equation 1."""
        recipe = self.recipe
        optimizer = SGD(
            self.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        scheduler = LambdaLR(optimizer, lambda n: (1 + recipe.lr_gamma * n) ** -recipe.lr_alpha)
        interval = "step" if recipe.lr_round == "iteration" else "epoch"
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": interval},
        }

    def _channels(self, image: Tensor) -> Tensor:
        """Repeat the grey channel where the network wants three."""
        return image.expand(-1, self.network.config.in_channels, -1, -1)


def build_classifier(recipe: ClassifierRecipe) -> BCCNet:
    """Build the recipe's network with its seed and, where given, ImageNet weights."""
    config = replace(NETWORKS[recipe.network], dropout=recipe.dropout, image_size=recipe.image_size)
    network = BCCNet(config, generator=torch.Generator().manual_seed(recipe.seed))
    if recipe.initial_weights:
        load_imagenet(network, Path(recipe.initial_weights))
    return network
