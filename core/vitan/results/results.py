"""What a run has found, in memory or read back: by analysis and model, as a table, as a frame, as figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from html import escape
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ..analysis.records import Record
from ..errors import StoreError, UsageError, VitanError
from .findings import Comparison, Finding

if TYPE_CHECKING:
    from ..analysis.figures import Drawings
    from .drawn import Figures


@dataclass(frozen=True, kw_only=True)
class Results(Sequence[Finding]):
    """Findings, one for each analysis of each model: ``found["attention", "dino-B16"]``.

    ``comparisons`` are between the models. ``failed`` says what gave no numbers, and why. ``folder`` is where all of it
    is written, if it is.
    """

    findings: tuple[Finding, ...]
    comparisons: tuple[Comparison, ...] = ()
    failed: Mapping[str, VitanError] = field(default_factory=dict)
    folder: Path | None = None

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    @overload
    def __getitem__(self, key: int | str | tuple[str, str]) -> Finding: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[Finding]: ...
    def __getitem__(self, key: int | str | tuple[str, str] | slice) -> Finding | Sequence[Finding]:
        """By position, by (analysis, model), or by analysis where there is one model; raises ``KeyError`` otherwise."""
        if isinstance(key, (int, slice)):
            return self.findings[key]
        analysis, model = (key, "*") if isinstance(key, str) else key
        matching = [each for each in self if each.analysis == analysis and fnmatchcase(each.model, model)]
        if len(matching) != 1:
            known = ", ".join(f"({each.analysis!r}, {each.model!r})" for each in self) or "nothing"
            raise KeyError(f"{key!r} is {len(matching)} findings; there is {known}")
        return matching[0]

    def named(
        self, analyses: Sequence[str] = (), models: Sequence[str] = (), dataset: str | None = None
    ) -> list[Finding]:
        """The findings of these names, models in the order in which they are named; all where none is.

        Raises ``StoreError`` for a name of which there is nothing.
        """
        chosen: list[Finding] = []
        for analysis in analyses or (None,):
            for model in models or (None,):
                wanted = {"analysis": analysis, "dataset": dataset, "model": model}
                asked = {name: value for name, value in wanted.items() if value is not None}
                matching = [each for each in self if all(getattr(each, k) == v for k, v in asked.items())]
                if not matching:
                    words = {"analysis": "of", "dataset": "on", "model": "for"}
                    said = " ".join(f"{words[name]} {value}" for name, value in asked.items())
                    raise StoreError(f"{self.folder or 'these results'}: no results {said}; 'vitan run' makes some")
                chosen += matching
        return chosen

    @property
    def records(self) -> list[Record]:
        """All numbers: of every finding, then between models."""
        between = [each.result.records for each in self.comparisons if each.result is not None]
        return [record for records in [*(each.records for each in self), *between] for record in records]

    def frame(self, **wanted: object) -> Any:
        """The records as a pandas DataFrame, those whose columns have these values: ``frame(metric="entropy")``.

        Raises ``UsageError`` where pandas is not installed, and for a column that records do not have.
        """
        try:
            pandas = import_module("pandas")
        except ImportError:
            raise UsageError("frames need pandas: pip install pandas; .records is the same without it") from None
        columns = list(Record.__dataclass_fields__)
        if unknown := wanted.keys() - set(columns):
            raise UsageError(f"records have no column {', '.join(sorted(unknown))}; they have {', '.join(columns)}")
        rows = [record for record in self.records if all(getattr(record, k) == v for k, v in wanted.items())]
        return pandas.DataFrame([asdict(record) for record in rows], columns=columns)

    def figures(self, analysis: str | None = None) -> Drawings:
        """Draw everything, or one analysis: first what compares the models, where there are several."""
        from ..analysis.figures import Drawings
        from .drawing import draw_between
        from .write import compare

        names = dict.fromkeys(each.analysis for each in self if analysis in (None, each.analysis))
        if analysis is not None and not names:
            raise UsageError(f"nothing of {analysis} here; there is {', '.join({each.analysis for each in self})}")
        drawings = Drawings()
        for name in names:
            group = [each for each in self if each.analysis == name]
            if len(group) > 1:
                outcomes = [each.load_outcome() for each in group]
                drawings += draw_between(outcomes, compare(outcomes))
            drawings += [drawing for each in group for drawing in each.figures()]
        return drawings

    def write(self, folder: str | Path, *, figures: Figures = "all") -> Results:
        """Write everything as ``vitan run`` does, and return the same results with their places.

        ``figures`` are all, ``comparisons`` alone, or ``none``.
        """
        from ..engine.progress import Silent
        from .drawn import check_figures
        from .folder import write_root
        from .save import compare_findings, write_findings

        check_figures(figures)
        root = Path(folder)
        findings, failed = write_findings(self.findings, root, figures=figures, reporter=Silent())
        comparisons, more = compare_findings(findings, root, figures=figures, reporter=Silent())
        write_root(root)
        return Results(
            findings=tuple(findings),
            comparisons=tuple(comparisons),
            failed={**self.failed, **failed, **more},
            folder=root,
        )

    def __repr__(self) -> str:
        lines = [f"{each.analysis} · {each.model} · {each.dataset} · {each.n} images" for each in self]
        between = [each for each in self.comparisons if each.result is not None]
        lines += [f"{each.analysis} · between {len(each.models)} models" for each in between]
        lines += [f"failed: {name}: {error}" for name, error in self.failed.items()]
        return "\n".join([f"Results({len(self)})", *(f"  {line}" for line in lines)])

    def _repr_html_(self) -> str:
        """A table for notebooks: a row for each model, with each headline metric at the first and the last block."""
        cells = [(each, *_headline(each)) for each in self]
        rows = "".join(
            f"<tr><td>{escape(each.analysis)}</td><td>{escape(each.model)}</td><td>{escape(each.dataset)}</td>"
            f"<td>{each.n}</td><td>{escape(metrics)}</td></tr>"
            for each, metrics in cells
        )
        failed = "".join(f"<li>{escape(name)}: {escape(str(error))}</li>" for name, error in self.failed.items())
        head = "<tr><th>analysis</th><th>model</th><th>dataset</th><th>images</th><th>first → last block</th></tr>"
        return f"<table>{head}{rows}</table>" + (f"<p>failed:</p><ul>{failed}</ul>" if failed else "")


def _headline(finding: Finding) -> tuple[str]:
    """Each headline metric over all images, at both ends."""
    said = []
    for metric in finding.result.headline:
        curve = [r for r in finding.records if r.metric == metric and r.head is None and not r.of]
        for token in dict.fromkeys(record.token for record in curve):
            ends = [r.value for r in curve if r.token == token]
            shown = " → ".join(f"{value:.4g}" for value in dict.fromkeys((ends[0], ends[-1])))
            said.append(f"{metric}{f' ({token})' if token else ''}: {shown}")
    return ("; ".join(said),)
