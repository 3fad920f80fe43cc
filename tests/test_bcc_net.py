"""BCC-Net against Table 1 of the paper, its siblings against MONAI's DenseNet-121."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from monai.networks.nets.densenet import DenseNet121
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it
from torch.testing import assert_close

from osteoscreen.errors import RecipeError
from osteoscreen.networks import (
    DENSENET_1,
    DENSENET_2,
    DENSENET_121,
    BCCNet,
    BCCNetConfig,
    load_imagenet,
)
from osteoscreen.networks.bcc_net import ConvLayer, DenseLayer, Transition

PAPER = BCCNetConfig()
SIBLINGS = {
    "BCC-Net": PAPER,
    "DenseNet-1": DENSENET_1,
    "DenseNet-2": DENSENET_2,
    "DenseNet-121": DENSENET_121,
}
DOC = Path(__file__).parents[1] / "docs" / "networks.md"


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _grey(batch: int = 2, *, channels: int = 1, size: int = 64, seed: int = 0) -> Tensor:
    return torch.rand(batch, channels, size, size, generator=_seeded(seed)) * 255


def _trained(config: BCCNetConfig = PAPER, *, seed: int = 1) -> BCCNet:
    """Build a network whose running statistics and batch norm weights are no longer the first."""
    network = BCCNet(config, generator=_seeded(seed))
    rng = _seeded(seed)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.weight, 0.5, 1.5, generator=rng)
                nn.init.normal_(layer.bias, std=0.3, generator=rng)
                layer.momentum = None
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
        network(_grey(8, channels=config.in_channels, seed=seed))
    return network.eval()


def _weightless(config: BCCNetConfig) -> BCCNet:
    with torch.device("meta"):
        return BCCNet(config)


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _stages(network: BCCNet) -> list[nn.Module]:
    """Give the rows of Table 1 in order; a transition has two rows and appears with both parts."""
    stages: list[nn.Module] = [network.stem, network.pool, network.blocks[0]]
    for transition, block in zip(network.transitions, network.blocks[1:]):
        assert isinstance(transition, Transition)
        stages += [transition.squeeze, transition.pool, block]
    return stages


def _stage_shapes(config: BCCNetConfig, size: int) -> list[tuple[int, ...]]:
    network, shapes = _weightless(config), []
    for stage in _stages(network):
        stage.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape[1:])))
    network(torch.empty(1, config.in_channels, size, size, device="meta"))
    return shapes


def _macs(config: BCCNetConfig) -> int:
    """Count multiplications of one 224x224 roi from the shapes that pass the layers."""
    network, counts = _weightless(config), []

    def count(layer: nn.Module, _: tuple[Tensor], output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        counts.append(layer.weight.numel() * output.shape[2:].numel())

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    network(torch.empty(1, config.in_channels, 224, 224, device="meta"))
    return sum(counts)


def _doc_rows(heading: str) -> list[list[str]]:
    """Read the cells of the first table below a heading, without its own heading."""
    section = DOC.read_text("utf-8").split(f"\n{heading}\n")[1].split("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("config", SIBLINGS.values(), ids=SIBLINGS)
def test_every_stage_has_the_output_size_of_table_1(config: BCCNetConfig) -> None:
    sizes = [shape[1:] for shape in _stage_shapes(config, 224)]
    expected = [112, 56, 56, 56, 28, 28, 28, 14, 14, 14, 7, 7]
    assert sizes == [(size, size) for size in expected]


@pytest.mark.parametrize(
    ("name", "blocks", "growth"),
    [
        ("BCC-Net", (1, 2, 4, 2), 12),
        ("DenseNet-1", (1, 1, 2, 1), 12),
        ("DenseNet-2", (2, 4, 6, 4), 12),
        ("DenseNet-121", (6, 12, 24, 16), 32),
    ],
)
def test_every_sibling_has_its_published_blocks_and_growth(
    name: str, blocks: tuple[int, ...], growth: int
) -> None:
    network = _weightless(SIBLINGS[name])
    counts = []
    for block in network.blocks:
        layers = [layer for layer in block.modules() if isinstance(layer, DenseLayer)]
        counts.append(len(layers))
        assert {layer.grow.conv.out_channels for layer in layers} == {growth}
    assert tuple(counts) == blocks


def test_every_convolution_of_bcc_net_has_its_shape() -> None:
    convs = [
        (m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0], m.padding[0])
        for m in _weightless(PAPER).modules()
        if isinstance(m, nn.Conv2d)
    ]
    inputs = [[24], [18, 30], [21, 33, 45, 57], [34, 46]]
    dense = [
        conv
        for block in inputs
        for channels in block
        for conv in ((channels, 24, 1, 1, 0), (24, 12, 3, 1, 1))
    ]
    transitions = [(36, 18, 1, 1, 0), (42, 21, 1, 1, 0), (69, 34, 1, 1, 0)]
    assert convs == [(1, 24, 7, 2, 3), *dense, *transitions]


def test_pools_and_classifier_are_those_of_table_1() -> None:
    network = _weightless(PAPER)
    pool = network.pool
    assert (pool.kernel_size, pool.stride, pool.padding) == (3, 2, 1)
    for transition in network.transitions:
        assert isinstance(transition, Transition)
        assert (transition.pool.kernel_size, transition.pool.stride) == (2, 2)
    assert (network.classifier.in_features, network.classifier.out_features) == (58, 3)


def test_dropout_follows_every_convolution_but_the_first() -> None:
    network = _weightless(PAPER)
    layers = {
        name: layer for name, layer in network.named_modules() if isinstance(layer, ConvLayer)
    }
    convs = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert len(layers) == len(convs) == 1 + 2 * 9 + 3
    for name, layer in layers.items():
        if name == "stem":
            assert isinstance(layer.dropout, nn.Identity)
        else:
            assert isinstance(layer.dropout, nn.Dropout)
            assert layer.dropout.p == pytest.approx(0.4)
    dropouts = [layer for layer in network.modules() if isinstance(layer, nn.Dropout)]
    assert len(dropouts) == len(convs) - 1


@pytest.mark.parametrize("order", ["conv-bn-relu", "bn-relu-conv"])
def test_two_fifths_of_a_layers_output_are_dropped_last_in_training(order: str) -> None:
    config = BCCNetConfig(conv_order=order)  # type: ignore[arg-type] # a parametrised literal
    layer = BCCNet(config, generator=_seeded(0)).blocks[0].get_submodule("0.grow").train()
    assert isinstance(layer, ConvLayer)
    before: list[Tensor] = []
    layer.dropout.register_forward_pre_hook(lambda _, inputs: before.append(inputs[0]))
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        after = layer(torch.randn(8, 24, 32, 32))
    alive = before[0] != 0
    dropped = (after[alive] == 0).double().mean()
    assert dropped == pytest.approx(0.4, abs=0.01)  # five deviations of 49,000 draws are 0.011
    kept = after[alive] != 0
    assert_close(after[alive][kept], before[0][alive][kept] / 0.6)
    is_activated_last = bool((before[0] >= 0).all())
    assert is_activated_last == (order == "conv-bn-relu")


def test_dropout_zero_leaves_no_dropout_layer() -> None:
    network = _weightless(BCCNetConfig(dropout=0.0))
    assert not any(isinstance(layer, nn.Dropout) for layer in network.modules())


@pytest.mark.parametrize("config", SIBLINGS.values(), ids=SIBLINGS)
def test_no_layer_normalises_a_single_image(config: BCCNetConfig) -> None:
    banned = nn.GroupNorm | nn.LayerNorm | nn.InstanceNorm2d | nn.LocalResponseNorm
    assert not any(isinstance(layer, banned) for layer in _weightless(config).modules())


@pytest.mark.parametrize("config", SIBLINGS.values(), ids=SIBLINGS)
def test_every_convolution_has_a_batch_norm_and_no_bias(config: BCCNetConfig) -> None:
    layers = [m for m in _weightless(config).modules() if isinstance(m, ConvLayer)]
    for layer in layers:
        convs_first = layer.order == "conv-bn-relu"
        channels = layer.conv.out_channels if convs_first else layer.conv.in_channels
        assert layer.norm.num_features == channels
        assert layer.conv.bias is None


def test_bcc_net_has_36791_parameters() -> None:
    assert _parameters(_weightless(PAPER)) == 36_791


@pytest.mark.parametrize(
    ("name", "parameters", "mmac"),
    [
        ("DenseNet-1", 19_055, 31.0),
        ("BCC-Net", 36_791, 36.0),
        ("DenseNet-2", 75_849, 59.4),
        ("DenseNet-121", 6_956_931, 2833.1),
    ],
)
def test_siblings_have_their_known_parameters_and_multiplications(
    name: str, parameters: int, mmac: float
) -> None:
    assert _parameters(_weightless(SIBLINGS[name])) == parameters
    assert _macs(SIBLINGS[name]) / 1e6 == pytest.approx(mmac, abs=0.06)


def test_bcc_net_equals_table_1_written_without_modules() -> None:
    network, images = _trained(), _grey(size=96)
    state = network.state_dict()

    def layer(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = state[f"{name}.conv.weight"]
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        mean, variance, scale, shift = (
            state[f"{name}.norm.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        normed: Tensor = (x - mean) / torch.sqrt(variance + 1e-5) * scale + shift
        return normed.clamp(min=0)

    x = F.max_pool2d(layer(images, "stem", 2), 3, 2, 1)
    for block, count in enumerate((1, 2, 4, 2)):
        if block:
            x = layer(x, f"transitions.{block - 1}.squeeze")
            x = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
        for place in range(count):
            name = f"blocks.{block}.{place}"
            x = torch.cat([x, layer(layer(x, f"{name}.squeeze"), f"{name}.grow")], dim=1)
    pooled = x.flatten(2).sum(dim=2) / (x.shape[2] * x.shape[3])
    expected = pooled @ state["classifier.weight"].T + state["classifier.bias"]
    with torch.no_grad():
        # float32 sums in another order through 22 convolutions
        assert_close(network(images), expected, rtol=1e-4, atol=1e-4)


def _monai_name(name: str) -> str:
    """Translate MONAI's name of a DenseNet-121 tensor into torchvision's."""
    return name.replace(".layers.", ".").replace("class_layers.out", "classifier")


def _densenet_121(seed: int = 3) -> DenseNet121:
    """Build MONAI's DenseNet-121 with statistics and batch norm weights drawn from a seed."""
    oracle = DenseNet121(spatial_dims=2, in_channels=3, out_channels=3)
    rng = _seeded(seed)
    for layer in oracle.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight.data, layer.running_var):
                assert tensor is not None
                tensor.uniform_(0.5, 1.5, generator=rng)
            for tensor in (layer.bias.data, layer.running_mean):
                assert tensor is not None
                tensor.normal_(std=0.2, generator=rng)
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5, generator=rng)
    return oracle.eval()


def _imagenet_file(path: Path, oracle: nn.Module, *, is_published: bool) -> Path:
    """Write a state dict with torchvision's names and a classifier of a thousand classes."""
    state = {_monai_name(name): value for name, value in oracle.state_dict().items()}
    state["classifier.weight"], state["classifier.bias"] = torch.ones(1000, 1024), torch.ones(1000)
    if is_published:  # as in torchvision's file: norm.1 for norm1, and no batch counts
        state = {
            re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): value
            for name, value in state.items()
            if not name.endswith("num_batches_tracked")
        }
    torch.save(state, path)
    return path


@pytest.mark.parametrize("is_published", [True, False])
def test_densenet_121_with_loaded_weights_equals_monais(
    tmp_path: Path, *, is_published: bool
) -> None:
    oracle, network = _densenet_121(), BCCNet(DENSENET_121, generator=_seeded(4)).eval()
    assert _parameters(network) == _parameters(oracle)
    before = network.classifier.weight.detach().clone()
    path = _imagenet_file(tmp_path / "densenet121.pth", oracle, is_published=is_published)
    load_imagenet(network, path)
    assert_close(network.classifier.weight, before, rtol=0, atol=0)
    network.classifier.load_state_dict(oracle.get_submodule("class_layers.out").state_dict())
    images = _grey(2, channels=3, size=96) / 255
    with torch.no_grad():
        expected = oracle(images)
        assert expected.abs().max() > 1e-3
        assert_close(network(images), expected, rtol=1e-4, atol=1e-5)  # same sums, same order


def test_every_tensor_but_the_classifier_comes_from_the_file(tmp_path: Path) -> None:
    oracle, network = _densenet_121(), BCCNet(DENSENET_121, generator=_seeded(4))
    load_imagenet(network, _imagenet_file(tmp_path / "w.pth", oracle, is_published=False))
    loaded = [v for n, v in network.state_dict().items() if "classifier" not in n]
    published = [v for n, v in oracle.state_dict().items() if "class_layers" not in n]
    key = [float(value.double().sum()) for value in loaded]
    assert sorted(key) == pytest.approx(sorted(float(v.double().sum()) for v in published))


@pytest.mark.parametrize(
    "config",
    [PAPER, BCCNetConfig(**{**vars(DENSENET_121), "in_channels": 1})],
    ids=["BCC-Net", "one channel"],
)
def test_imagenet_weights_of_another_network_are_an_error(
    tmp_path: Path, config: BCCNetConfig
) -> None:
    path = _imagenet_file(tmp_path / "w.pth", _densenet_121(), is_published=True)
    with pytest.raises(RecipeError, match=r"must be DenseNet-121 .* got \d+ tensors .*w\.pth"):
        load_imagenet(_weightless(config), path)


def test_an_unknown_tensor_among_imagenet_weights_is_an_error(tmp_path: Path) -> None:
    path = _imagenet_file(tmp_path / "w.pth", _densenet_121(), is_published=False)
    torch.save(torch.load(path) | {"layer4.conv.weight": torch.ones(1)}, path)
    with pytest.raises(RecipeError, match=r"got 1 tensors that do not, layer4\.conv\.weight one"):
        load_imagenet(_weightless(DENSENET_121), path)


def test_a_file_without_a_state_dict_is_an_error(tmp_path: Path) -> None:
    network, path = _weightless(DENSENET_121), tmp_path / "weights.pth"
    with pytest.raises(RecipeError, match=r"must be a PyTorch file, got .*weights\.pth"):
        load_imagenet(network, path)
    for junk in (b"", b"no weights at all", bytes(200)):
        path.write_bytes(junk)
        with pytest.raises(RecipeError, match=r"must be a PyTorch file, got .*weights\.pth"):
            load_imagenet(network, path)
    for another in (torch.ones(3), {"epoch": 3}):
        torch.save(another, path)
        with pytest.raises(RecipeError, match=r"must be a dict of tensors, got .*weights\.pth"):
            load_imagenet(network, path)


def test_probabilities_are_the_softmax_of_the_logits() -> None:
    network, images = _trained(), _grey(4)
    with torch.no_grad():
        logits, probabilities = network(images), network.probabilities(images)
    assert logits.shape == probabilities.shape == (4, 3)
    powers = logits.double().exp()
    expected = (powers / powers.sum(dim=1, keepdim=True)).float()
    assert_close(probabilities, expected)


@pytest.mark.parametrize("size", [32, 112, 113, 224])
def test_other_image_sizes_are_scored_too(size: int) -> None:
    assert _weightless(PAPER)(torch.empty(2, 1, size, size, device="meta")).shape == (2, 3)


def test_an_image_is_scored_alike_alone_and_in_a_batch() -> None:
    network, images = _trained(), _grey(4)
    with torch.no_grad():
        alone = torch.cat([network(image[None]) for image in images])
        assert_close(alone, network(images), rtol=1e-4, atol=1e-4)  # another order of sums


def test_fifty_hounsfield_units_more_change_the_scores() -> None:
    network, images = _trained(), _grey()
    grey_of_50_hu = 50 / 1200 * 255  # in a window of 1200 HU
    with torch.no_grad():
        change = network(images + grey_of_50_hu) - network(images)
    assert change.abs().max() > 0.01


def test_the_same_generator_seed_makes_the_same_network() -> None:
    images = _grey()
    with torch.no_grad():
        first, again, other = (BCCNet(generator=_seeded(seed)).eval()(images) for seed in (7, 7, 8))
    assert_close(first, again, rtol=0, atol=0)
    assert (first - other).abs().max() > 1e-3


@pytest.mark.parametrize("order", ["conv-bn-relu", "bn-relu-conv"])
def test_a_training_step_moves_every_weight(order: str) -> None:
    config = BCCNetConfig(conv_order=order)  # type: ignore[arg-type] # a parametrised literal
    network = BCCNet(config, generator=_seeded(5)).train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        logits = network(_grey(8))
    F.cross_entropy(logits, torch.arange(8) % 3).backward()  # type: ignore[no-untyped-call] # torch
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    "shape", [(1, 64, 64), (1, 3, 64, 64), (1, 1, 31, 64), (1, 1, 64, 31)], ids=str
)
def test_another_shape_than_the_network_takes_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"32 rows and columns, got {shape}")):
        _weightless(PAPER)(torch.empty(shape, device="meta"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"blocks": (1, 2, 4)}, r"four counts of at least 1, got \(1, 2, 4\)"),
        ({"blocks": (1, 0, 4, 2)}, r"four counts of at least 1, got \(1, 0, 4, 2\)"),
        ({"growth": 0}, "growth must be at least 1, got 0"),
        ({"stem": 0}, "stem must be at least 1, got 0"),
        ({"bottleneck": 0}, "bottleneck must be at least 1, got 0"),
        ({"in_channels": 0}, "in_channels must be at least 1, got 0"),
        ({"classes": 1}, "classes must be at least 2, got 1"),
        ({"image_size": 16}, "image_size must be at least 32, got 16"),
        ({"transition": 0}, "transition must be above 0 .* got 0"),
        ({"transition": 1.5}, r"transition must be above 0 .* got 1\.5"),
        ({"transition": 0.02}, r"keep a channel, got 0\.02"),
        ({"dropout": 1}, "dropout must be at least 0 and below 1, got 1"),
        ({"dropout": -0.1}, r"dropout must be at least 0 and below 1, got -0\.1"),
        ({"conv_order": "relu-conv"}, "conv_order must be one of .* got 'relu-conv'"),
    ],
)
def test_a_setting_that_makes_no_network_is_an_error(
    settings: dict[str, int], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        BCCNetConfig(**settings)  # type: ignore[arg-type] # wrong values are the point


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
@pytest.mark.filterwarnings("ignore::FutureWarning")  # PyTorch's exporter copies its own old types
def test_onnx_runtime_scores_as_pytorch_does_at_any_batch(tmp_path: Path) -> None:
    network, path = _trained(), tmp_path / "classifier.onnx"
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
        (logits,) = session.run(None, {"images": images.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(logits, network(images).numpy(), rtol=0, atol=1e-5)


def test_the_documented_layers_are_the_built_ones() -> None:
    rows = _doc_rows("### Layers of BCC-Net and its siblings")
    columns: list[list[tuple[tuple[int, ...], int]]] = []
    for config in SIBLINGS.values():
        stages = _stages(_weightless(config))
        columns.append(list(zip(_stage_shapes(config, 224), map(_parameters, stages))))
    assert len(rows) == len(columns[0]) + 1
    for i, row in enumerate(rows[:-1]):
        for cell, column in zip(row[2:], columns):
            shape, parameters = column[i]
            assert row[1] == f"{shape[1]}x{shape[2]}", row
            assert cell == (f"{shape[0]}; {parameters:,}" if parameters else f"{shape[0]}"), row
    for cell, config in zip(rows[-1][2:], SIBLINGS.values()):
        network = _weightless(config)
        head = _parameters(network.final_norm) + _parameters(network.classifier)
        assert cell == f"3; {head:,}"


def test_the_documented_sizes_of_the_siblings_are_the_built_ones() -> None:
    rows = _doc_rows("### Size of BCC-Net and its siblings")
    assert [row[0] for row in rows] == list(SIBLINGS)
    for name, blocks, growth, parameters, mmac in rows:
        config = SIBLINGS[name]
        assert tuple(map(int, blocks.split("-"))) == config.blocks
        assert int(growth) == config.growth
        assert int(parameters.replace(",", "")) == _parameters(_weightless(config))
        assert mmac == f"{_macs(config) / 1e6:,.1f}"
