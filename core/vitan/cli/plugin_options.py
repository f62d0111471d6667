"""The options of analyses and datasets, as options of the command line.

click only splits the command line here; pydantic alone decides what is valid, in one place and with one wording.
"""

from __future__ import annotations

import sys
import types
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from pydantic.fields import FieldInfo

    from ..options import Options

_BROUGHT = "vitan.plugin-options"
_TYPED = "vitan.typed"
_KINDS = {int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "PATH", bool: "yes/no"}


@dataclass(frozen=True)
class Field:
    """One option of an analysis or a dataset, in words."""

    name: str
    kind: str
    description: str
    required: bool
    default: Any
    allowed: str
    choices: tuple[Any, ...]
    many: bool
    optional: bool

    @property
    def flag(self) -> str:
        """As it is typed where no other analysis has an option of that name."""
        return "--" + self.name.replace("_", "-")

    @property
    def note(self) -> str:
        """Default and range, in brackets."""
        default = "required" if self.required else f"default: {spell(self.default)}"
        return f"[{default}; {self.allowed}]" if self.allowed else f"[{default}]"


def fields_of(kind: type[Options]) -> list[Field]:
    """The options of an analysis or a dataset, in their order."""
    return [_field(name, info) for name, info in kind.model_fields.items()]


def spell(value: Any) -> str:
    """A value as one would type it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list, set, frozenset)):
        return ",".join(map(spell, value)) or "none"
    return "none" if value is None else str(value.value if isinstance(value, Enum) else value)


@dataclass(frozen=True)
class Part:
    """An analysis or a dataset that was asked for: its kind, the name that was typed, its own name and its options."""

    kind: str
    name: str
    owner: str
    options: type[Options]


class PluginOption(click.Option):
    """An option that an analysis or a dataset brings, or several analyses (``parts``) that share it."""

    def __init__(self, parts: tuple[Part, ...], field: Field, flag: str, number: int, description: str) -> None:
        self.parts, self.field, self.flag = parts, field, flag
        yes_no = field.kind == _KINDS[bool]
        super().__init__(
            [f"{flag}/--no-{flag[2:]}" if yes_no else flag, f"plugin_option_{number}"],
            default=None,
            is_flag=yes_no,
            multiple=field.many,
            metavar=None if yes_no else field.kind,
            help=description.strip(),
        )

    @property
    def title(self) -> str:
        """What stands above it in the help."""
        return (
            "Options of all analyses"
            if len(self.parts) > 1
            else f"Options of {self.parts[0].kind} {self.parts[0].owner}"
        )

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Take ``--attention.mass`` too where ``--mass`` is enough, so that it holds whatever else is run."""
        shown = self.opts, self.secondary_opts
        if len(self.parts) == 1:
            name = f"{self.parts[0].owner}.{self.field.flag[2:]}"
            self.opts = list(dict.fromkeys([*self.opts, f"--{name}"]))
            if self.secondary_opts:
                self.secondary_opts = list(dict.fromkeys([*self.secondary_opts, f"--no-{name}"]))
        try:
            super().add_to_parser(parser, ctx)
        finally:
            self.opts, self.secondary_opts = shown

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """The values that it may have, the last after a comma where it may have several; or a path."""
        from click.shell_completion import CompletionItem

        if _KINDS[Path] in self.field.kind:
            return [CompletionItem(incomplete, type="file")]
        before, comma, last = incomplete.rpartition(",") if self.field.many else ("", "", incomplete)
        values = [*map(spell, self.field.choices), *(["none"] if self.field.optional else [])]
        return [CompletionItem(f"{before}{comma}{value}") for value in values if value.startswith(last)]

    def parsed(self, given: Any) -> Any:
        """What pydantic is given for the text that was typed."""
        if self.field.many:
            return [self._one(word.strip()) for text in given for word in text.split(",") if word.strip()]
        return self._one(given)

    def _one(self, text: Any) -> Any:
        if self.field.optional and text == "none":
            return None
        return next((choice for choice in self.field.choices if spell(choice) == text), text)


def plugin_options(parts: Sequence[Part], taken: Collection[str]) -> list[PluginOption]:
    """Options for what was asked for: ``--mass``, or ``--attention.mass`` where ``--mass`` is said twice.

    An option that all analyses have, and of one kind, comes as ``--mass`` too, and before those of each, which override
    it. ``taken`` are the flags that the command has itself.
    """
    fields = [(part, field) for part in parts for field in fields_of(part.options)]
    count = Counter(field.flag for _, field in fields)
    brought: list[PluginOption] = []
    for shared in _shared(parts, fields):
        if shared.flag not in taken:
            analyses = tuple(part for part in parts if part.kind == "analysis")
            about = f"The same for {', '.join(part.owner for part in analyses)}; what it does in each stands below."
            brought.append(PluginOption(analyses, shared, shared.flag, len(brought), about))
    for part, field in fields:
        alone = count[field.flag] == 1 and field.flag not in taken
        flag = field.flag if alone else f"--{part.owner}.{field.flag[2:]}"
        brought.append(PluginOption((part,), field, flag, len(brought), f"{field.description}  {field.note}"))
    return brought


def _shared(parts: Sequence[Part], fields: Sequence[tuple[Part, Field]]) -> list[Field]:
    """What each of several analyses has under one name and of one kind, and nothing else has."""
    analyses = [part for part in parts if part.kind == "analysis"]
    owners: dict[str, list[Part]] = {}
    kinds: dict[str, set[str]] = {}
    for part, field in fields:
        owners.setdefault(field.name, []).append(part)
        kinds.setdefault(field.name, set()).add(field.kind)
    names = {name for name, having in owners.items() if having == analyses and len(kinds[name]) == 1}
    return [field for part, field in fields if part is analyses[0] and field.name in names] if len(analyses) > 1 else []


def _field(name: str, info: FieldInfo) -> Field:
    from ..options import allowed

    hint, optional = _bare(info.annotation)
    many = get_origin(hint) in (tuple, list, set, frozenset)
    item = _bare(get_args(hint)[0])[0] if many else hint
    choices = _choices(item)
    word = "|".join(map(spell, choices)) if choices else _KINDS.get(item, "TEXT")
    return Field(
        name=name,
        kind=f"{word},…" if many else word,
        description=info.description or "",
        required=info.is_required(),
        default=None if info.is_required() else info.get_default(call_default_factory=True),
        allowed=allowed(name, info),
        choices=choices,
        many=many,
        optional=optional,
    )


def _choices(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(hint) if isinstance(hint, type) and issubclass(hint, Enum) else ()


def _bare(hint: Any) -> tuple[Any, bool]:
    """A type without ``Annotated`` and ``None``, and whether it had ``None``."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        inner = [arg for arg in get_args(hint) if arg is not type(None)]
        return (_bare(inner[0])[0] if len(inner) == 1 else str), len(inner) < len(get_args(hint))
    return hint, False


def flags_as_typed(message: str, brought: Sequence[PluginOption]) -> str:
    """An error of ``job.validate`` with the flags as this command line has them (``--attention.mass``)."""
    for option in brought:
        for part in option.parts if len(option.parts) == 1 else ():
            message = message.replace(f"{option.field.flag} ({part.owner})", f"{option.flag} ({part.owner})")
    return message


class PluginCommand(click.Command):
    """A command with options that analyses and datasets bring; which ones depends on what is typed."""

    def parts(self, ctx: click.Context, typed: dict[str, Any]) -> list[Part]:
        """Whatever brings options of its own, from what has been typed so far."""
        raise NotImplementedError

    def brought(self, ctx: click.Context) -> list[PluginOption]:
        """The options that were brought to this call."""
        found: list[PluginOption] = ctx.meta.get(_BROUGHT, [])
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Peek at what is typed, and then parse it with the options that this brings."""
        if not ctx.resilient_parsing:
            self._bring(ctx, args)
        else:
            ctx.meta[_TYPED] = list(args)
            own = {flag for param in super().get_params(ctx) for flag in (*param.opts, *param.secondary_opts)}
            if any(
                word.startswith("--") and word.partition("=")[0] not in own for word in args
            ):  # without it the rest is misread
                self._bring_quietly(ctx)
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """See ``click.Command``; only where options are completed is loaded what brings some, for that is slow."""
        self._bring_quietly(ctx)
        return super().shell_complete(ctx, incomplete)

    def _bring(self, ctx: click.Context, args: Sequence[str]) -> None:
        parser = self.make_parser(ctx)
        parser.ignore_unknown_options = True
        typed, _, _ = parser.parse_args(list(args))
        taken = {flag for param in self.params for flag in param.opts}
        ctx.meta[_BROUGHT] = plugin_options(self.parts(ctx, typed), taken)

    def _bring_quietly(self, ctx: click.Context) -> None:
        """What is wrong is said when the command is run; a shell can only be told names."""
        if _BROUGHT not in ctx.meta:
            with suppress(Exception), redirect_stdout(sys.stderr):
                self._bring(ctx, ctx.meta[_TYPED])

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own and those that were brought."""
        return [*super().get_params(ctx), *self.brought(ctx)]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its own options, then a section for each part that brings some."""
        own = [param for param in super().get_params(ctx) if isinstance(param, click.Option)]
        _write_options("Options", own, ctx, formatter)
        for title, options in groupby(self.brought(ctx), key=lambda option: option.title):
            _write_options(title, options, ctx, formatter)


def _write_options(
    title: str, options: Iterable[click.Option], ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    with formatter.section(title):
        formatter.write_dl([record for option in options if (record := option.get_help_record(ctx))])
