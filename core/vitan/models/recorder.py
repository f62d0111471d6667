"""Reading inside a model that nobody had to change.

Nothing that is read changes one bit of what the model computes: attention is seen as ``attention.py`` says, the rest by
hooks. Everything is handed on when the block has run, and then dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Self

from ..anatomy import TAPS, TapMap
from ..errors import MismatchError, RecordingError, VitanError
from .attention import ATTENTION_TAPS, Reading
from .layout import find_blocks

OnBlock = Callable[[int, Mapping[str, Tensor]], None]

_SMALL = "run with --dtype bfloat16 or float32, which hold larger ones"
_DAMAGED = "the weights are damaged, or made for other pixels"


class Recorder:
    """A context in which running the model hands the wanted taps of each block to ``on_block``.

    ``wanted`` maps a block to the taps to read there. ``on_block(block, taps)`` is called when the block has run, in
    the order of execution; its tensors are the model's own and must not be changed. On leaving, every hook is gone and
    every flag is back.

    ``images`` names the images of the batch in messages. When ``checking``, the attention that is read is compared with
    what the module made of it.

    Raises ``MismatchError`` on entering for a tap that does not exist or a block that the model does not have, and
    ``RecordingError`` while running or on leaving if a tap caught nothing, if attention is no softmax between the
    tokens, or if a block gave a value that is not finite.
    """

    def __init__(
        self,
        model: nn.Module,
        taps: TapMap,
        wanted: Mapping[int, Collection[str]],
        on_block: OnBlock,
        *,
        images: Sequence[str] = (),
        checking: bool = False,
    ) -> None:
        self._model, self._taps, self._on_block, self._checking = model, taps, on_block, checking
        self._wanted = {block: frozenset(names) for block, names in wanted.items()}
        self._finite = _Finite(images)
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
                reader = _BlockReader(block, blocks[block], self._taps, names, self._on_block, self._finite)
                reader.attach(self._stack, batch_first=self._batch_first(), checking=self._checking)
            self._watch_others(blocks)
        except BaseException:
            self._stack.close()
            raise
        return self

    def _watch_others(self, blocks: nn.ModuleList) -> None:
        """Look at blocks before the last that is read: what is not finite there goes on, and the first is to blame."""
        for block in set(range(max(self._wanted, default=0))) - self._wanted.keys():

            def watch(_: nn.Module, __: Any, made: Any, block: int = block) -> None:
                value = _first(made)
                self._finite.see(block, value if self._batch_first() else value.transpose(0, 1))

            self._stack.callback(blocks[block].register_forward_hook(watch).remove)

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        self._stack.close()
        if error is None or isinstance(error, VitanError):  # which may be of values that nobody has looked at yet
            self._finite.check()

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
        finite: _Finite,
    ) -> None:
        self._block, self._module, self._map, self._names, self._on_block = block, module, taps, names, on_block
        self._finite, self._batch_first = finite, True
        self._caught: dict[str, Tensor] = {}

    def attach(self, stack: ExitStack, *, batch_first: bool, checking: bool) -> None:
        """Hang hooks into the block until ``stack`` is closed."""
        self._batch_first = batch_first
        stack.callback(self._caught.clear)
        for tap in ("norm1", "norm2"):
            if tap in self._names:
                self._after(stack, getattr(self._map, tap), tap)
        self._attach_residuals(stack)
        if self._names & ATTENTION_TAPS:
            reading = Reading(self._names, self._caught, f"block {self._block}", checking)
            reading.attach(stack, self._module.get_submodule(self._map.attention))
        # Prepended, so that it sees the block's input before anything else can.
        stack.callback(self._module.register_forward_pre_hook(self._begin, prepend=True).remove)
        stack.callback(self._module.register_forward_hook(self._finish).remove)

    def _begin(self, _: nn.Module, given: tuple[Any, ...]) -> None:
        self._caught.clear()
        self._put("block_in", given[0])

    def _finish(self, _: nn.Module, __: Any, made: Any) -> None:
        self._put("block", _first(made))
        self._finite.see(self._block, self._caught["block"])
        self._derive_branches()
        missing = self._names - self._caught.keys()
        if missing:
            raise RecordingError(
                f"block {self._block} ({type(self._module).__name__}) gave nothing for the tap {sorted(missing)[0]!r}; "
                "this architecture needs a TapMap of its own"
            )
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


class _Finite:
    """Which images gave values that are not finite, block by block.

    A CPU says so at once. An accelerator is asked when the batch is over, so that no block waits for it.
    """

    def __init__(self, images: Sequence[str]) -> None:
        self._images = images
        self._flags: list[tuple[int, torch.dtype, Tensor]] = []

    def see(self, block: int, value: Tensor) -> None:
        """Look at the output (image, token, channel) of one block.

        A sum is finite only if all of its values are, and is wide enough here not to overflow by itself.
        """
        sums = value.detach().flatten(1).sum(1, dtype=torch.promote_types(value.dtype, torch.float32))
        self._flags.append((block, value.dtype, sums.isfinite()))
        if value.device.type == "cpu":
            self.check()

    def check(self) -> None:
        """Raise ``RecordingError`` for the first block with a value that is not finite, and forget all."""
        flags = self._flags.copy()
        self._flags.clear()
        if not flags or bool(torch.stack([finite for _, _, finite in flags]).all()):
            return
        block, dtype, finite = next(flag for flag in flags if not bool(flag[2].all()))
        row, name = int(finite.int().argmin()), str(dtype).removeprefix("torch.")
        image = self._images[row] if self._images else f"image {row} of the batch"
        raise RecordingError(
            f"block {block} gives values that are not finite for {image} in {name}; "
            f"{_SMALL if dtype == torch.float16 else _DAMAGED}"
        )


def _first(made: Any) -> Tensor:
    """A block's output, which may come with more."""
    return made[0] if isinstance(made, tuple) else made  # type: ignore[no-any-return]


def _has(module: nn.Module, path: str) -> bool:
    try:
        module.get_submodule(path)
    except AttributeError:
        return False
    return True
