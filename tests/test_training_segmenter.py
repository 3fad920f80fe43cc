"""MS-Net in training: losses by hand, the rate of every epoch, the score of a validation."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from osteoscreen.training.recipe import SegmenterRecipe
from osteoscreen.training.segmenter import SegmenterModule, build_segmenter, segmenter_loss


def _recipe(**changes: Any) -> SegmenterRecipe:  # noqa: ANN401 - settings of a recipe
    settings: dict[str, Any] = {"kind": "segmenter", "width": 2, "image_size": 64, "batch": 2}
    return SegmenterRecipe(**(settings | changes))


def _rates(recipe: SegmenterRecipe) -> list[float]:
    """The rate that the optimiser really has in each epoch."""
    configured = SegmenterModule(recipe.model_dump()).configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]
    assert isinstance(scheduler, torch.optim.lr_scheduler.LambdaLR)
    rates = []
    for _ in range(recipe.epochs_fixed + recipe.epochs_linear):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_the_rate_is_fixed_and_then_falls_in_equal_steps_to_zero() -> None:
    # Three epochs at the full rate; the next two are a third apart, and the one after is 0.
    rates = _rates(_recipe(learning_rate=0.3, epochs_fixed=3, epochs_linear=2))
    assert rates == pytest.approx([0.3, 0.3, 0.3, 0.2, 0.1])


def test_the_paper_s_rate_is_half_in_the_middle_of_its_fall() -> None:
    rates = _rates(_recipe())
    assert rates[:100] == pytest.approx([0.002] * 100)
    assert rates[125] == pytest.approx(0.002 * (1 - 26 / 51))
    assert rates[149] == pytest.approx(0.002 / 51)
    assert len(rates) == 150


def test_a_training_without_a_fall_keeps_its_rate() -> None:
    assert _rates(_recipe(epochs_fixed=3, epochs_linear=0)) == pytest.approx([0.002] * 3)


def test_the_optimiser_is_adam_with_the_paper_s_momentum() -> None:
    optimizer = SegmenterModule(_recipe().model_dump()).configure_optimizers()["optimizer"]
    assert isinstance(optimizer, torch.optim.Adam)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)


def test_the_mean_absolute_error_is_that_of_the_marks() -> None:
    # Marks 0.5, 0.75 and 0.9 against 0, 1 and 1: (0.5 + 0.25 + 0.1 + 0.5) / 4.
    logits = torch.tensor([0, math.log(3), math.log(9), 0]).view(1, 1, 2, 2)
    target = torch.tensor([0.0, 1, 1, 1]).view(1, 1, 2, 2)
    assert_close(segmenter_loss("mae", logits, target), torch.tensor(1.35 / 4))


def test_dice_and_cross_entropy_by_hand() -> None:
    # Marks 0.5 and 0.75, target 0 and 1: Dice (2 * 0.75 + 1) / (1.25 + 1 + 1),
    # cross-entropy (ln 2 + ln 4/3) / 2.
    logits = torch.tensor([0, math.log(3)]).view(1, 1, 1, 2)
    target = torch.tensor([0.0, 1]).view(1, 1, 1, 2)
    expected = (1 - 2.5 / 3.25) + (math.log(2) + math.log(4 / 3))
    assert_close(segmenter_loss("dice_bce", logits, target), torch.tensor(expected))


@pytest.mark.parametrize("name", ["mae", "dice_bce"])
def test_the_loss_of_a_perfect_mark_vanishes(name: str) -> None:
    target = (torch.rand(2, 2, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    logits = 40 * (2 * target - 1)
    assert_close(segmenter_loss(name, logits, target), torch.tensor(0.0), rtol=0, atol=1e-6)
    assert segmenter_loss(name, -logits, target) > 0.9


def test_dice_of_yes_and_no_is_the_usual_one() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn((2, 3, 8, 8), generator=generator)
    target = (torch.rand((2, 3, 8, 8), generator=generator) > 0.7).float()
    marks, axes = torch.sigmoid(logits), (0, 2, 3)
    overlap = 2 * (marks * target).sum(axes) + 1
    soft = (1 - overlap / (marks.sum(axes) + target.sum(axes) + 1)).mean()
    cross_entropy = torch.nn.functional.binary_cross_entropy(marks, target)
    assert_close(segmenter_loss("dice_bce", logits, target), soft + 2 * cross_entropy)


def test_the_loss_is_smallest_where_the_mark_is_the_share_that_is_covered() -> None:
    target = torch.tensor([0.3, 1.0, 0.0, 0.8]).view(1, 1, 2, 2)
    best = segmenter_loss("dice_bce", torch.logit(target, eps=1e-6), target)
    for shift in (-1.0, -0.2, 0.2, 1.0):
        moved = torch.logit(target, eps=1e-6)
        moved[0, 0, 0, 0] += shift
        assert segmenter_loss("dice_bce", moved, target) > best


def test_dice_of_a_channel_without_a_mark_is_defined() -> None:
    loss = segmenter_loss("dice_bce", torch.full((1, 1, 4, 4), -40.0), torch.zeros(1, 1, 4, 4))
    assert_close(loss, torch.tensor(0.0), rtol=0, atol=1e-6)


def test_the_network_follows_the_recipe_and_its_seed() -> None:
    first, again, other = (build_segmenter(_recipe(seed=seed)) for seed in (1, 1, 2))
    marks = build_segmenter(_recipe(marks=("vertebra", "body"), width=3))
    assert (first.config.width, first.config.marks, first.config.image_size) == (2, 1, 64)
    assert (marks.config.width, marks.config.marks) == (3, 2)
    pairs = list(zip(first.parameters(), again.parameters(), other.parameters()))
    assert all(torch.equal(one, two) for one, two, _ in pairs)
    assert not all(torch.equal(one, three) for one, _, three in pairs)


class Logged(SegmenterModule):
    """A module that keeps what it logs."""

    def __init__(self, recipe: dict[str, Any]) -> None:
        super().__init__(recipe)
        self.seen: dict[str, float] = {}

    def log(  # type: ignore[override] # the options do not matter here
        self, name: str, value: Tensor | float, **_options: object
    ) -> None:
        """Keep a value."""
        self.seen[name] = float(torch.as_tensor(value).detach())


def test_the_validation_score_is_the_dice_of_all_pixels() -> None:
    module = Logged(_recipe(marks=("vertebra", "body")).model_dump()).eval()
    rng = torch.Generator().manual_seed(1)
    batches = [
        (255 * torch.rand(2, 1, 64, 64, generator=rng),
         (torch.rand(2, 2, 64, 64, generator=rng) > 0.7).float())
        for _ in range(2)
    ]  # fmt: skip
    with torch.no_grad():
        for batch in batches:
            module.validation_step(batch, 0)
        marks = torch.cat([module.network(image) for image, _ in batches]) >= 0.5
    module.on_validation_epoch_end()
    target = torch.cat([wanted for _, wanted in batches]) == 1
    dice = []
    for channel in range(2):
        both = int((marks[:, channel] & target[:, channel]).sum())
        dice.append(2 * both / int(marks[:, channel].sum() + target[:, channel].sum()))
    assert module.seen == pytest.approx(
        {"dice_vertebra": dice[0], "dice_body": dice[1], "validation_score": sum(dice) / 2}
    )
