"""The networks that can be named on the command line, and how a name becomes one.

| name | network |
|---|---|
| `linear` | one linear layer |
| `mlp:400,400` | hidden layers of these sizes with ReLU |
| `cnn`, `cnn:32,64` | per number a 3×3 convolution, ReLU and 2×2 max-pooling; then a hidden layer of 128 |
| `memn2n`, `memn2n:50,3` | for questions about stories: a memory network; size of its embeddings, hops |
| `gru`, `gru:50,100` | for questions about stories: a recurrent network; size of its embeddings, of its state |
| `transformer:64,2` | for sequences of tokens: width, layers; causal where the target is `Tokens`, else mean-pooled |
| `lstm:64` | for sequences of tokens: width; a state per position where the target is `Tokens`, else their mean |

Where tasks differ in their inputs (`Space.kinds`), `mlp` and `cnn` have an encoder for each kind of input: linear,
for tokens the mean of their embeddings, and in `cnn` for images the convolutions. The layers named after `mlp:` (one of
128 for `cnn`) are shared by all. Where tasks differ in their targets, each target has its own outputs from the start.

Weights begin as PyTorch's layers do; `@xavier` at the end (`mlp:100,100@xavier`) draws them from N(0, 2 / (in + out)),
biases 0 (Glorot & Bengio 2010, equation 12), the head's too where it does not grow. `memn2n` and `gru` have ways of
their own to begin.

`package.module:function`, or the name of an entry point `lifelong.models`, is a function (or a module's class) of your
own that makes the network: see `from_factory`.
"""

from __future__ import annotations

import copy
import itertools
import math
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.errors import SettingError, require, unknown_name
from lifelong.models.gru import GRU
from lifelong.models.head import Head, headed
from lifelong.models.kinds import Encoders
from lifelong.models.memn2n import MemN2N
from lifelong.models.per_task import per_task_parts
from lifelong.models.sequences import LSTM, Transformer
from lifelong.plugins import find, required_arguments
from lifelong.types import DEFAULT_HEAD, Field, HeadKind, InputKind, Space, Tokens, input_kind

__all__ = [
    "Network",
    "announce",
    "build",
    "cnn",
    "cut_head",
    "factory_of",
    "from_factory",
    "linear",
    "mlp",
    "named_plainly",
    "reader",
    "sequence",
    "with_head",
    "with_outputs",
]

NAMES = ("mlp", "linear", "cnn", "memn2n", "gru", "transformer", "lstm")


class Network(nn.Module):
    """A backbone that gives features, and a head that gives one logit per class: `head(backbone(x))`."""

    def __init__(self, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        #: the outputs that inputs of each kind are answered with, where these differ; else {}
        self.columns: dict[InputKind, list[slice]] = {}
        #: whether the backbone begins at random, so that its features say less than the inputs do
        self.untrained = False

    def forward(self, x: Tensor) -> Tensor:
        logits_BC: Tensor = self.head(self.backbone(x))
        if self.columns:
            logits_BC = torch.cat([logits_BC[:, part] for part in self.columns[input_kind(x)]], 1)
        return logits_BC


def announce(model: nn.Module, task: int, outputs: int) -> bool:
    """Make room for task number `task` and for `outputs` classes in all; whether the parameters are others now."""
    changed = [part.grow(task) for part in per_task_parts(model)]
    network = headed(model)
    return (network is not None and network.head.grows and network.head.grow(outputs)) or any(changed)


def with_outputs(model: nn.Module, outputs: int) -> nn.Module:
    """`model`, which has a `Head`, as it answers with `outputs` classes; it shares all else, and is unchanged."""
    twin, head = copy.copy(model), copy.deepcopy(model.get_submodule("head"))
    assert isinstance(head, Head)
    head.grow(outputs)
    twin._modules = {**model._modules, "head": head}
    return twin


def mlp(features: int, hidden: tuple[int, ...]) -> tuple[nn.Module, int]:
    """A stack of linear layers with ReLU, and the number of features it gives.

    >>> backbone, width = mlp(64, (32, 16))
    >>> backbone(torch.zeros(2, 1, 8, 8)).shape, width
    (torch.Size([2, 16]), 16)
    """
    layers: list[nn.Module] = [nn.Flatten()]
    for wide, narrow in itertools.pairwise((features, *hidden)):
        layers += [nn.Linear(wide, narrow), nn.ReLU()]
    return nn.Sequential(*layers), (features, *hidden)[-1]


def linear(features: int) -> tuple[nn.Module, int]:
    """No hidden layer at all: the head alone."""
    return mlp(features, ())


def cnn(shape: tuple[int, ...], channels: tuple[int, ...] = (32, 64)) -> tuple[nn.Module, int]:
    """Convolutions with pooling and one hidden layer of 128, for images (channels, height, width).

    >>> backbone, width = cnn((1, 8, 8))
    >>> backbone(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 128])
    """
    require(len(shape) == 3, f"cnn needs images (channels, height, width), got inputs of shape {shape}; use mlp")
    smallest = 2 ** len(channels)
    require(min(shape[1:]) >= smallest, f"cnn with {len(channels)} poolings needs {smallest} pixels, got {shape}")
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise((shape[0], *channels)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    flat = channels[-1] * (shape[1] // smallest) * (shape[2] // smallest)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(flat, 128), nn.ReLU()), 128


def reader(kind: str, space: Space, sizes: tuple[int, ...]) -> tuple[nn.Module, int]:
    """`memn2n` (size of embeddings, hops) or `gru` (size of embeddings, of the state): a network for stories of words.

    >>> from lifelong.types import Field
    >>> backbone, width = reader("memn2n", Space(Field((51, 12), vocabulary=100), 10), (20,))
    >>> backbone(torch.ones(2, 51, 12, dtype=torch.uint8)).shape, width
    (torch.Size([2, 20]), 20)
    """
    shape = space.input_shape or ()
    require(
        space.vocabulary is not None and len(shape) == 2 and shape[0] >= 2,
        f"{kind} reads stories of words, Space(Field((sentences, words), vocabulary=…), …), as babi has; "
        f"got inputs of shape {shape}",
    )
    require(len(sizes) <= 2, f"{kind} has at most two sizes, as in {kind}:50,3, got {sizes}")
    size, second = (*sizes, *(50, 3 if kind == "memn2n" else 100)[len(sizes) :])
    words = space.vocabulary or 0
    if kind == "memn2n":
        return MemN2N(words, shape[0] - 1, size, second), size
    return GRU(words, size, second), second


def sequence(kind: str, space: Space, sizes: tuple[int, ...]) -> tuple[nn.Module, int]:
    """`transformer` (width, layers) or `lstm` (width): a network for sequences of tokens.

    >>> from lifelong.types import Field
    >>> backbone, width = sequence("lstm", Space(Field((12,), vocabulary=100), 10), (32,))
    >>> backbone(torch.ones(2, 12, dtype=torch.long)).shape, width
    (torch.Size([2, 32]), 32)
    """
    shape, most = space.input_shape or (), 2 if kind == "transformer" else 1
    require(
        space.vocabulary is not None and len(shape) == 1,
        f"{kind} reads sequences of tokens, Space(Field((length,), vocabulary=…), …); got inputs of shape {shape}",
    )
    require(len(sizes) <= most, f"{kind} has at most {most} sizes, as in transformer:64,2 or lstm:64, got {sizes}")
    width, layers = (*sizes, *(64, 2)[len(sizes) :])
    vocabulary, causal = space.vocabulary or 0, isinstance(space.target, Tokens)
    if kind == "transformer":
        return Transformer(vocabulary, shape[0], width, layers, causal), width
    return LSTM(vocabulary, width, causal), width


def encoders(space: Space, hidden: tuple[int, ...], convolve: bool, channels: tuple[int, ...]) -> tuple[nn.Module, int]:
    """An encoder for each kind of input of `space`, to vectors of `hidden[0]` numbers, and the layers `hidden` behind.

    >>> both = Space(kinds=(Space((1, 8, 8), 10), Space((6,), 10)))
    >>> backbone, width = encoders(both, (32, 16), convolve=False, channels=())
    >>> backbone(torch.zeros(2, 1, 8, 8)).shape, backbone(torch.zeros(2, 6)).shape, width
    (torch.Size([2, 16]), torch.Size([2, 16]), 16)
    """
    width = hidden[0]

    def of_numbers(field: Field) -> nn.Module:
        if convolve and len(field.shape) == 3 and min(field.shape[1:]) >= 2 ** len(channels):
            layers, _ = cnn(field.shape, channels)
            assert isinstance(layers, nn.Sequential)
            return layers[:-1]  # the ReLU comes after the encoder
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(field.shape), width))

    trunk, features = mlp(width, hidden)
    return Encoders(space.kinds, of_numbers, width, trunk), features


def with_head(backbone: nn.Module, features: int, space: Space, head: HeadKind | None = None, seed: int = 0) -> Network:
    """`backbone` with the output layer that `space` needs (or the `head` asked for).

    Default per scenario: domain → `all`, class → `growing`, task → `per-task`; where tasks differ in their targets,
    `all`: each target has outputs of its own.

    >>> with_head(nn.Flatten(), 64, Space((1, 8, 8), 10, "class")).head.classes
    0
    """
    columns = space.columns()
    if len(columns) > 1:
        require(head in (None, "all"), f"tasks with several targets have the head 'all', got {head!r}; leave it out")
        tokens = [goal for goal in columns if isinstance(goal, Tokens)]
        require(
            not tokens, f"one head answers classes, numbers and labels, not {tokens[:1]} beside them: split the stream"
        )
        network = Network(backbone, Head(features, max(part.stop for part in columns.values()), seed))
        asked = {one.input_kind: [columns[goal] for goal in space.columns(one.input_kind)] for one in space.kinds}
        network.columns = asked if any(len(some) < len(columns) for some in asked.values()) else {}
        return network
    kind = head or DEFAULT_HEAD[space.scenario]
    require(kind in ("all", "growing", "per-task"), f"head must be one of all, growing, per-task, got {kind!r}")
    require(
        kind != "per-task" or space.scenario == "task",
        f"a per-task head needs the scenario 'task', got {space.scenario!r}; use growing",
    )
    require(
        kind != "all" or space.classes is not None,
        "head 'all' needs the number of outputs in Space(…); or use growing",
    )
    rows = (space.classes or 0) if kind == "all" else 0
    return Network(backbone, Head(features, rows, seed, grows=kind != "all"))


@torch.no_grad()
def cut_head(module: nn.Module, name: str, space: Space, seed: int = 0) -> Network:
    """A module of your own whose last layer, called `name`, becomes the head that `space` needs.

    The rest is the backbone, so that methods that ask for features or for a growing head can learn it. A head that has
    all outputs from the start keeps the layer's weights.

    Args:
        module: Its layer is taken out and an identity put in its place.
        name: Of an `nn.Linear` inside, as `named_modules` has it.
        space: With the shape of an input, to see that nothing comes after the layer.
        seed: Of new rows of the head.

    Raises:
        SettingError: There is no such layer, or something comes after it.

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> cut_head(model, "3", Space((4,), 2, "class")).head.features
        3
    """
    layers = dict(module.named_modules())
    linear = [other for other, layer in layers.items() if isinstance(layer, nn.Linear)]
    layer = layers.get(name)
    require(
        isinstance(layer, nn.Linear),
        f"head {name!r} must be all, growing, per-task, or the name of the last linear layer, as one of {linear[-3:]}",
    )
    assert isinstance(layer, nn.Linear)
    field = space.field
    require(
        field is not None, f"head {name!r} is cut off after a look at one answer: give Space((…), …) the input's shape"
    )
    shape = (2, *(field.shape if field is not None else ()))
    words = field is not None and field.vocabulary is not None
    x = torch.ones(shape, dtype=torch.int64) if words else torch.rand(shape, generator=torch.Generator().manual_seed(0))
    modes = {other: part.training for other, part in layers.items()}
    module.eval()
    before = module(x)
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, nn.Identity())
    try:
        features = module(x)
        same = features.shape[-1] == layer.in_features and torch.allclose(layer(features), before, atol=1e-5)
    except RuntimeError:  # what comes after the layer cannot take its inputs
        same = False
    for other, part in layers.items():
        part.training = modes[other]
    if not same:
        setattr(module.get_submodule(parent), last, layer)
        raise SettingError(
            f"head {name!r} is not the last layer: {type(module).__name__} changes its answer afterwards"
        )
    network = with_head(module, layer.in_features, space, None, seed)
    if not network.head.grows and network.head.weight.shape == layer.weight.shape:
        network.head.weight.copy_(layer.weight)
        network.head.bias.copy_(layer.bias if layer.bias is not None else torch.zeros_like(network.head.bias))
    return network


def from_factory(factory: Any, name: str, space: Space, head: HeadKind | None = None, seed: int = 0) -> nn.Module:
    """The network that a function of your own makes; it draws the weights from torch's global generator.

    The function is called with the space where it has an argument without a default, or one called `space`; else with
    nothing. Where it has arguments called `seed` or `head`, it is given these, too.

    Args:
        factory: The function, or the class of a module.
        name: What the user called it, for errors.
        space: What the stream asks; `space.classes` outputs, `space.input_shape`.
        head: all, growing or per-task, for `with_head`.
        seed: Of the learner.

    Raises:
        SettingError: It is no such function, or what it gives is no module.

    Example:
        >>> from_factory(lambda space: nn.Linear(space.features, 2), "mine", Space((4,), 2)).in_features
        4
    """
    require(
        callable(factory) and not isinstance(factory, nn.Module),
        f"model {name!r} is {type(factory).__name__}; expected a function of the space that makes a module, so that "
        "its weights follow the seed",
    )
    required = required_arguments(factory)
    named: dict[str, Any] = {"space": space, "head": head, "seed": seed}
    by_name = {argument: named[argument] for argument in named if argument in signature(factory).parameters}
    require(
        len([argument for argument in required if argument not in by_name]) <= (0 if "space" in by_name else 1),
        f"model {name!r} is called with the space or with nothing, and needs {', '.join(required)}; give defaults",
    )
    first = [space] if required and "space" not in by_name else []
    network = factory(*first, **by_name)
    require(isinstance(network, nn.Module), f"model {name!r} gave {network!r}; expected a torch.nn.Module")
    return named_plainly(network)


def named_plainly(module: nn.Module) -> nn.Module:
    """The module inside `torch.compile(module)`, which runs what was compiled when it is called; any other as it is.

    So its parameters have the names that they have without `torch.compile`, in saved learners too.

    >>> inside = nn.Linear(2, 1)
    >>> named_plainly(torch.compile(inside, backend="eager")) is inside
    True
    """
    inside, compiled = getattr(module, "_orig_mod", None), getattr(module, "dynamo_ctx", None)
    if not isinstance(inside, nn.Module) or compiled is None:
        return module
    inside._compiled_call_impl = compiled(inside._call_impl)  # what inside.compile(…) does, with the same settings
    return inside


def factory_of(name: str, *, import_paths: bool = False) -> Any | None:
    """The function behind an entry point or an import path; None where `name` is a network of this package, or none."""
    return None if name.partition("@")[0].partition(":")[0] in NAMES else find(name, "model", import_paths=import_paths)


def build(
    name: str, space: Space, head: HeadKind | None = None, seed: int = 0, *, import_paths: bool = False
) -> nn.Module:
    """The network called `name` for `space`, its weights drawn from `seed`; the global generator is left alone.

    `import_paths` allows `package.module:function`: only where the person who starts the program wrote the name.

    >>> build("mlp:8", Space((4,), 3)).head.classes
    3
    """
    layers, _, init = name.partition("@")
    kind, _, text = layers.partition(":")
    if (factory := factory_of(name, import_paths=import_paths)) is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return from_factory(factory, name, space, head, seed)
    require(init in ("", "xavier"), f"model {name!r}: after the @ only xavier is known, got {init!r}")
    try:
        sizes = tuple(int(size) for size in text.split(",")) if text else ()
    except ValueError:
        raise SettingError(f"model {name!r}: expected whole numbers after the colon, as in mlp:400,400") from None
    require(all(size > 0 for size in sizes), f"model {name!r}: sizes must be 1 or more")
    differ = space.inputs is None and len(space.kinds) > 1
    require(
        not differ or kind in ("mlp", "cnn"),
        f"model {name!r} reads one kind of input, and the tasks of this stream differ in theirs; use mlp:128,128 or "
        "cnn, or a module of your own",
    )
    require(differ or space.input_shape is not None, f"model {name!r} needs to know its input: give Space((…), …)")
    reads = kind in ("memn2n", "gru")
    tokens = kind in ("transformer", "lstm")
    require(not ((reads or tokens) and init), f"model {name!r}: {kind} begins in its own way; leave @{init} out")
    require(
        space.vocabulary is None or kind not in ("mlp", "linear", "cnn"),
        f"model {name!r} reads numbers, and these inputs are words; use memn2n or gru, or transformer or lstm",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        require(kind != "mlp" or bool(sizes), "mlp needs its hidden sizes, as in mlp:400,400")
        if differ:
            backbone, features = encoders(space, sizes if kind == "mlp" else (128,), kind == "cnn", sizes or (32, 64))
        elif kind == "mlp":
            backbone, features = mlp(space.features, sizes)
        elif kind == "linear":
            require(not sizes, f"linear has no sizes, got {name!r}")
            backbone, features = linear(space.features)
        elif kind == "cnn":
            backbone, features = cnn(space.input_shape or (), sizes or (32, 64))
        elif reads:
            backbone, features = reader(kind, space, sizes)
        elif tokens:
            backbone, features = sequence(kind, space, sizes)
        else:
            raise unknown_name("model", kind, NAMES)
        network = with_head(backbone, features, space, head, seed)
        network.untrained = True
        if init == "xavier":
            network.apply(_glorot)
    return network


@torch.no_grad()
def _glorot(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d)) or (isinstance(module, Head) and not module.grows):
        nn.init.xavier_normal_(module.weight)
        if module.bias is not None:
            module.bias.zero_()
