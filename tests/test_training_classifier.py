"""BCC-Net in training: equation 1, the loss, batch norm before a validation, patients' scores."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from osteoscreen.networks import DENSENET_121, recalibrate_batch_norm
from osteoscreen.training import classifier
from osteoscreen.training.classifier import ClassifierModule, build_classifier
from osteoscreen.training.recipe import ClassifierRecipe


def _recipe(**changes: Any) -> ClassifierRecipe:  # noqa: ANN401 - settings of a recipe
    settings: dict[str, Any] = {"kind": "classifier", "image_size": 32, "batch": 4}
    return ClassifierRecipe(**(settings | changes))


def _images(count: int, seed: int = 0) -> Tensor:
    return 255 * torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(seed))


class Logged(ClassifierModule):
    """A module that keeps what it logs."""

    def __init__(self, recipe: dict[str, Any], patients: list[str] | None = None) -> None:
        super().__init__(recipe, patients or [])
        self.seen: dict[str, float] = {}

    def log(  # type: ignore[override] # the options do not matter here
        self, name: str, value: Tensor | float, **_options: object
    ) -> None:
        """Keep a value."""
        self.seen[name] = float(torch.as_tensor(value).detach())


def _configured(**changes: Any) -> tuple[torch.optim.Optimizer, dict[str, Any]]:  # noqa: ANN401 - settings
    configured: Any = ClassifierModule(_recipe(**changes).model_dump()).configure_optimizers()
    return configured["optimizer"], configured["lr_scheduler"]


def test_the_rate_follows_equation_1() -> None:
    optimizer, scheduling = _configured()
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduling["scheduler"].step()
    # 0.01 * (1 + 0.006 N) ** -0.98 for N = 0 to 3, worked out by logarithms.
    expected = [0.01 * math.exp(-0.98 * math.log(1 + 0.006 * n)) for n in range(4)]
    assert rates == pytest.approx(expected, rel=1e-12)
    assert rates[3] == pytest.approx(0.0098269, rel=1e-4)


@pytest.mark.parametrize(("lr_round", "interval"), [("iteration", "step"), ("epoch", "epoch")])
def test_n_counts_iterations_or_epochs(lr_round: str, interval: str) -> None:
    assert _configured(lr_round=lr_round)[1]["interval"] == interval


def test_the_optimiser_is_the_paper_s_sgd() -> None:
    optimizer, _ = _configured()
    assert isinstance(optimizer, torch.optim.SGD)
    (group,) = optimizer.param_groups
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.9, 0.005, False)


def test_the_loss_is_the_mean_of_the_negative_log_probabilities() -> None:
    module = Logged(_recipe(dropout=0.0).model_dump())
    images, conditions = _images(4), torch.tensor([0, 2, 1, 2])
    loss = module.training_step((images, conditions), 0)
    probabilities = module.network.probabilities(images)
    expected = (
        -sum(torch.log(probabilities[row, index]) for row, index in enumerate(conditions)) / 4
    )
    assert_close(loss, torch.as_tensor(expected))
    assert module.seen["train_loss"] == pytest.approx(float(loss.detach()))


def test_one_grey_channel_becomes_the_three_of_densenet_121() -> None:
    module = ClassifierModule(_recipe(network="densenet-121", dropout=0.0).model_dump()).eval()
    assert module.network.config.in_channels == DENSENET_121.in_channels == 3
    image = _images(2)
    module.validation_step((image, torch.tensor([0, 1])), 0)
    expected = module.network.probabilities(torch.cat([image] * 3, dim=1))
    assert_close(module._seen[0][0], expected)


def _at_validation(module: ClassifierModule, batches: list[tuple[Tensor, Tensor]] | None) -> None:
    module._trainer = SimpleNamespace(  # type: ignore[assignment] # what a validation asks of it
        train_dataloader=batches, sanity_checking=False
    )
    module.on_validation_epoch_start()


def test_batch_norm_is_re_estimated_from_so_many_batches_before_a_validation() -> None:
    recipe = _recipe(bn_recalibrate=2)
    module, twin = (ClassifierModule(recipe.model_dump()).eval() for _ in range(2))
    images = [_images(4, seed) for seed in range(3)]
    _at_validation(module, [(image, torch.zeros(4)) for image in images])
    recalibrate_batch_norm(twin.network, images[:2])
    for (name, got), wanted in zip(module.network.named_buffers(), twin.network.buffers()):
        assert_close(got, wanted, msg=name)
    assert not torch.equal(next(module.network.buffers()), next(build_classifier(recipe).buffers()))


@pytest.mark.parametrize("batches", [None, []])
def test_batch_norm_stays_when_it_is_not_to_be_re_estimated(
    batches: list[tuple[Tensor, Tensor]] | None,
) -> None:
    recipe = _recipe(bn_recalibrate=0 if batches is not None else 12)
    module = ClassifierModule(recipe.model_dump()).eval()
    _at_validation(module, batches)
    for got, wanted in zip(module.network.buffers(), build_classifier(recipe).buffers()):
        assert_close(got, wanted, rtol=0, atol=0)


def _validated(
    scores: list[list[float]], truth: list[int], patients: list[str]
) -> dict[str, float]:
    module = Logged(_recipe().model_dump(), patients)
    module._trainer = SimpleNamespace(sanity_checking=False)  # type: ignore[assignment] # as above
    module._seen = [
        (torch.tensor(scores[:2]), torch.tensor(truth[:2])),
        (torch.tensor(scores[2:]), torch.tensor(truth[2:])),
    ]
    module.on_validation_epoch_end()
    assert module._seen == []
    return module.seen


def test_the_validation_score_is_of_patients_not_of_slices() -> None:
    scores = [[0.9, 0.1, 0], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5], [0.1, 0.2, 0.7], [0.4, 0.5, 0.1]]
    seen = _validated(scores, [0, 1, 2, 2, 0], ["a", "b", "c", "c", "a"])
    # Patients: a (0.65, 0.3, 0.05), b (0.1, 0.8, 0.1), c (0.15, 0.25, 0.6): all right.
    assert seen == pytest.approx({"validation_accuracy": 1.0, "validation_score": 1.0})


def test_the_validation_score_counts_pairs_of_patients() -> None:
    rng = np.random.default_rng(2)
    scores = rng.dirichlet((1, 1, 1), 12)
    truth = [index % 3 for index in range(12)]
    seen = _validated(scores.tolist(), truth, [str(index) for index in range(12)])
    areas = []
    for index in range(3):
        own = [row[index] for row, is_class in zip(scores, truth) if is_class == index]
        rest = [row[index] for row, is_class in zip(scores, truth) if is_class != index]
        areas.append(np.mean([(a > b) + 0.5 * (a == b) for a in own for b in rest]))
    assert seen["validation_score"] == pytest.approx(np.mean(areas), abs=1e-6)  # float32 scores
    right = sum(row.argmax() == index for row, index in zip(scores, truth))
    assert seen["validation_accuracy"] == pytest.approx(right / 12)


def test_the_network_follows_the_recipe_and_its_seed() -> None:
    first, again, other = (build_classifier(_recipe(seed=seed)) for seed in (1, 1, 2))
    pairs = list(zip(first.parameters(), again.parameters(), other.parameters()))
    assert all(torch.equal(one, two) for one, two, _ in pairs)
    assert not all(torch.equal(one, three) for one, _, three in pairs)
    assert sum(parameter.numel() for parameter in first.parameters()) == 36_791
    assert build_classifier(_recipe(network="densenet-2", dropout=0.1)).config.dropout == 0.1
    assert set(classifier.NETWORKS) == {"bcc-net", "densenet-1", "densenet-2", "densenet-121"}
