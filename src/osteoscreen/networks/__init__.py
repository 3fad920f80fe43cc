"""MS-Net marks the vertebra, BCC-Net names its bone condition, LevelNet its level."""

from osteoscreen.networks.batch_norm import recalibrate_batch_norm
from osteoscreen.networks.bcc_net import (
    DENSENET_1,
    DENSENET_2,
    DENSENET_121,
    BCCNet,
    BCCNetConfig,
    load_imagenet,
)
from osteoscreen.networks.level_net import LevelNet, LevelNetConfig
from osteoscreen.networks.ms_net import MSNet, MSNetConfig

__all__ = [
    "DENSENET_1",
    "DENSENET_2",
    "DENSENET_121",
    "BCCNet",
    "BCCNetConfig",
    "LevelNet",
    "LevelNetConfig",
    "MSNet",
    "MSNetConfig",
    "load_imagenet",
    "recalibrate_batch_norm",
]
