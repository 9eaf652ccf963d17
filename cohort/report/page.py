"""What every section of the page needs: the results with their disclosure, and tables and figures as blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from cohort.present import theme
from cohort.present.disclosure import Disclosure
from cohort.present.tables.model import Table
from cohort.report.blocks import Block, FigureBlock, Paragraph, TableBlock
from cohort.tables.study_results import StudyResults


@dataclass(frozen=True)
class Page:
    """Everything a section needs to know."""

    results: StudyResults
    rule: Disclosure
    versions: Mapping[str, str]

    @property
    def level(self) -> str:
        """The name of an interval, with its confidence."""
        return f"{self.results.registry.study.models.confidence * 100:g} % interval"


def tables_of(*tables: Table | None) -> list[Block]:
    """Those that there are."""
    return [TableBlock(table) for table in tables if table is not None]


def figure_of(key: str, title: str, caption: str, drawn: Figure | None, alt: str, instead: str) -> list[Block]:
    """A figure, or a sentence on why there is none: never an empty frame."""
    if drawn is None:
        return [Paragraph(instead)]
    return [FigureBlock(key, title, caption, theme.svg(drawn, key, alt), alt)]
