"""Find plugins, and keep a broken one from hurting the rest."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import pluggy

from ..errors import MismatchError, PluginError, UnknownNameError, VitanError, text_of
from ..files import given_path
from . import hooks as hookspecs
from .files import import_file
from .names import Provider, Registry
from .specs import DatasetSpec, ExecutorSpec, ImporterSpec, ModelCatalog, ModelSpec, ProbeSpec, RecipeSpec, Spec
from .spelling import read_name, same_model

#: What a plugin module must not import; it would slow down every ``vitan`` command.
HEAVY = ("torch", "timm", "open_clip", "cv2", "sklearn", "matplotlib")

_HOOKS: dict[str, tuple[type[Spec], ...]] = {
    "vitan_models": (ModelSpec, ModelCatalog),
    "vitan_probes": (ProbeSpec,),
    "vitan_datasets": (DatasetSpec,),
    "vitan_importers": (ImporterSpec,),
    "vitan_executors": (ExecutorSpec,),
    "vitan_recipes": (RecipeSpec,),
}

#: How many names are brought where one is not known.
_FEW = 4

#: Whatever a plugin's import may raise; a script that was not meant as a module may call ``sys.exit``.
_ANY = (Exception, SystemExit)


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be registered; none of its specs are."""

    provider: Provider
    where: str
    error: BaseException

    def __str__(self) -> str:
        return f"plugin {self.provider} ({self.where}) skipped: {text_of(self.error)}"


@dataclass(frozen=True)
class Loaded:
    """A plugin that was registered, how many specs it brought, and the heavy packages its import pulled in."""

    provider: Provider
    where: str
    specs: int
    heavy: tuple[str, ...]


class Plugins:
    """Everything that plugins offer. Each plugin is registered whole or not at all."""

    def __init__(self) -> None:
        self.models: Registry[ModelSpec] = Registry("model", lambda spec: spec.aliases)
        self.catalogs: Registry[ModelCatalog] = Registry("model catalog")
        self.probes: Registry[ProbeSpec] = Registry("analysis")
        self.datasets: Registry[DatasetSpec] = Registry("dataset")
        self.importers: Registry[ImporterSpec] = Registry("importer")
        self.executors: Registry[ExecutorSpec] = Registry("executor")
        self.recipes: Registry[RecipeSpec] = Registry("recipe")
        self.scripted: set[str] = set()  # the names of what a script has added, and no file says
        self.failures: list[Failure] = []
        self.loaded: list[Loaded] = []
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    def load_installed(self) -> None:
        """Register every entry point of the group ``vitan``.

        ``VITAN_DISABLE_PLUGINS`` names those to leave out, as ``distribution`` or ``distribution:entry-point``, with
        commas between.
        """
        disabled = {name.strip().lower() for name in os.environ.get("VITAN_DISABLE_PLUGINS", "").split(",")}
        seen: set[tuple[str, str]] = set()
        for distribution in distributions():
            for point in distribution.entry_points:
                names = {distribution.name.lower(), f"{distribution.name}:{point.name}".lower()}
                if point.group != hookspecs.PROJECT or names & disabled:
                    continue
                if (distribution.name, point.name) not in seen:  # a path listed twice shows a distribution twice
                    seen.add((distribution.name, point.name))
                    self._attempt(Provider(distribution.name, distribution.version), point.value, point)

    def load_file(self, path: Path) -> None:
        """Register one Python file as a plugin, once; raises ``PluginError`` if that fails."""
        provider = Provider(path.name, "")
        if self._manager.has_plugin(f"{provider.name}:{path}"):
            return
        try:
            with _watch_imports() as heavy:
                module, source = import_file(path)
            self.register(provider, str(path), module, heavy, source)
        except _ANY as error:
            raise PluginError(f"plugin file {path} cannot be used: {text_of(error)}") from error

    def register(
        self, provider: Provider, where: str, module: ModuleType, heavy: Iterable[str] = (), source: str = ""
    ) -> None:
        """Register a module's hooks; raises what is wrong with it and leaves nothing of it behind.

        ``source`` is the sha256 of a module that is a plugin by itself; its specs keep it.
        """
        name = f"{provider.name}:{where}"
        try:
            self._manager.register(module, name)
            self._check_hook_names(module)
            specs = [replace(spec, source=source) if source else spec for spec in self._collect(module)]
        except BaseException:
            if self._manager.has_plugin(name):  # pluggy before 1.7 keeps what it has refused
                self._manager.unregister(name=name)
            raise
        for spec in specs:
            self._registry(spec).add(provider, spec)
        self.loaded.append(Loaded(provider, where, len(specs), tuple(heavy)))

    def add(self, spec: Spec) -> None:
        """Register one model or dataset of a script; raises ``PluginError`` for anything else."""
        if not isinstance(spec, (ModelSpec, DatasetSpec)):
            raise PluginError(
                f"{getattr(spec, 'name', spec)!r} is neither a ModelSpec nor a DatasetSpec: name the file of its "
                "plugin instead, because what an analysis has stored is found by where it comes from"
            )
        self._registry(spec).add(Provider("script", ""), spec)
        self.scripted.add(spec.name)

    def embedded(self) -> list[str]:
        """The names of the trained models that come with their weights: what is run where no model is named."""
        return [spec.name for _, spec in self.models if spec.embedded and not spec.untrained]

    def home(self, models: Iterable[str]) -> str:
        """The dataset that all of these models were made for; empty where there is none, or a model is not known."""
        try:
            homes = {self.model(name).home for name in models}
        except VitanError:
            return ""
        return homes.pop() if len(homes) == 1 else ""

    def model(self, name: str) -> ModelSpec:
        """The model of that name or alias, or of a catalog (``timm:vit_tiny_patch16_224``).

        Raises ``UnknownNameError``, ``NameConflictError``, or what the catalog raises for a name it cannot serve.
        """
        catalog, colon, rest = name.partition(":")
        if colon and self.catalogs.providers(catalog):
            serving = self.catalogs.get(catalog)
            spec = serving.spec(rest)
            return replace(spec, source=serving.source) if serving.source else spec
        try:
            return self.models.get(name)
        except UnknownNameError as error:
            examples = " or ".join(spec.example for _, spec in self.catalogs)
            also = f" A library's own model goes by its name there, as in {examples}." if examples else ""
            raise UnknownNameError(error.kind, error.name, self.meant(name) or error.close, also) from None

    def meant(self, name: str) -> list[str]:
        """The models, also of libraries, that may be meant by a name that none has, best first.

        Raises ``MismatchError``, with the reason, for what a library has under that name and cannot serve.
        """
        told = read_name(name).telling
        own = same_model(name, [spec.name for _, spec in self.models])[:_FEW] if told else []
        if own and told <= read_name(own[0]).telling:
            return own  # without asking libraries, which is slow
        return self._in_catalogs(name) or own

    def _in_catalogs(self, name: str) -> list[str]:
        """A library's name without the library's, or else what is similar there."""
        served: list[str] = []
        similar: list[str] = []
        refused: MismatchError | None = None
        for _, catalog in self.catalogs:
            try:
                catalog.spec(name)
                served.append(f"{catalog.name}:{name}")
            except UnknownNameError as error:
                similar += error.close[: _FEW // 2]
            except MismatchError as error:
                refused = error
        if refused and not served and _is_like_a_librarys(name) and (":" not in name or not similar):
            raise refused  # but of an address, what is similar says more
        return served or similar

    def _attempt(self, provider: Provider, where: str, point: EntryPoint) -> None:
        try:
            with _watch_imports() as heavy:
                module = point.load()
            self.register(provider, where, module, heavy)
        except _ANY as error:
            self.failures.append(Failure(provider, where, error))

    def _collect(self, module: ModuleType) -> Iterator[Spec]:
        for hook, kinds in _HOOKS.items():
            for implementation in getattr(self._manager.hook, hook).get_hookimpls():
                if implementation.plugin is not module:
                    continue
                for spec in implementation.function():
                    if not isinstance(spec, kinds):
                        names = " or ".join(kind.__name__ for kind in kinds)
                        raise PluginError(f"{hook} yielded {spec!r}; it must yield {names}")
                    yield spec

    def files(self) -> list[Path]:
        """The plugin files that were registered beside what is installed."""
        return [Path(each.where).absolute() for each in self.loaded if each.where.endswith(".py")]

    def _check_hook_names(self, module: ModuleType) -> None:
        callers = self._manager.get_hookcallers(module) or []
        if not callers:
            raise PluginError(f"it has no hook: define one of {', '.join(_HOOKS)} and mark it with @vitan.hookimpl")
        for caller in callers:
            if not caller.has_spec():
                close = difflib.get_close_matches(caller.name, _HOOKS, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else f"; the hooks are {', '.join(_HOOKS)}"
                raise PluginError(f"unknown hook {caller.name!r}{hint}")

    def _registry(self, spec: Spec) -> Registry[Any]:
        for kind, registry in (
            (ModelSpec, self.models),
            (ModelCatalog, self.catalogs),
            (ProbeSpec, self.probes),
            (DatasetSpec, self.datasets),
            (ImporterSpec, self.importers),
            (ExecutorSpec, self.executors),
            (RecipeSpec, self.recipes),
        ):
            if isinstance(spec, kind):
                return registry
        raise PluginError(f"{spec!r} is of no known kind")


def load_kind(spec: ProbeSpec | DatasetSpec | ImporterSpec | ExecutorSpec) -> Any:
    """The class or function behind a spec; raises ``PluginError`` where the plugin fails to load it."""
    try:
        return spec.load()
    except VitanError:
        raise
    except _ANY as error:
        raise PluginError(f"{spec.name} cannot be loaded: {text_of(error)}") from error


def _is_like_a_librarys(name: str) -> bool:
    """Whether a library may have that very name; names of vitan have neither of these signs."""
    return "_" in name or "/" in name


#: Plugins to use: None are those that are installed; files, models and datasets are used besides them.
Given: TypeAlias = "Plugins | Iterable[str | Path | Spec] | None"


def plugins_from(given: Given) -> Plugins:
    """What is meant; raises ``PluginError`` for a file or a spec that cannot be used."""
    if given is None:
        return installed()
    if isinstance(given, Plugins):
        return given
    if isinstance(given, (str, Path, Spec)):
        given = [given]
    plugins = Plugins()
    plugins.load_installed()
    for one in given:
        if isinstance(one, Spec):
            plugins.add(one)
        else:
            plugins.load_file(given_path(one))
    return plugins


@cache
def installed() -> Plugins:
    """The installed plugins, found once per process."""
    plugins = Plugins()
    plugins.load_installed()
    return plugins


@contextmanager
def _watch_imports() -> Iterator[list[str]]:
    """Fills the list with the heavy packages that were imported inside."""
    before = set(sys.modules)
    heavy: list[str] = []
    yield heavy
    heavy.extend(name for name in HEAVY if name in sys.modules and name not in before)
