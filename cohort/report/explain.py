"""One patient's story as text and as a page with a drawing: why each sighting was called what it was called."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from cohort import __version__
from cohort.pipeline.history import history
from cohort.present import story, theme
from cohort.present.figures import story as drawing
from cohort.report.rendering import template
from cohort.tables.history import PatientHistory
from cohort.tables.results import Registry

STAMP: Final = "Internal use: this identifies one patient. Not for circulation."
WIDTH: Final = 100
KEY: Final = "figure-story"


def explain(registry: Registry, patient_id: str) -> Story:
    """Tell one patient's story: dated rows, treated set, and each sighting with the rules that it met.

    In Jupyter the result shows itself; elsewhere print `.text`, draw `.figure()`, or `.write("story.html")`.
    Raises RegistryError when no accepted row of patients has this id.

    >>> import cohort
    >>> story = cohort.explain(cohort.read("data/cases"), "case4")
    >>> print(story.text.splitlines()[0])
    Internal use: this identifies one patient. Not for circulation.
    """
    return Story(history(registry, patient_id))


@dataclass(frozen=True)
class Story:
    """One patient, as words and as a drawing."""

    history: PatientHistory

    @cached_property
    def entries(self) -> list[story.Entry]:
        """Every dated row with what the rules made of it, in the order of time."""
        return story.entries(self.history)

    @cached_property
    def text(self) -> str:
        """The whole story as plain text."""
        lines = [STAMP, "", f"Patient {self.history.patient_id}", ""]
        for sentence in story.opening(self.history):
            lines += textwrap.wrap(sentence, WIDTH)
        lines.append("")
        for entry in self.entries:
            place = f"  [{entry.table} row {entry.source_row}]" if entry.source_row else ""
            lines += textwrap.wrap(
                f"{day_of(entry)}  {entry.what}{place}", WIDTH, subsequent_indent=" " * 12, break_on_hyphens=False
            )
            for sentence in entry.because:
                lines += textwrap.wrap(
                    f"- {sentence}", WIDTH, initial_indent=" " * 12, subsequent_indent=" " * 14, break_on_hyphens=False
                )
        return "\n".join(lines)

    def figure(self) -> Figure | None:
        """The spine over time; None where nothing that can be drawn has a date."""
        return drawing.draw(self.history)

    @cached_property
    def html(self) -> str:
        """A page of its own: no network, nothing but this patient."""
        figure = self.figure()
        alt = drawing.alt(self.history)
        return template("story.html").render(
            stamp=STAMP,
            patient=self.history.patient_id,
            opening=story.opening(self.history),
            svg="" if figure is None else theme.svg(figure, KEY, alt),
            entries=[(day_of(entry), entry) for entry in self.entries],
            version=__version__,
            settings_digest=self.history.study.digest,
        )

    def write(self, path: str | Path) -> Path:
        """Write the page; returns its path."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.html, encoding="utf-8")
        return path

    def _repr_html_(self) -> str:
        return self.html

    def __str__(self) -> str:
        return self.text


def day_of(entry: story.Entry) -> str:
    """The day of an entry, or that there is none, in ten characters."""
    return "no date   " if pd.isna(entry.day) else entry.day.strftime("%Y-%m-%d")
