"""Reading inside a model that nobody had to change.

Attention is read exactly: the asked-for blocks leave the fused kernel and hand out the softmax that they themselves
computed. Where a module has no such switch, the call of the fused kernel is intercepted and its softmax computed aside.
Everything is handed on when the block has run, and then dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from typing_extensions import Self

from ..anatomy import TAPS, TapMap
from ..errors import MismatchError, RecordingError
from .layout import find_blocks

OnBlock = Callable[[int, Mapping[str, Tensor]], None]

_ROW_SUM_TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9, torch.float16: 5e-3, torch.bfloat16: 4e-2}
_PROJECTIONS = ("q", "k", "v")


class Recorder:
    """A context in which running the model hands the wanted taps of each block to ``on_block``.

    ``wanted`` maps a block to the taps to read there. ``on_block(block, taps)`` is called when the block has run, in
    the order of execution; its tensors are the model's own and must not be changed. On leaving, every hook is gone and
    every flag is back.

    Raises ``MismatchError`` on entering for a tap that does not exist or a block that the model does not have, and
    ``RecordingError`` while running if a tap caught nothing or if attention rows do not sum to 1.
    """

    def __init__(
        self, model: nn.Module, taps: TapMap, wanted: Mapping[int, Collection[str]], on_block: OnBlock
    ) -> None:
        self._model, self._taps, self._on_block = model, taps, on_block
        self._wanted = {block: frozenset(names) for block, names in wanted.items()}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        blocks = find_blocks(self._model, self._taps)
        for block, names in sorted(self._wanted.items()):
            if unknown := names - TAPS.keys():
                raise MismatchError(f"no tap is called {sorted(unknown)[0]!r}; there are {', '.join(TAPS)}")
            if not 0 <= block < len(blocks):
                raise MismatchError(f"there is no block {block}: the model has blocks 0 to {len(blocks) - 1}")
        try:
            for block, names in self._wanted.items():
                reader = _BlockReader(block, blocks[block], self._taps, names, self._on_block, self._batch_first())
                reader.attach(self._stack)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _batch_first(self) -> bool:
        """Old open_clip transformers run in (token, batch, channel)."""
        parent = self._model.get_submodule(self._taps.blocks.rpartition(".")[0])
        return bool(getattr(parent, "batch_first", True))


class _BlockReader:
    """Reads one block: collects its taps while it runs and hands them on when it is done."""

    def __init__(
        self,
        block: int,
        module: nn.Module,
        taps: TapMap,
        names: frozenset[str],
        on_block: OnBlock,
        batch_first: bool,
    ) -> None:
        self._block, self._module, self._map, self._names, self._on_block = block, module, taps, names, on_block
        self._batch_first = batch_first
        self._caught: dict[str, Tensor] = {}

    def attach(self, stack: ExitStack) -> None:
        stack.callback(self._caught.clear)
        for tap in ("norm1", "norm2"):
            if tap in self._names:
                self._after(stack, getattr(self._map, tap), tap)
        self._attach_residuals(stack)
        if self._names & {"attention", *_PROJECTIONS}:
            self._attach_attention(stack)
        # Prepended, so that it sees the block's input before anything else can.
        stack.callback(self._module.register_forward_pre_hook(self._begin, prepend=True).remove)
        stack.callback(self._module.register_forward_hook(self._finish).remove)

    def _begin(self, _: nn.Module, given: tuple[Any, ...]) -> None:
        self._caught.clear()
        self._put("block_in", given[0])

    def _finish(self, _: nn.Module, __: Any, made: Any) -> None:
        self._put("block", made[0] if isinstance(made, tuple) else made)
        self._derive_branches()
        missing = self._names - self._caught.keys()
        if missing:
            raise RecordingError(
                f"block {self._block} ({type(self._module).__name__}) gave nothing for the tap {sorted(missing)[0]!r}; "
                "this architecture needs a TapMap of its own"
            )
        if "attention" in self._names:
            _check_rows(self._caught["attention"], self._block)
        taps = {name: self._caught[name] for name in sorted(self._names)}
        self._caught.clear()
        self._on_block(self._block, taps)

    def _derive_branches(self) -> None:
        """Branches without a module of their own are differences of what lies around them."""
        caught = self._caught
        if "attention_branch" in self._names and "attention_branch" not in caught and "mid" in caught:
            caught["attention_branch"] = caught["mid"] - caught["block_in"]
        if "mlp_branch" in self._names and "mlp_branch" not in caught and "mid" in caught:
            caught["mlp_branch"] = caught["block"] - caught["mid"]

    def _put(self, name: str, value: Tensor) -> None:
        self._caught[name] = value if self._batch_first else value.transpose(0, 1)

    def _after(self, stack: ExitStack, path: str, name: str) -> None:
        module = self._module.get_submodule(path)
        stack.callback(module.register_forward_hook(lambda _, __, made: self._put(name, made)).remove)

    def _attach_residuals(self, stack: ExitStack) -> None:
        if self._names & {"mid", "attention_branch", "mlp_branch"}:
            norm2 = self._module.get_submodule(self._map.norm2)
            stack.callback(norm2.register_forward_pre_hook(lambda _, given: self._put("mid", given[0])).remove)
        for name, path in (("attention_branch", self._map.attention_end), ("mlp_branch", self._map.mlp_end)):
            if name in self._names and _has(self._module, path):
                self._after(stack, path, name)

    def _attach_attention(self, stack: ExitStack) -> None:
        attention = self._module.get_submodule(self._map.attention)
        joint = isinstance(getattr(attention, "qkv", None), nn.Linear)  # else values are only seen at the kernel
        at_kernel = {"q", "k"} if joint else {"q", "k", "v"}
        direct = "attention" in self._names and hasattr(attention, "attn_drop") and not self._names & at_kernel
        if direct:  # the module's own softmax
            softmax = attention.get_submodule("attn_drop")
            stack.callback(softmax.register_forward_hook(self._caught_softmax).remove)
        if hasattr(attention, "fused_attn"):  # what is seen at the kernel needs the kernel
            stack.callback(setattr, attention, "fused_attn", attention.fused_attn)
            attention.fused_attn = not direct  # type: ignore[assignment]  # a plain attribute of timm's modules
        if direct and "v" not in self._names:
            return
        mode = _Intercept(attention, self._names, self._caught)
        entered: list[_Intercept] = []

        def enter(_: nn.Module, __: Any) -> None:
            mode.__enter__()  # type: ignore[no-untyped-call]
            entered.append(mode)

        def leave(_: nn.Module, __: Any, ___: Any) -> None:
            if entered:
                entered.pop().__exit__(None, None, None)  # type: ignore[no-untyped-call]

        stack.callback(attention.register_forward_pre_hook(enter).remove)
        stack.callback(attention.register_forward_hook(leave, always_call=True).remove)

    def _caught_softmax(self, _: nn.Module, __: Any, made: Tensor) -> None:
        self._caught["attention"] = made


class _Intercept(TorchFunctionMode):
    """While an attention module runs, sees the calls that carry q, k, v and the attention itself."""

    def __init__(self, module: nn.Module, names: frozenset[str], caught: dict[str, Tensor]) -> None:
        super().__init__()
        self._names, self._caught = names, caught
        self._heads = int(getattr(module, "num_heads", 0))
        qkv = getattr(module, "qkv", None)
        self._qkv_weight = qkv.weight if isinstance(qkv, nn.Linear) else None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            self._see_kernel(*args, **kwargs)
        elif func is F.multi_head_attention_forward:
            return self._ask_for_weights(func, args, kwargs)
        made = func(*args, **kwargs)
        if func is F.linear and self._qkv_weight is not None and _weight(args, kwargs) is self._qkv_weight:
            self._see_projection(made)
        return made

    def _see_kernel(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,  # noqa: ARG002  # the signature is the kernel's
        is_causal: bool = False,
        scale: float | None = None,
        **_: Any,
    ) -> None:
        self._caught.update(zip(_PROJECTIONS, (query, key, value), strict=True))
        if "attention" in self._names and "attention" not in self._caught:
            if is_causal:
                raise RecordingError("this model's attention is causal; vitan reads bidirectional Vision Transformers")
            self._caught["attention"] = _softmax(query, key, attn_mask, scale)

    def _see_projection(self, made: Tensor) -> None:
        """A joint projection: values come out of it as they are averaged; queries and keys may still be normalised."""
        batch, tokens, channels = made.shape
        parts = made.view(batch, tokens, 3, self._heads, channels // (3 * self._heads))
        self._caught["v"] = parts[:, :, 2].transpose(1, 2)  # (batch, head, token, channel)

    def _ask_for_weights(self, func: Any, args: Any, kwargs: Any) -> Any:
        """nn.MultiheadAttention: have it return its weights, and give back what the caller had asked for."""
        asked, averaged = kwargs.get("need_weights", True), kwargs.get("average_attn_weights", True)
        if self._names & set(_PROJECTIONS):
            self._project(args[:3], args[4], args[5], args[6])
        if "attention" not in self._names:
            return func(*args, **kwargs)
        out, weights = func(*args, **dict(kwargs, need_weights=True, average_attn_weights=False))
        self._caught["attention"] = weights
        return out, ((weights.mean(1) if averaged else weights) if asked else None)

    def _project(self, inputs: tuple[Tensor, ...], heads: int, weight: Tensor, bias: Tensor) -> None:
        for name, x, w, b in zip(_PROJECTIONS, inputs, weight.chunk(3), bias.chunk(3), strict=True):
            if name in self._names:  # inside, the sequence comes first
                tokens, batch, channels = x.shape
                self._caught[name] = F.linear(x, w, b).view(tokens, batch, heads, channels // heads).permute(1, 2, 0, 3)


def _weight(args: Any, kwargs: Any) -> Any:
    """The matrix that ``F.linear`` was called with, by place or by name."""
    return args[1] if len(args) > 1 else kwargs["weight"]


def _softmax(query: Tensor, key: Tensor, mask: Tensor | None, scale: float | None) -> Tensor:
    logits = (query * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)) @ key.transpose(-2, -1)
    if mask is not None:
        logits = logits.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else logits + mask
    return logits.softmax(-1)


def _check_rows(attention: Tensor, block: int) -> None:
    """One image of the batch is enough to tell a softmax from something else."""
    sums = attention[0].float().sum(-1)
    off = float((sums - 1).abs().max())
    if not off <= _ROW_SUM_TOLERANCE.get(attention.dtype, 1e-5):
        raise RecordingError(f"the attention rows of block {block} do not sum to 1 (off by {off:.1e})")


def _has(module: nn.Module, path: str) -> bool:
    try:
        module.get_submodule(path)
    except AttributeError:
        return False
    return True
