"""A published study as a small registry that carries its printed counts and goes through the stages as any other does.

What a study does not print (age, sex, levels, days) is filled in one plain way that no printed figure hangs on, and
every such filling is a sentence of `Reconstruction.assumed`. Nothing is drawn at random, and no patient is real.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import tomlkit

from cohort.domain.errors import OutputError
from cohort.domain.study import StudyDefinition
from cohort.literature.reconstruct_recipes import Numbers, Recipe, decimals, found_in, published, raw, recipe, studies
from cohort.literature.reconstruct_tables import build

FIGURE_COLUMNS: Final = (
    "study_key", "quantity", "part", "event_level", "unit", "measure", "outcome", "among", "share", "within_days",
    "printed_numerator", "printed_denominator", "printed_percent", "percent_decimals", "printed_value",
    "basis", "source", "confidence", "citation",
)  # fmt: skip
_DAYS_MEASURES: Final = ("mean_days", "first_day", "last_day")


@dataclass(frozen=True)
class Reconstruction:
    """A registry made from a study's printed counts.

    name : the study. tables : raw tables by name, every cell text and "" where empty, as `cohort.read` takes them from
    files. study : the settings under which that study counted. figures : one row per published figure that it must
    return, FIGURE_COLUMNS: `part` tells apart what is printed beside a figure; measure, outcome (relation), among and
    share (conditions) and within_days say how it is had; printed_percent has percent_decimals digits; printed_value is
    a number of days; basis says which of them the source prints. assumed : what the source does not print and how it
    was filled.
    """

    name: str
    tables: Mapping[str, pd.DataFrame]
    study: StudyDefinition
    figures: pd.DataFrame
    assumed: tuple[str, ...]

    def write(self, folder: str | Path) -> list[Path]:
        """Write the tables as CSV and the settings as study.toml, with what is assumed at its top; returns the files.

        Raises OutputError when the folder cannot be written.
        """
        out = Path(folder)
        written = []
        try:
            out.mkdir(parents=True, exist_ok=True)
            for name, frame in self.tables.items():
                path = out / f"{name}.csv"
                frame.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
                written.append(path)
            path = out / "study.toml"
            path.write_text(self._study_file(), encoding="utf-8")
            written.append(path)
        except OSError as error:
            raise OutputError(f"The reconstruction cannot be written to {out}: {error.strerror}.") from error
        return written

    def _study_file(self) -> str:
        document = tomlkit.document()
        document.add(tomlkit.comment("Made from published counts; no patient is real. What the source does not print:"))
        for sentence in self.assumed:
            document.add(tomlkit.comment(sentence))
        for section, settings in self.study.model_dump(mode="json", exclude_defaults=True).items():
            document.add(section, tomlkit.item(settings))
        return tomlkit.dumps(document)


def reconstruct(study: str) -> Reconstruction:
    """The registry of a published study.

    study : a study of `reconstructable()`; the two series that the review quotes are jacobson2017_large (1,800
    patients) and jacobson2017_small (104 patients).

    Raises DefinitionError where no reconstruction is held.

    >>> series = reconstruct("jacobson2017_large")
    >>> len(series.tables["patients"]), len(series.tables["fractures"])
    (1800, 10)
    >>> series.study.judgement.tier, series.study.models.windows_days
    ('retreated', (730,))
    """
    found = recipe(study)
    tables, assumed = build(found)
    figures = _figures(found)
    return Reconstruction(study, tables, _study(found, figures), figures, assumed)


def reconstructable() -> pd.DataFrame:
    """Every published figure, whether it can be reconstructed, in which study, and why (not): one row per figure.

    Columns: study_key, quantity, reconstructable (yes, no), reason, study ("" where not), source, confidence.

    >>> reconstructable().query("study_key == 'ryu2014'")[["reconstructable", "reason"]].values.tolist()
    [['no', 'no whole number of the printed patients gives the printed per cent']]
    """
    rows = raw("reconstructions_figures")
    rows = rows[rows["part"] == ""][["study_key", "quantity", "reconstructable", "reason", "study"]]
    beside = raw("figures")[["study_key", "quantity", "source_where_read", "confidence"]]
    found = beside.merge(rows, on=["study_key", "quantity"], how="left", validate="one_to_one")
    found = found.rename(columns={"source_where_read": "source"})
    return found[["study_key", "quantity", "reconstructable", "reason", "study", "source", "confidence"]]


def reconstructed_studies() -> tuple[str, ...]:
    """The names that `reconstruct` takes, in the order of the table."""
    return studies()


def _figures(found: Recipe) -> pd.DataFrame:
    longest = max(found.numbers.count(item.days) for item in found.items if item.kind == "patients")
    rows = [_figure(row, found.numbers.also(follow=longest)) for row in found.figures.to_dict("records")]
    frame = pd.DataFrame(rows, columns=list(FIGURE_COLUMNS))
    for name in ("printed_numerator", "printed_denominator", "printed_percent", "printed_value"):
        frame[name] = frame[name].astype("float64")
    return frame


def _figure(row: Mapping[Any, Any], numbers: Numbers) -> dict[str, Any]:
    figure = published(row["study_key"], row["quantity"])
    is_part, in_days = bool(row["part"]), row["measure"] in _DAYS_MEASURES
    printed = "" if is_part or in_days else figure["percent"]
    if row["percent_as_printed"]:
        printed = found_in(figure["note"], row["percent_as_printed"])
    numerator, denominator, value = row["printed_numerator"], row["printed_denominator"], row["printed_value"]
    if not is_part:
        numerator, denominator = figure["numerator"], figure["denominator"]
        value = figure["window_days"] if in_days else ""
    return {
        **{name: row[name] for name in ("study_key", "quantity", "part", "measure", "outcome", "among", "share")},
        "event_level": figure["event_level"],
        "unit": figure["unit"],
        "within_days": numbers.count(row["within"] or "follow"),
        "printed_numerator": numbers.value(numerator) if numerator else None,
        "printed_denominator": numbers.value(denominator) if denominator else None,
        "printed_percent": float(printed) if printed else None,
        "percent_decimals": decimals(printed),
        "printed_value": numbers.value(value) if value else None,
        "basis": row["reason"],
        "source": figure["source_where_read"],
        "confidence": figure["confidence"],
        "citation": figure["citation"],
    }


def _study(found: Recipe, figures: pd.DataFrame) -> StudyDefinition:
    """The defaults, less what the study is known to have done otherwise."""
    settings = found.settings
    windows = tuple(sorted(set(figures["within_days"].tolist())))
    study = StudyDefinition().with_("models", windows_days=windows).with_("judgement", tier=settings["tier"])
    if settings["reach"]:
        study = study.with_("relation", reach=int(settings["reach"]))
    if settings["staged_days"]:
        study = study.with_("relation", staged_days=int(settings["staged_days"]))
    if settings["junction"]:
        study = study.with_("exposures", junction=tuple(settings["junction"].split(";")))
    study = study.with_("output", title=f"Reconstruction of {found.study}", registry="Made from published counts")
    if not settings["arm_timing"]:
        return study
    declared = {"patients": {"timing": {"arm": settings["arm_timing"]}}}
    return StudyDefinition.model_validate({**study.model_dump(), "tables": declared})
