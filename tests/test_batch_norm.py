"""Batch norm statistics estimated anew, against averages computed without batch norm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from osteoscreen.networks import recalibrate_batch_norm


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Net(nn.Module):
    """Two normed convolutions with dropout in front of the second, weights drawn from a seed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_1, self.norm_1 = nn.Conv2d(2, 5, 3, bias=False), nn.BatchNorm2d(5)
        self.dropout = nn.Dropout(0.4)
        self.conv_2, self.norm_2 = nn.Conv2d(5, 4, 3, bias=False), nn.BatchNorm2d(4, momentum=0.3)
        rng = _seeded(0)
        for parameter in self.parameters():
            nn.init.normal_(parameter, mean=0.5, generator=rng)

    def forward(self, x: Tensor) -> Tensor:
        """Compute both layers."""
        x = self.dropout(self.norm_1(self.conv_1(x)).clamp(min=0))
        normed: Tensor = self.norm_2(self.conv_2(x))
        return normed


def _batches(count: int) -> list[Tensor]:
    rng = _seeded(1)
    return [torch.randn(6, 2, 9, 9, generator=rng) + step for step in range(count)]


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance of each channel, in double precision."""
    values = x.detach().double().transpose(0, 1).flatten(1)
    mean = values.mean(dim=1)
    return mean, (values - mean[:, None]).square().sum(dim=1) / (values.shape[1] - 1)


def _expected(network: Net, batches: list[Tensor]) -> list[Tensor]:
    """Average the batch statistics of a pass without dropout, computed without batch norm."""
    rows = []
    for batch in batches:
        x = network.conv_1(batch)
        mean, variance = _moments(x)
        count = x.numel() // x.shape[1]
        biased = variance * (count - 1) / count
        scale, shift = network.norm_1.weight[:, None, None], network.norm_1.bias[:, None, None]
        x = (x - mean[:, None, None]) / torch.sqrt(biased[:, None, None] + 1e-5) * scale + shift
        x = network.conv_2(x.clamp(min=0).float())
        rows.append([mean, variance, *_moments(x)])
    return [torch.stack(column).mean(dim=0).float() for column in zip(*rows)]


def _statistics(network: Net) -> list[Tensor]:
    return [
        statistic.clone()
        for norm in (network.norm_1, network.norm_2)
        for statistic in (norm.running_mean, norm.running_var)
        if statistic is not None
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_statistics_are_the_averages_of_dropout_free_batches(count: int) -> None:
    network, batches = Net().train(), _batches(count)
    network(torch.full((2, 2, 9, 9), 100.0))  # statistics that must be forgotten
    recalibrate_batch_norm(network, batches)
    for got, expected in zip(_statistics(network), _expected(network, batches)):
        assert_close(got, expected, rtol=1e-4, atol=1e-5)  # float32 sums of 294 values


def test_dropout_in_training_leaves_a_larger_variance_than_recalibration() -> None:
    network, batches = Net().train(), _batches(3)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(2)
        for batch in batches * 20:
            network(batch)
    trained = _statistics(network)[3]
    recalibrate_batch_norm(network, batches)
    assert (trained > 1.2 * _statistics(network)[3]).all()


def test_one_batch_recalibrated_evaluates_as_it_trains_without_dropout() -> None:
    network, (batch,) = Net().eval(), _batches(1)
    recalibrate_batch_norm(network, [batch])
    evaluated = network(batch)
    network.dropout.p = 0.0
    # The running variance is unbiased, the batch's own is not: 1/294 apart.
    assert_close(evaluated, network.train()(batch), rtol=0.01, atol=0.05)


def test_flags_momenta_and_weights_come_back_as_they_were() -> None:
    network = Net().train()
    network.norm_1.eval()  # a frozen batch norm
    weights = {name: value.clone() for name, value in network.named_parameters()}
    recalibrate_batch_norm(network, _batches(2))
    assert [layer.training for layer in network.children()] == [True, False, True, True, True]
    assert (network.norm_1.momentum, network.norm_2.momentum) == (0.1, 0.3)
    for name, value in network.named_parameters():
        assert_close(value, weights[name], rtol=0, atol=0)
        assert value.requires_grad
        assert value.grad is None


def test_flags_and_momenta_come_back_when_a_batch_fails() -> None:
    network = Net().train()
    with pytest.raises(RuntimeError, match="channels"):
        recalibrate_batch_norm(network, [torch.zeros(1, 7, 9, 9)])
    assert all(layer.training for layer in network.modules())
    assert (network.norm_1.momentum, network.norm_2.momentum) == (0.1, 0.3)


def test_no_batch_is_an_error_that_changes_nothing() -> None:
    network = Net().train()
    network(_batches(1)[0])
    before = _statistics(network)
    with pytest.raises(ValueError, match="at least one batch, got none"):
        recalibrate_batch_norm(network, [])
    for got, expected in zip(_statistics(network), before):
        assert_close(got, expected, rtol=0, atol=0)


def test_a_generator_of_batches_is_used_whole() -> None:
    def draw() -> Iterator[Tensor]:
        yield from _batches(3)

    network, listed = Net(), Net()
    recalibrate_batch_norm(network, draw())
    recalibrate_batch_norm(listed, _batches(3))
    assert network.norm_1.num_batches_tracked == torch.tensor(3)
    for got, expected in zip(_statistics(network), _statistics(listed)):
        assert_close(got, expected, rtol=0, atol=0)


def test_a_network_without_running_statistics_is_left_alone() -> None:
    norm = nn.BatchNorm2d(3, track_running_stats=False)
    recalibrate_batch_norm(nn.Sequential(nn.Conv2d(2, 3, 1), norm), _batches(1))
    assert norm.training
    assert norm.running_mean is None
