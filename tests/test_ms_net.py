"""MS-Net against section 2.1 of the paper, its own equations and ONNX Runtime."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it
from torch.testing import assert_close

from osteoscreen.errors import RecipeError
from osteoscreen.networks import MSNet, MSNetConfig
from osteoscreen.networks.ms_net import DecoderLayer, EncoderLayer

PAPER_CHANNELS = (64, 128, 256, 512, 512, 512, 512, 512, 512)
DOC = Path(__file__).parents[1] / "docs" / "networks.md"
SMALL = MSNetConfig(width=4, image_size=64)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _grey(batch: int = 2, *, seed: int = 0) -> Tensor:
    return torch.rand(batch, 1, 64, 64, generator=_seeded(seed)) * 255


def _small(seed: int = 1, config: MSNetConfig = SMALL) -> MSNet:
    """Build a small network whose running statistics have met grey slices."""
    network = MSNet(config, generator=_seeded(seed))
    with torch.no_grad():
        for step in range(20):
            network(_grey(seed=step))
    return network.eval()


def _weightless(config: MSNetConfig) -> MSNet:
    with torch.device("meta"):
        return MSNet(config)


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _macs(config: MSNetConfig) -> int:
    """Count multiplications of one slice from the shapes that pass the layers."""
    network, counts = _weightless(config), []

    def count(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        places = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        counts.append(layer.weight.numel() * places.shape[2] * places.shape[3])

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(count)
    network(torch.empty(1, config.in_channels, config.image_size, config.image_size, device="meta"))
    return sum(counts)


def _doc_rows(heading: str) -> list[list[str]]:
    """Read the cells of the first table below a heading, without its own heading."""
    section = DOC.read_text("utf-8").split(f"\n{heading}\n")[1].split("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_encoder_has_the_nine_published_convolutions() -> None:
    encoder = _weightless(MSNetConfig()).encoder
    assert len(encoder) == 9
    for layer, before, after in zip(encoder, (1, *PAPER_CHANNELS), PAPER_CHANNELS):
        assert isinstance(layer, EncoderLayer)
        conv = layer.conv
        assert (conv.in_channels, conv.out_channels) == (before, after)
        assert (conv.kernel_size, conv.stride, conv.padding) == ((4, 4), (2, 2), (1, 1))
        assert layer.activation.negative_slope == pytest.approx(0.2)


def test_the_decoder_has_nine_deconvolutions_with_the_published_channels() -> None:
    decoder = _weightless(MSNetConfig()).decoder
    assert len(decoder) == 9
    befores = (512, 1024, 1024, 1024, 1024, 1024, 512 + 256, 256 + 128, 128 + 64)
    afters = (512, 512, 512, 512, 512, 512, 256, 128, 64)
    for layer, before, after in zip(decoder, befores, afters):
        assert isinstance(layer, DecoderLayer)
        deconv = layer.deconv
        assert (deconv.in_channels, deconv.out_channels) == (before, after)
        assert (deconv.kernel_size, deconv.stride, deconv.padding) == ((4, 4), (2, 2), (1, 1))
        assert isinstance(layer.activation, nn.ReLU)


def test_the_head_is_a_1x1_convolution() -> None:
    head = _weightless(MSNetConfig(marks=2)).head
    assert (head.in_channels, head.out_channels, head.kernel_size) == (64, 2, (1, 1))


def test_batch_norm_follows_every_layer_but_the_1x1_level_and_the_head() -> None:
    network = _weightless(MSNetConfig())
    encoders = [isinstance(layer.norm, nn.BatchNorm2d) for layer in network.encoder]
    assert encoders == [True] * 8 + [False]
    assert all(isinstance(layer.norm, nn.BatchNorm2d) for layer in network.decoder)


def test_no_layer_normalises_a_single_image_and_none_drops_out() -> None:
    banned = nn.GroupNorm | nn.LayerNorm | nn.InstanceNorm2d | nn.LocalResponseNorm | nn.Dropout
    assert not any(isinstance(layer, banned) for layer in _weightless(MSNetConfig()).modules())


def test_a_bias_stands_only_where_no_batch_norm_follows() -> None:
    network = _weightless(MSNetConfig())
    biased = [
        name
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.bias is not None
    ]
    assert biased == ["encoder.8.conv", "head"]


def test_every_layer_halves_or_doubles_between_512_and_1() -> None:
    network, sizes = _weightless(MSNetConfig()), []
    for layer in (*network.encoder, *network.decoder):
        layer.register_forward_hook(lambda _, __, output: sizes.append(tuple(output.shape[2:])))
    marks = network(torch.empty(3, 1, 512, 512, device="meta"))
    down = [256, 128, 64, 32, 16, 8, 4, 2, 1]
    up = [2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert sizes == [(size, size) for size in down + up]
    assert marks.shape == (3, 1, 512, 512)


@pytest.mark.parametrize(("size", "depth"), [(64, 6), (128, 7), (256, 8), (512, 9), (1024, 10)])
def test_the_depth_follows_the_image_size(size: int, depth: int) -> None:
    config = MSNetConfig(width=4, image_size=size)
    network = _weightless(config)
    assert config.depth == len(network.encoder) == len(network.decoder) == depth
    assert config.encoder_channels == (4, 8, 16) + (32,) * (depth - 3)
    assert config.decoder_channels == (32,) * (depth - 3) + (16, 8, 4)
    assert network(torch.empty(1, 1, size, size, device="meta")).shape == (1, 1, size, size)


def test_each_skip_connection_carries_its_mirror_encoder_layer_unchanged() -> None:
    network = _small()
    encoded: list[Tensor] = []
    received: list[Tensor] = []
    for encode in network.encoder:
        encode.register_forward_hook(lambda _, __, output: encoded.append(output))
    for decode in network.decoder:
        decode.register_forward_pre_hook(lambda _, inputs: received.append(inputs[0]))
    with torch.no_grad():
        network(_grey())
    assert_close(received[0], encoded[-1], rtol=0, atol=0)  # nothing joins the 1x1 level
    for level in range(1, 6):
        mirror = encoded[-1 - level]
        assert_close(received[level][:, -mirror.shape[1] :], mirror, rtol=0, atol=0)


def test_every_skip_connection_reaches_the_marks() -> None:
    network, images = _small(), _grey()
    with torch.no_grad():
        usual = network.logits(images)
        for level, decode in enumerate(network.decoder[1:], start=1):
            joined = network.config.encoder_channels[-1 - level]

            def cut(_: nn.Module, inputs: tuple[Tensor], joined: int = joined) -> Tensor:
                return torch.cat(
                    [inputs[0][:, :-joined], torch.zeros_like(inputs[0][:, -joined:])], dim=1
                )

            handle = decode.register_forward_pre_hook(cut)
            change = (network.logits(images) - usual).abs().max()
            handle.remove()
            assert change > 1e-3, f"skip connection into decoder layer {level + 1}"


def test_the_network_equals_its_equations_written_without_modules() -> None:
    network, images = _small(), _grey()
    state = network.state_dict()

    def norm(x: Tensor, name: str) -> Tensor:
        mean, variance, scale, shift = (
            state[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        normed: Tensor = (x - mean) / torch.sqrt(variance + 1e-5) * scale + shift
        return normed

    x, skips = images, []
    for i in range(5):
        x = F.conv2d(x, state[f"encoder.{i}.conv.weight"], stride=2, padding=1)
        x = norm(x, f"encoder.{i}.norm")
        x = torch.maximum(x, 0.2 * x)
        skips.append(x)
    x = F.conv2d(x, state["encoder.5.conv.weight"], state["encoder.5.conv.bias"], 2, 1)
    x = torch.maximum(x, 0.2 * x)
    for i in range(6):
        x = F.conv_transpose2d(x, state[f"decoder.{i}.deconv.weight"], stride=2, padding=1)
        x = norm(x, f"decoder.{i}.norm").clamp(min=0)
        if skips:
            x = torch.cat([x, skips.pop()], dim=1)
    expected = torch.einsum("bcij,mc->bmij", x, state["head.weight"][:, :, 0, 0])
    expected = expected + state["head.bias"][:, None, None]
    with torch.no_grad():
        # Sums of float32 in another order: a few units in the last place, amplified by the depth.
        assert_close(network.logits(images), expected, rtol=1e-4, atol=1e-4)
        assert_close(network(images), 1 / (1 + torch.exp(-expected)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("width", "size", "parameters", "gmac"),
    [(64, 512, 74.0e6, 58.0), (16, 512, 4.6e6, 3.6), (64, 256, 61.4e6, 14.5)],
)
def test_the_network_has_its_known_parameters_and_multiplications(
    width: int, size: int, parameters: float, gmac: float
) -> None:
    config = MSNetConfig(width=width, image_size=size)
    assert _parameters(_weightless(config)) == pytest.approx(parameters, rel=0.01)
    assert _macs(config) / 1e9 == pytest.approx(gmac, rel=0.02)


def test_twice_the_width_makes_four_times_the_weights() -> None:
    narrow, wide = (_parameters(_weightless(MSNetConfig(width=width))) for width in (32, 64))
    assert wide / narrow == pytest.approx(4, rel=0.01)


def test_a_second_mark_changes_the_head_only() -> None:
    one = {name: value.shape for name, value in _weightless(MSNetConfig()).state_dict().items()}
    two = {
        name: value.shape for name, value in _weightless(MSNetConfig(marks=2)).state_dict().items()
    }
    assert {name for name in one | two if one.get(name) != two.get(name)} == {
        "head.weight",
        "head.bias",
    }


def test_marks_are_the_sigmoid_of_the_logits() -> None:
    network, images = _small(), _grey()
    with torch.no_grad():
        marks, logits = network(images), network.logits(images)
    assert marks.min() >= 0
    assert marks.max() <= 1
    assert_close(marks, torch.sigmoid(logits), rtol=0, atol=0)
    assert logits.min() < 0 < logits.max()


def test_an_image_is_marked_alike_alone_and_in_a_batch() -> None:
    network, images = _small(), _grey(4)
    with torch.no_grad():
        together = network.logits(images)
        alone = torch.cat([network.logits(image[None]) for image in images])
    assert_close(alone, together, rtol=1e-4, atol=1e-4)  # other batch, other order of sums


def test_fifty_hounsfield_units_more_change_the_marks() -> None:
    network, images = _small(), _grey()
    grey_of_50_hu = 50 / 1200 * 255  # in a window of 1200 HU
    with torch.no_grad():
        change = network.logits(images + grey_of_50_hu) - network.logits(images)
    assert change.abs().max() > 0.01


def test_the_same_generator_seed_makes_the_same_network() -> None:
    images = _grey()
    with torch.no_grad():
        first, again, other = (
            MSNet(SMALL, generator=_seeded(seed)).eval().logits(images) for seed in (7, 7, 8)
        )
    assert_close(first, again, rtol=0, atol=0)
    assert (first - other).abs().max() > 1e-3


def test_initial_weights_keep_the_signal_at_every_layer() -> None:
    network, ratios = MSNet(MSNetConfig(width=16, image_size=64), generator=_seeded(3)), []
    for layer in network.decoder:
        assert isinstance(layer, DecoderLayer)
        layer.deconv.register_forward_hook(
            lambda _, inputs, output: ratios.append(
                float(output.square().mean() / inputs[0].square().mean())
            )
        )
    with torch.no_grad():
        network(_grey(4))
    # He et al. 2015: the mean square of a layer's output is twice that of its input.
    assert all(1 < ratio < 4 for ratio in ratios[1:]), ratios


def test_one_slice_is_enough_for_a_training_step_that_moves_every_weight() -> None:
    network = MSNet(SMALL, generator=_seeded(5)).train()
    network.logits(_grey(1)).square().mean().backward()  # type: ignore[no-untyped-call] # PyTorch
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    "shape", [(1, 64, 64), (1, 3, 64, 64), (1, 1, 64, 32), (1, 1, 128, 128)], ids=str
)
def test_another_shape_than_the_network_was_built_for_is_an_error(shape: tuple[int, ...]) -> None:
    network = _weightless(SMALL)
    with pytest.raises(ValueError, match=re.escape(f"(batch, 1, 64, 64), got {shape}")):
        network(torch.empty(shape, device="meta"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"marks": 0}, "marks must be at least 1, got 0"),
        ({"in_channels": -1}, "in_channels must be at least 1, got -1"),
        ({"image_size": 500}, "power of two from 64 to 1024, got 500"),
        ({"image_size": 32}, "power of two from 64 to 1024, got 32"),
        ({"image_size": 2048}, "power of two from 64 to 1024, got 2048"),
        ({"slope": 1}, "slope must be at least 0 and below 1, got 1"),
        ({"slope": -0.2}, "slope must be at least 0 and below 1, got -0.2"),
    ],
)
def test_a_setting_that_makes_no_network_is_an_error(
    settings: dict[str, int], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        MSNetConfig(**settings)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
@pytest.mark.filterwarnings("ignore::FutureWarning")  # PyTorch's exporter copies its own old types
def test_onnx_runtime_marks_as_pytorch_does_at_any_batch(tmp_path: Path) -> None:
    network, path = _small(), tmp_path / "segmenter.onnx"
    program = torch.onnx.export(
        network,
        (_grey(2),),
        dynamo=True,
        dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
        verbose=False,
    )
    assert program is not None
    program.save(path)
    session = onnxruntime.InferenceSession(path)
    for batch in (1, 3):
        images = _grey(batch, seed=9)
        (marks,) = session.run(None, {"images": images.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(marks, network(images).numpy(), rtol=0, atol=1e-5)


def test_the_documented_layers_are_the_built_ones() -> None:
    rows = _doc_rows("### Layers of MS-Net")
    networks = [_weightless(MSNetConfig(width=width)) for width in (64, 16)]
    parts = [(*network.encoder, *network.decoder, network.head) for network in networks]
    sizes: list[str] = []
    for layer in parts[0]:
        layer.register_forward_hook(
            lambda _, __, output: sizes.append(f"{output.shape[2]}x{output.shape[3]}")
        )
    networks[0](torch.empty(1, 1, 512, 512, device="meta"))
    assert [row[2] for row in rows] == sizes
    for row, *layers in zip(rows, *parts):
        for layer, channels, parameters in zip(layers, row[3::2], row[4::2]):
            convs = [m for m in layer.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
            assert int(channels) == convs[0].out_channels, row
            assert int(parameters.replace(",", "")) == _parameters(layer), row


def test_the_documented_sizes_of_the_network_are_the_built_ones() -> None:
    rows = _doc_rows("### Size of MS-Net")
    assert {(row[0], row[1]) for row in rows} == {
        (width, size) for width in ("64", "16") for size in ("512x512", "256x256")
    }
    for width, size, depth, parameters, gmac in rows:
        config = MSNetConfig(width=int(width), image_size=int(size.split("x")[0]))
        assert int(depth) == config.depth
        assert int(parameters.replace(",", "")) == _parameters(_weightless(config))
        assert gmac == f"{_macs(config) / 1e9:.2f}"
