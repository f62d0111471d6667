"""Reading the attention of a module that computes it as it always does.

The fused kernel stays in place: the queries, keys, values, mask and scale that it is called with are seen, and the
softmax is computed aside. A module that makes its own softmax hands it out as it runs. So the forward pass is the same
to the bit, whatever is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ..errors import RecordingError

#: The taps that are read inside an attention module.
ATTENTION_TAPS = frozenset({"attention", "q", "k", "v"})

#: How far attention · v may be from what the module made of its values, relative to their largest.
_MIXED_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 4e-2}
_ROW_SUM_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 4e-2}
_PRODUCTS = frozenset({torch.matmul, torch.bmm, Tensor.matmul, Tensor.bmm, Tensor.__matmul__})


@dataclass(frozen=True)
class Reading:
    """What is to be read of one attention module, and where it goes.

    ``caught`` takes the tensors of ``names``: ``attention`` (batch, head, query, key), ``q``, ``k`` and ``v`` (batch,
    head, token, channel of the head). ``place`` names the module in messages. When ``checking``, attention · v is
    compared with what the module itself made of its values.
    """

    names: frozenset[str]
    caught: dict[str, Tensor]
    place: str
    checking: bool

    def attach(self, stack: ExitStack, module: nn.Module) -> None:
        """Hang hooks into the module until ``stack`` is closed.

        They raise ``RecordingError`` while it runs if its attention is causal, has dropout, is not one softmax, or is
        not what was read.
        """
        inside = next((m for m in module.modules() if isinstance(m, nn.MultiheadAttention)), None)
        if inside is None:
            _Watch(self, module).attach(stack, module)
        else:
            stack.callback(inside.register_forward_hook(_Multihead(self), with_kwargs=True).remove)

    def needs_attention(self) -> bool:
        """Whether the softmax is asked for, or needed for the comparison."""
        return self.checking or "attention" in self.names

    def refuse(self, what: str) -> RecordingError:
        """The error for a module that cannot be read."""
        return RecordingError(f"{self.place}: {what}; vitan reads attention that is one softmax between all tokens")

    def check_mixed(self, mixed: Tensor, made: Tensor) -> None:
        """Compare attention · v with what the module made of it; what is not finite is the block's to tell."""
        if not bool(made.isfinite().all()):
            return
        off = float((mixed.float() - made.float()).abs().max() / made.float().abs().max().clamp(min=1e-12))
        if not off <= _mixed_tolerance(made.dtype):
            raise RecordingError(
                f"{self.place}: the attention that was read, times the values, is off by {off:.1e} of their largest "
                f"from what the module made of them in {str(made.dtype).removeprefix('torch.')}, so it is not this "
                "module's. Please report the architecture."
            )

    def check_rows(self) -> None:
        """One image of the batch is enough to tell a softmax from something else, if its values are finite."""
        attention = self.caught["attention"]
        off = float((attention[0].float().sum(-1) - 1).abs().max())
        if off > _ROW_SUM_TOLERANCE.get(attention.dtype, 1e-5):
            raise RecordingError(f"{self.place}: the attention rows do not sum to 1 (off by {off:.1e})")


class _Watch(TorchFunctionMode):
    """While an attention module runs, sees its call of the fused kernel, or its own products and softmax."""

    def __init__(self, reading: Reading, module: nn.Module) -> None:
        super().__init__()
        self._reading, self._caught = reading, reading.caught
        self._scale = getattr(module, "scale", None)
        self._running = False
        self._product: tuple[Tensor, Tensor] | None = None

    def attach(self, stack: ExitStack, module: nn.Module) -> None:
        stack.callback(module.register_forward_pre_hook(self._enter).remove)
        stack.callback(module.register_forward_hook(self._leave, always_call=True).remove)
        if isinstance(drop := getattr(module, "attn_drop", None), nn.Module):
            stack.callback(drop.register_forward_hook(self._see_softmax).remove)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func is F.scaled_dot_product_attention:
            self._see_kernel(made, *args, **(kwargs or {}))
        elif func in _PRODUCTS:
            self._see_product(*args)
        return made

    def _enter(self, _: nn.Module, __: Any) -> None:
        self.__enter__()  # type: ignore[no-untyped-call]
        self._running, self._product = True, None

    def _leave(self, _: nn.Module, __: Any, ___: Any) -> None:
        if self._running:  # a module that never began is left as well
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]
            self._running, self._product = False, None

    def _see_kernel(
        self,
        made: Tensor,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> None:
        if "k" in self._caught:
            raise self._reading.refuse("it calls the attention kernel more than once")
        if is_causal or dropout_p:
            raise self._reading.refuse("its attention is causal" if is_causal else "its attention has dropout")
        if enable_gqa:  # one key and value for several queries
            key, value = (_for_every_head(x, query.shape[1]) for x in (key, value))
        self._caught.update(q=query, k=key, v=value)
        if self._reading.needs_attention():
            attention = self._caught["attention"] = softmax(query, key, attn_mask, scale)
            if self._reading.checking:
                self._reading.check_mixed(attention @ value, made)

    def _see_product(self, left: Tensor, right: Tensor) -> None:
        """Queries meet keys before the softmax, and the softmax meets values."""
        if "attention" not in self._caught:
            self._product = left, right
        elif left is self._caught["attention"]:
            self._caught["v"] = right

    def _see_softmax(self, _: nn.Module, __: Any, made: Tensor) -> None:
        """The module's own, which went through its dropout."""
        self._caught["attention"] = made
        if self._reading.checking or made.device.type == "cpu":  # elsewhere it would have to be waited for
            self._reading.check_rows()
        if self._product and isinstance(self._scale, float):  # such modules scale the queries before the product
            queries, keys = self._product
            self._caught.update(q=queries / self._scale, k=keys.transpose(-2, -1))


class _Multihead:
    """Reads ``nn.MultiheadAttention`` when it has run.

    It may be one kernel from its input to its output, which is not to be disturbed, so its projections are made again.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def __call__(self, module: nn.MultiheadAttention, args: Any, kwargs: Any, made: Any) -> None:
        inputs, mask = self._given(module, *args, **kwargs)
        reading, caught = self._reading, self._reading.caught
        for part, (name, x) in enumerate(zip("qkv", inputs, strict=True)):
            if name in reading.names or reading.checking or (reading.needs_attention() and name != "v"):
                caught[name] = _project(module, part, x)
        if reading.needs_attention():
            caught["attention"] = softmax(caught["q"], caught["k"], mask)
        if reading.checking:
            mixed = (caught["attention"] @ caught["v"]).transpose(1, 2).flatten(2)
            branch = made[0] if module.batch_first else made[0].transpose(0, 1)
            reading.check_mixed(module.out_proj(mixed), branch)

    def _given(
        self,
        module: nn.MultiheadAttention,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,  # noqa: ARG002  # the signature is the module's
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,  # noqa: ARG002
        is_causal: bool = False,
    ) -> tuple[Sequence[Tensor], Tensor | None]:
        """The inputs (batch, token, channel) and the mask as the fused kernel takes it."""
        if is_causal or key_padding_mask is not None:
            raise self._reading.refuse("its attention is causal" if is_causal else "some keys are left out")
        if module.in_proj_weight is None or module.bias_k is not None or module.add_zero_attn:
            raise self._reading.refuse("its keys are not those of the tokens alone")
        inputs = [x if module.batch_first else x.transpose(0, 1) for x in (query, key, value)]
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            attn_mask = ~attn_mask  # here true is what is left out
        if attn_mask is not None and attn_mask.ndim == 3:
            attn_mask = attn_mask.view(-1, module.num_heads, *attn_mask.shape[1:])
        return inputs, attn_mask


@torch.no_grad()
def softmax(query: Tensor, key: Tensor, mask: Tensor | None = None, scale: float | None = None) -> Tensor:
    """The probabilities (batch, head, query, key) that the fused kernel multiplies the values with.

    ``query`` and ``key`` are (batch, head, token, channel); a boolean ``mask`` keeps what is true, another is added.
    Like the kernel, it goes through single precision for half precision. The logits are large and give their place to
    the probabilities, which halves the time on a CPU.
    """
    wide = torch.float32 if query.dtype in (torch.float16, torch.bfloat16) else query.dtype
    logits = (query.to(wide) * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.to(wide).transpose(-2, -1)
    if mask is not None:
        logits = logits.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else logits + mask
    return torch.softmax(logits, -1, out=logits).to(query.dtype)


def _mixed_tolerance(dtype: torch.dtype) -> float:
    """Products of float32 may be computed more coarsely than float32 is."""
    coarse = {"high": torch.float16, "medium": torch.bfloat16}.get(torch.get_float32_matmul_precision())
    return _MIXED_TOLERANCE.get(coarse if coarse is not None and dtype == torch.float32 else dtype, 1e-4)


def _project(module: nn.MultiheadAttention, part: int, x: Tensor) -> Tensor:
    """Queries (part 0), keys (1) or values (2) of inputs (batch, token, channel)."""
    weight, bias = module.in_proj_weight.chunk(3)[part], module.in_proj_bias
    projected = F.linear(x, weight, None if bias is None else bias.chunk(3)[part])
    return projected.view(*projected.shape[:-1], module.num_heads, -1).transpose(1, 2)


def _for_every_head(x: Tensor, heads: int) -> Tensor:
    return x.repeat_interleave(heads // x.shape[1], dim=1)
