"""Batch norm's running statistics, estimated anew without dropout.

Dropout keeps the mean of what it drops but raises its variance. A batch norm behind it learns the
raised variance in training and meets the true one in testing, so that the network's outputs are
wrong by a factor a layer (Li et al., "Understanding the Disharmony between Dropout and Batch
Normalization by Variance Shift", CVPR 2019). Estimating the statistics once more, with dropout off
and the weights as they are, mends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm
"""The layers that keep running statistics of batches."""


@torch.no_grad()
def recalibrate_batch_norm(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Estimate the running statistics of every batch norm anew, with dropout off.

    The new statistics are the plain averages, over the batches, of each batch's mean and unbiased
    variance; batches count alike whatever their size. No weight changes. Training flags and
    momenta come back as they were, also when a batch fails.

    Args:
        network: Network with any number of batch norms; changed in place.
        batches: Inputs of the network, on its device. About a dozen training batches are enough.

    Raises:
        ValueError: If there is no batch; the statistics then stay as they were.
    """
    norms = [
        layer
        for layer in network.modules()
        if isinstance(layer, BatchNorm) and layer.track_running_stats
    ]
    remaining = iter(batches)
    first = next(remaining, None)
    if first is None:
        raise ValueError("batch norm statistics need at least one batch, got none")
    with _only_training(network, norms):
        for norm in norms:
            norm.reset_running_stats()
        for batch in chain([first], remaining):
            network(batch)


@contextmanager
def _only_training(network: nn.Module, norms: list[BatchNorm]) -> Iterator[None]:
    """Let the batch norms average every batch alike, all else being in evaluation mode."""
    flags = [(layer, layer.training) for layer in network.modules()]
    momenta = [(norm, norm.momentum) for norm in norms]
    try:
        network.eval()
        for norm in norms:
            norm.training = True
            norm.momentum = None
        yield
    finally:
        for norm, momentum in momenta:
            norm.momentum = momentum
        for layer, flag in flags:
            layer.training = flag
