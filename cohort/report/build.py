"""From results to a folder: `report.html`, its tables and figures, and the manifest that vouches for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from cohort.present import theme
from cohort.present.disclosure import Disclosure
from cohort.present.tables.model import to_csv
from cohort.report import provenance, quality, sections
from cohort.report.blocks import Block, FigureBlock, Section, TableBlock
from cohort.report.page import Page
from cohort.report.publish import publish, refuse_if_taken
from cohort.report.rendering import template
from cohort.tables.study_results import StudyResults

# A figure whose numbers are a table of the same section links to that table's CSV.
FIGURE_DATA = {
    "figure-spine": "rates_by_level",
    "figure-flow": "flow_patients",
    "figure-curves": "curves_monthly",
    "figure-stacked": "curves_monthly",
    "figure-mechanisms": "mechanisms",
    "figure-adjustment": "adjustment",
    "figure-forest-same": "effects_same",
    "figure-forest-adjacent": "effects_adjacent",
    "figure-forest-remote": "effects_remote",
    "figure-factor-risks": "standardized_risks",
    "figure-states": "states",
    "figure-counts": "mean_counts",
    "figure-intervals": "by_interval",
    "figure-sensitivity": "sensitivity",
    "figure-literature": "literature",
    "figure-gap": "gap_steps",
    "figure-published-ratios": "published_ratios",
    **{f"figure-pooled-{name}": "pooled_studies" for name in ("same", "adjacent", "remote", "any")},
}


def build_report(
    results: StudyResults,
    out: Path,
    *,
    internal: bool = False,
    force: bool = False,
    generated_at: datetime | None = None,
) -> Path:
    """Write the report of a study and return the path of its `report.html`.

    out : the folder; it must be free or empty, or with `force` hold an earlier report, which is replaced in one step.
    internal : show small counts and row numbers; such a report stays inside the registry.
    generated_at : the time it says it was made; default SOURCE_DATE_EPOCH, else now.
    Raises OutputError when `out` may not be written or another run is writing to it.
    """
    out = Path(out)
    # Drawing takes a while: a folder that cannot be used is refused first.
    refuse_if_taken(out, force=force)
    files = report_files(results, internal=internal, generated_at=generated_at)

    def write(folder: Path) -> None:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)

    return publish(out, write, force=force) / "report.html"


def report_files(
    results: StudyResults, *, internal: bool = False, generated_at: datetime | None = None
) -> dict[str, bytes]:
    """Every file of the report by its path within the folder; the same results and time give the same bytes."""
    made = provenance.time_of_making(generated_at)
    versions = provenance.versions()
    rule = Disclosure(results.registry.study.disclosure.minimum_count, internal)
    page = Page(results, rule, versions)
    opening, body = _numbered(sections.first_figure(page), sections.sections(page))
    monthly = sections.curve_values(page)

    files: dict[str, bytes] = {}
    for block in [*opening, *(block for section in body for block in section.blocks)]:
        if isinstance(block, TableBlock):
            files[f"tables/{block.table.key}.csv"] = to_csv(block.table.data).encode()
        elif isinstance(block, FigureBlock):
            name = block.key.removeprefix("figure-")
            files[f"figures/{name}.svg"] = theme.standalone(block.svg).encode()
    if len(monthly):
        files["tables/curves_monthly.csv"] = to_csv(monthly).encode()
    csv_of = {key: f"tables/{name}.csv" for key, name in FIGURE_DATA.items() if f"tables/{name}.csv" in files}
    files["report.html"] = _page(page, opening, body, csv_of, made).encode()
    files["manifest.json"] = provenance.to_json(
        provenance.manifest(results, files, generated_at=made, internal=internal)
    ).encode()
    return files


@dataclass
class _Counter:
    figures: int = 0
    tables: int = 0

    def number(self, block: Block) -> Block:
        if isinstance(block, FigureBlock):
            self.figures += 1
            return replace(block, number=self.figures)
        if isinstance(block, TableBlock):
            self.tables += 1
            return replace(block, number=self.tables)
        return block


def _numbered(opening: list[Block], body: list[Section]) -> tuple[list[Block], list[Section]]:
    """Figures and tables with their numbers, in the order of the page."""
    counter = _Counter()
    first = [counter.number(block) for block in opening]
    return first, [replace(section, blocks=[counter.number(b) for b in section.blocks]) for section in body]


def _page(page: Page, opening: list[Block], body: list[Section], csv_of: dict[str, str], made: datetime) -> str:
    results = page.results
    study = results.registry.study
    context: dict[str, Any] = {
        "title": study.output.title,
        "registry": study.output.registry,
        "period": _period(results.period),
        "numbers": sections.headline_numbers(page),
        "level": page.level,
        "quality": quality.quality_sentence(page),
        "opening": opening,
        "sections": body,
        "csv_of": csv_of,
        "internal": page.rule.internal,
        "made": made.strftime("%Y-%m-%d %H:%M UTC"),
        "version": page.versions.get("vertebral-cohort", ""),
        "settings_digest": study.digest,
    }
    return template("report.html").render(context)


def _period(period: tuple[pd.Timestamp, pd.Timestamp]) -> str:
    known = [day.strftime("%Y-%m-%d") for day in period if not pd.isna(day)]
    return " to ".join(known) if len(known) == 2 else "period not known"
