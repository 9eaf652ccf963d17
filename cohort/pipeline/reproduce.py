"""Published figures had again from registries made of their counts, by the stages that any registry goes through.

A reconstruction is written to files, read, classified and counted; the recipe that made it is not looked at again.
What comes out is set beside what was printed, figure by figure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort import atrisk, estimate
from cohort.domain.errors import DefinitionError
from cohort.domain.outcomes import REFRACTURE_RELATIONS
from cohort.literature.arithmetic import percent
from cohort.literature.reconstruct import Reconstruction, reconstruct, reconstructed_studies
from cohort.pipeline import definitions, describe, occurrence
from cohort.pipeline.stages import Cohort, Progress, measures, prepare, read
from cohort.tables.results import Registry

EXACTLY: Final = "reproduced exactly"
ROUNDED: Final = "within rounding"
NOT: Final = "not reproduced"
VERDICTS: Final = (EXACTLY, ROUNDED, NOT)
COLUMNS: Final = (
    "study", "study_key", "quantity", "part", "event_level", "unit", "measure", "outcome", "among", "share",
    "within_days", "printed_numerator", "printed_denominator", "printed_percent", "printed_value",
    "obtained_numerator", "obtained_denominator", "obtained_percent", "obtained_value",
    "verdict", "reason", "basis", "source", "confidence",
)  # fmt: skip
_RELATIONS: Final[dict[str, tuple[str, ...]]] = {
    **{relation: (relation,) for relation in REFRACTURE_RELATIONS},
    "untreated": ("adjacent", "remote"),
    "any": REFRACTURE_RELATIONS,
}
_CONDITION: Final = re.compile(r"(\w+) (=|!=|>=|<=) (.+)")
_HAIR: Final = 1e-9


@dataclass(frozen=True)
class Obtained:
    """What the stages give for one figure; NaN where it has no such part. value : days."""

    numerator: float = float("nan")
    denominator: float = float("nan")
    percent: float = float("nan")
    value: float = float("nan")

    @classmethod
    def share(cls, numerator: float, denominator: float) -> Obtained:
        """A count over a count."""
        return cls(numerator, denominator, float(percent(numerator, denominator)))


def reproduce(study: str) -> pd.DataFrame:
    """The published figures of one study beside what its reconstruction gives: one row per figure, COLUMNS.

    study : as for `cohort.literature.reconstruct`. Percentages are per cent, values are days, nothing is rounded.
    `verdict` is "reproduced exactly" (the printed counts, or the printed mean, come out as printed), "within rounding"
    (only a per cent is printed, and the one obtained prints the same) or "not reproduced", with the reason.

    Raises DefinitionError where no reconstruction is held.

    >>> found = reproduce("jacobson2017_large").query("part == ''")
    >>> found[["obtained_numerator", "obtained_denominator", "verdict"]].values.tolist()[0]
    [10.0, 1800.0, 'reproduced exactly']
    """
    made = reconstruct(study)
    return of_registry(made, registry_of(made))


def reproduce_all(progress: Progress | None = None) -> pd.DataFrame:
    """The same of every reconstructed study, in the order of the recipes.

    progress : called with a sentence per study.
    """
    parts = []
    names = reconstructed_studies()
    for k, name in enumerate(names, 1):
        if progress is not None:
            progress(f"Reproducing {name}, study {k} of {len(names)}")
        parts.append(reproduce(name))
    return pd.concat(parts, ignore_index=True)


def registry_of(made: Reconstruction) -> Registry:
    """A reconstruction written to files and read as any registry is."""
    with TemporaryDirectory() as folder:
        made.write(folder)
        return read(Path(folder))


def of_registry(made: Reconstruction, registry: Registry) -> pd.DataFrame:
    """The figures of a reconstruction from a registry that was read already (or changed since, to see what moves)."""
    run = Run(prepare(registry))
    rows = []
    for figure in made.figures.to_dict("records"):
        obtained = READERS[figure["measure"]](run.among(figure["among"]), figure)
        verdict, reason = judge(figure, obtained)
        rows.append(
            {
                **figure,
                "study": made.name,
                "obtained_numerator": obtained.numerator,
                "obtained_denominator": obtained.denominator,
                "obtained_percent": obtained.percent,
                "obtained_value": obtained.value,
                "verdict": verdict,
                "reason": reason,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def judge(figure: Mapping[Any, Any], obtained: Obtained) -> tuple[str, str]:
    """Whether a figure came out as printed, and why it is said so.

    figure : printed_numerator, printed_denominator, printed_percent (with percent_decimals digits) and printed_value,
    NaN where not printed.

    >>> printed = {"printed_numerator": np.nan, "printed_denominator": 357.0, "printed_percent": 18.0,
    ...            "percent_decimals": 0, "printed_value": np.nan}
    >>> judge(printed, Obtained.share(64, 357))[0], judge(printed, Obtained.share(67, 357))[0]
    ('within rounding', 'not reproduced')
    """
    pairs = (
        ("numerator", figure["printed_numerator"], obtained.numerator),
        ("denominator", figure["printed_denominator"], obtained.denominator),
        ("number of days", figure["printed_value"], obtained.value),
    )
    for what, printed, found in pairs:
        if not np.isnan(printed) and not abs(found - printed) <= _HAIR:
            return NOT, f"The {what} is printed as {printed:g} and comes out as {found:g}."
    share, half = figure["printed_percent"], 0.5 * 10.0 ** -figure["percent_decimals"]
    prints_so = np.isnan(share) or abs(obtained.percent - share) <= half + _HAIR
    if np.isnan(share) or not (np.isnan(figure["printed_numerator"]) or np.isnan(figure["printed_denominator"])):
        if prints_so:
            return EXACTLY, "What is printed comes out as printed."
        return (
            EXACTLY,
            f"The counts come out as printed; the source's own {share:g} per cent does not follow from them.",
        )
    if not prints_so:
        return NOT, f"Printed as {share:g} per cent, and {obtained.percent:.4g} comes out."
    missing = "numerator" if np.isnan(figure["printed_numerator"]) else "denominator"
    return ROUNDED, f"The {missing} is not printed; the per cent obtained prints as the published one."


class Run:
    """A classified registry with what figures are read from; each frame is made once."""

    def __init__(self, cohort: Cohort) -> None:
        self.cohort = cohort
        self._parts: dict[str, Run] = {"": self}

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The measures of every treated vertebra."""
        return measures(self.cohort.registry).merge(
            self.cohort.augmentations[["augmentation_id", "date"]], on="augmentation_id", validate="one_to_one"
        )

    @cached_property
    def baseline(self) -> pd.DataFrame:
        """What is known of every patient at entry, with the arm."""
        patients = self.cohort.tables["patients"]
        known = atrisk.baseline(self.cohort.tables, self.cohort.augmentations, self.cohort.study)
        return known if "arm" not in patients else known.assign(arm=patients["arm"].to_numpy())

    @cached_property
    def counted(self) -> pd.DataFrame:
        """The counted sightings of the main population, each with the measures of its augmentation."""
        main = self.cohort.follow_up.loc[self.cohort.follow_up["in_main"], "patient_id"]
        rows = self.cohort.sightings
        rows = rows[rows["counted"].eq("yes") & rows["patient_id"].isin(main)]
        own = [name for name in self.measured if name not in rows.columns]
        return rows.merge(self.measured[["augmentation_id", *own]], on="augmentation_id", how="left")

    def refractures(self, outcome: str, within_days: int) -> pd.DataFrame:
        """Counted sightings of an outcome up to a day."""
        rows = self.counted
        return rows[rows["relation"].isin(_RELATIONS[outcome]) & (rows["days_since"] <= within_days)]

    def who(self, condition: str) -> pd.Index:
        """Patients who meet a condition, or one of whose treated vertebrae does."""
        name, _, word = _read(condition)
        if name == "fractured":
            return pd.Index(self.refractures(word, int(self.counted["days_since"].max()))["patient_id"].unique())
        rows = self.baseline if name in self.baseline else self.measured
        return pd.Index(rows.loc[met(rows, condition), "patient_id"].unique())

    def among(self, conditions: str) -> Run:
        """The patients who meet every condition; "" is everybody."""
        if conditions not in self._parts:
            chosen = pd.Index(self.cohort.tables["patients"]["patient_id"])
            for condition in conditions.split("; "):
                chosen = chosen.intersection(self.who(condition))
            self._parts[conditions] = Run(_of_patients(self.cohort, chosen))
        return self._parts[conditions]


def met(rows: pd.DataFrame, condition: str) -> pd.Series:
    """Which rows meet a condition such as "leak_any = yes" or "days_since <= 365"; a missing value meets none.

    >>> met(pd.DataFrame({"n": [1, 2, None]}), "n >= 2").tolist()
    [False, True, False]
    """
    name, operator, word = _read(condition)
    if name not in rows:
        raise DefinitionError(f"The condition {condition!r} speaks of {name!r}, which is no column here.")
    values = rows[name]
    if operator in (">=", "<=") or pd.api.types.is_numeric_dtype(values):
        number, bound = values.astype("float64"), float(word)
        compared = {"=": number == bound, "!=": number != bound, ">=": number >= bound, "<=": number <= bound}
        return compared[operator] & number.notna()
    text = values.astype("object")
    return (text.eq(word) if operator == "=" else text.ne(word)) & text.notna()


def _read(condition: str) -> tuple[str, str, str]:
    said = _CONDITION.fullmatch(condition)
    if said is None:
        raise DefinitionError(f"The condition {condition!r} is not of the form 'column = value'.")
    return said[1], said[2], said[3]


def _of_patients(cohort: Cohort, chosen: pd.Index) -> Cohort:
    """The same cohort of some patients only; patients are independent, so nothing else changes."""

    def cut(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["patient_id"].isin(chosen)].reset_index(drop=True)

    registry = replace(cohort.registry, tables={name: cut(frame) for name, frame in cohort.tables.items()})
    return Cohort(registry, cut(cohort.sightings), cut(cohort.augmentations))


def _patients(run: Run, figure: Mapping[Any, Any]) -> Obtained:
    """Patients with an event among those followed to the window or broken before it."""
    outcome, window = figure["outcome"], figure["within_days"]
    if outcome not in ("untreated", "retreated"):
        frame = occurrence.proportions(run.cohort).frame
        row = frame[(frame["outcome"] == outcome) & (frame["time"] == window)].iloc[0]
        return Obtained.share(float(row["n_events"]), float(row["n_patients"]))
    endpoints = _RELATIONS.get(outcome, (outcome,))
    frames = [run.cohort.first_events(endpoint).frame.set_index("patient_id") for endpoint in endpoints]
    broke = pd.concat([(frame["cause"] == 1) & (frame["exit"] <= window) for frame in frames], axis=1).any(axis=1)
    followed = pd.concat([frame["exit"] >= window for frame in frames], axis=1).all(axis=1)
    return Obtained.share(float(broke.sum()), float((broke | followed).sum()))


def _patients_count(run: Run, figure: Mapping[Any, Any]) -> Obtained:
    """Patients with an event, where the number of those without is not printed."""
    if figure["outcome"] == "retreated":
        frame = run.cohort.first_events("retreated").frame
        return Obtained(float(((frame["cause"] == 1) & (frame["exit"] <= figure["within_days"])).sum()))
    return Obtained(float(run.refractures(figure["outcome"], figure["within_days"])["patient_id"].nunique()))


def _treated_vertebrae(run: Run, figure: Mapping[Any, Any]) -> Obtained:
    """Treated vertebrae that refractured, each on the clock of its own augmentation."""
    rows = atrisk.treated_vertebra_rows(*run.cohort.stages).frame
    broke = rows[(rows["cause"] == 1) & (rows["exit"] <= figure["within_days"])]
    return Obtained.share(broke["id"].nunique(), rows["id"].nunique())


def _adjacent_vertebrae(run: Run, figure: Mapping[Any, Any]) -> Obtained:
    """Untreated vertebrae within reach of a treated one that fractured."""
    rows = _adjacent_rows(run)
    broke = rows[(rows["cause"] == 1) & (rows["exit"] <= figure["within_days"])]
    return Obtained.share(broke["id"].nunique(), rows["id"].nunique())


def _free_vertebrae(run: Run, figure: Mapping[Any, Any]) -> Obtained:
    """Kaplan-Meier: adjacent vertebrae without a fracture by the window."""
    rows = _adjacent_rows(run)
    rows = rows.assign(event=(rows["cause"] == 1).astype(int))
    before = rows.groupby("id")["event"].cumsum() - rows["event"]
    first = rows[before == 0]  # a vertebra has at most one first fracture
    window = int(figure["within_days"])
    curve = estimate.kaplan_meier(
        first, exit="exit", event="event", entry="entry", id="id", cluster="cluster", at=[window]
    )
    return Obtained(percent=100 * float(curve.frame["estimate"].iloc[0]), denominator=float(first["id"].nunique()))


def _adjacent_rows(run: Run) -> pd.DataFrame:
    return atrisk.vertebra_rows(*run.cohort.stages, role="adjacent").frame


def _augmented_vertebrae(run: Run, figure: Mapping[Any, Any]) -> Obtained:
    """Augmented vertebrae to which a fracture of the outcome is attributed."""
    broke = run.refractures(figure["outcome"], figure["within_days"])
    return Obtained.share(broke["augmentation_id"].nunique(), len(run.cohort.augmentations))


def _fractures(run: Run, figure: Mapping[Any, Any]) -> Obtained:
    """Counted refractures of the outcome, or those of them that meet a condition over all of them."""
    rows = run.refractures(figure["outcome"], figure["within_days"])
    if not figure["share"]:
        return Obtained(float(len(rows)))
    return Obtained.share(float(met(rows, figure["share"]).sum()), float(len(rows)))


def _same_level_share(run: Run, figure: Mapping[Any, Any]) -> Obtained:
    """A share among the counted same-level refractures, where recorded, as the report gives it."""
    row = describe.shares_of_same_level(run.cohort).set_index("share").loc[figure["share"]]
    return Obtained.share(float(row["n_events"]), float(row["n"]))


def _patients_having(run: Run, figure: Mapping[Any, Any]) -> Obtained:
    """Patients who meet a condition at entry."""
    return Obtained.share(len(run.who(figure["share"])), len(run.cohort.tables["patients"]))


def _vertebrae_having(run: Run, figure: Mapping[Any, Any]) -> Obtained:
    """Treated vertebrae that meet a condition."""
    return Obtained.share(float(met(run.measured, figure["share"]).sum()), len(run.measured))


def _procedures_having(run: Run, figure: Mapping[Any, Any]) -> Obtained:
    """Procedures, the days on which a patient was treated, any vertebra of which meets a condition."""
    procedures = met(run.measured, figure["share"]).groupby([run.measured["patient_id"], run.measured["date"]]).any()
    return Obtained.share(float(procedures.sum()), len(procedures))


def _followed(run: Run, figure: Mapping[Any, Any]) -> Obtained:
    """Patients followed to the window."""
    time = run.cohort.follow_up
    long_enough = (time["exit_day"] - time["entry_day"]) >= figure["within_days"]
    return Obtained.share(float((long_enough & time["in_main"]).sum()), float(time["in_main"].sum()))


def _died(run: Run, figure: Mapping[Any, Any]) -> Obtained:
    """Patients who died within follow-up, up to the window."""
    time = run.cohort.follow_up
    death = run.cohort.tables["patients"]["death_date"]
    died = (death <= time["exit"]) & ((death - time["entry"]).dt.days <= figure["within_days"]) & time["in_main"]
    return Obtained.share(float(died.sum()), float(time["in_main"].sum()))


def _incidence(run: Run, figure: Mapping[Any, Any]) -> Obtained:
    """The cumulative incidence at the window, death competing."""
    frame = occurrence.incidence(run.cohort).frame
    row = frame[(frame["outcome"] == figure["outcome"]) & (frame["time"] == figure["within_days"])].iloc[0]
    return Obtained(float(row["n_events"]), float(row["n_patients"]), 100 * float(row["estimate"]))


def _definition(run: Run, figure: Mapping[Any, Any]) -> Obtained:
    """Treated vertebrae that failed by a published definition read from the films."""
    row = definitions.of_cohort(run.cohort).set_index("definition").loc[figure["share"]]
    return Obtained(float(row["n_events"]), float(row["n"]), 100 * float(row["estimate"]))


def _days(how: str) -> Callable[[Run, Mapping[Any, Any]], Obtained]:
    """A mean, first or last time from the augmentation to the counted refractures of the outcome."""

    def read_days(run: Run, figure: Mapping[Any, Any]) -> Obtained:
        since = run.refractures(figure["outcome"], figure["within_days"])["days_since"].astype("float64")
        return Obtained(value=float(since.agg(how)))

    return read_days


READERS: Final[dict[str, Callable[[Run, Mapping[Any, Any]], Obtained]]] = {
    "patients": _patients,
    "patients_count": _patients_count,
    "treated_vertebrae": _treated_vertebrae,
    "adjacent_vertebrae": _adjacent_vertebrae,
    "free_vertebrae": _free_vertebrae,
    "augmented_vertebrae": _augmented_vertebrae,
    "fractures": _fractures,
    "same_level_share": _same_level_share,
    "patients_having": _patients_having,
    "vertebrae_having": _vertebrae_having,
    "procedures_having": _procedures_having,
    "followed": _followed,
    "died": _died,
    "incidence": _incidence,
    "definition": _definition,
    "mean_days": _days("mean"),
    "first_day": _days("min"),
    "last_day": _days("max"),
}
