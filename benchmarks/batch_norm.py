"""What re-estimated batch norm is worth: one network by the paper, tested with and without it.

    python benchmarks/batch_norm.py MANIFEST RUN [EPOCHS]

trains BCC-Net by the small recipe of the paper's settings, without re-estimation, into RUN (or
takes the run that is there), and tests its last weights on rois of the reference marks of test:
with the statistics that training left (plain evaluation); with statistics re-estimated from 12
batches of train views, dropout off; and with each batch as its own statistic.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from osteoscreen.cohort.manifest import Manifest, Split, read_manifest
from osteoscreen.cohort.slices import read_slices
from osteoscreen.cohort.views import ClassifierViews, ViewSampler
from osteoscreen.evaluation.metrics import accuracy_score, auc_scores, by_patient
from osteoscreen.networks import recalibrate_batch_norm
from osteoscreen.reproduce import read_recipes
from osteoscreen.screening.roi import RoiSettings
from osteoscreen.training.classifier import ClassifierModule
from osteoscreen.training.recipe import ClassifierRecipe
from osteoscreen.training.run import LAST, train

BATCHES = 12
FIGURES = "batch_norm.json"


def views_of(manifest: Manifest, split: Split, recipe: ClassifierRecipe) -> ClassifierViews:
    """Return the views of a split: augmented of the train split, plain of the others."""
    return ClassifierViews(
        read_slices(manifest, manifest.of(split)),
        RoiSettings(recipe.image_size, recipe.window_hu),
        mark=recipe.mark,
        augmentation=recipe.augmentation.build() if split is Split.TRAIN else None,
        fill=recipe.fill,
        seed=7,
    )


@torch.no_grad()
def figures(network: nn.Module, views: ClassifierViews) -> dict[str, object]:
    """Return accuracy and AUC of the patients, and how often each class was said."""
    batches = DataLoader(views, 64)
    scores = torch.cat([torch.softmax(network(image), dim=1) for image, _ in batches])
    truth, mean = by_patient(views.patients, np.array(views.conditions), scores.double().numpy())
    said = np.bincount(mean.argmax(axis=1), minlength=3)
    return {
        "accuracy": round(accuracy_score(truth, mean), 4),
        "auc": [round(float(area), 4) for area in auc_scores(truth, mean)],
        "said": said.tolist(),
    }


def as_in_training(network: nn.Module) -> nn.Module:
    """Let every batch norm take its statistics from the batch; dropout stays off."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.train()
    return network


def main() -> None:
    """Write the figures into the run folder, as JSON."""
    manifest, folder = read_manifest(Path(sys.argv[1])), Path(sys.argv[2])
    epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 4
    recipe = read_recipes("small").classifier.model_copy(
        update={"bn_recalibrate": 0, "epochs": epochs}
    )
    run = train(recipe, manifest, folder)
    module = ClassifierModule.load_from_checkpoint(
        folder / LAST, map_location="cpu", weights_only=False
    )
    network = module.network.eval()
    test, training = (views_of(manifest, one, recipe) for one in (Split.TEST, Split.TRAIN))
    found: dict[str, object] = {"plain": figures(network, test)}
    loader = DataLoader(training, recipe.batch, sampler=ViewSampler(BATCHES * recipe.batch))
    images: list[Tensor] = [image for image, _ in islice(loader, BATCHES)]
    recalibrate_batch_norm(network, images)
    found["re-estimated"] = figures(network, test)
    found["statistics of the batch"] = figures(as_in_training(network), test)
    found |= {"test_patients": len(set(test.patients)), "cohort_sha256": manifest.sha256,
              "run": run.record}  # fmt: skip
    (folder / FIGURES).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(folder / FIGURES)


if __name__ == "__main__":
    main()
