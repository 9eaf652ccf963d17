"""Risk factors as printed: one exposure, four measures, and beside each the question that it answers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort.present import numbers
from cohort.present.disclosure import Disclosure
from cohort.present.tables.further import for_csv
from cohort.present.tables.model import BoolArray, Cell, Column, Row, Table, estimate_cell, heading, of, records, row
from cohort.present.tables.ratios import PERCENT, Notes
from cohort.present.tables.risk import COVARIATES, RATIO, REFRACTURES, covariates

ANSWERS: Final = {
    "hazard_ratio": "Causes: among those still at risk",
    "subdistribution_hazard_ratio": "Who is seen again, the dead counted in",
    "risk_difference": "Decisions: how many more of 100",
    "risk_ratio": "The same, as a ratio",
}
RISKS: Final = ("risk_none_exposed", "risk_all_exposed", "risk_difference")
UNITS: Final = {"same": "treated vertebrae", "adjacent": "patients", "remote": "patients"}
# How a model writes a number, and what one of its steps is: the factor back to the reader's unit, and that unit.
STEPS: Final = {"height_restoration": (10.0, "percentage points"), "age": (10.0, "years"), "t_score": (1.0, "")}
TERMS: Final = {
    "age": "Age, per 10 years",
    "female": "Female",
    "prior_fractures": "Earlier fractures, each",
    "t_score": "T-score, per SD higher",
}
ANALYSES: Final = {"complete case": "Complete cases", "multiple imputation": "Imputed"}
FEW_DRAWS: Final = r"\d+ imputations are few where \d+% of the information is missing"
COUNTS: Final = ("n_patients", "n_units", "n_events")
VALUES: Final = ("estimate", "conf_low", "conf_high")


def with_columns(frame: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The frame with a new index and every column named; those it lacks are missing throughout."""
    return frame.reindex(columns=list(dict.fromkeys([*frame.columns, *names]))).reset_index(drop=True)


def name_of(label: object) -> str:
    """An exposure without the step of its ratio.

    >>> name_of("T-score, per SD higher"), name_of("Anti-osteoporotic drug, current")
    ('T-score', 'Anti-osteoporotic drug, current')
    """
    return str(label).partition(", per ")[0]


def contrast(exposure: object, low: float, high: float) -> str:
    """The two values whose risks are compared, in the reader's unit; empty for yes/no.

    >>> contrast("height_restoration", 0.0, 5.0), contrast("t_score", -3.5, -2.5), contrast("cleft", math.nan, math.nan)
    ('50 against 0 percentage points', '-2.5 against -3.5', '')
    """
    if math.isnan(low) or math.isnan(high):
        return ""
    factor, unit = STEPS.get(str(exposure), (1.0, ""))
    return f"{high * factor:g} against {low * factor:g} {unit}".rstrip()


def contrasts(frame: pd.DataFrame) -> dict[str, str]:
    """The contrast of each exposure that is a number."""
    found = with_columns(frame, ("contrast_from", "contrast_to")).dropna(subset=["contrast_from", "contrast_to"])
    return {
        str(r.exposure): contrast(r.exposure, float(r.contrast_from), float(r.contrast_to))
        for r in records(found.drop_duplicates("exposure"))
    }


def few_on_one_side(frames: Iterable[pd.DataFrame], rule: Disclosure) -> set[tuple[str, str]]:
    """Outcome and exposure of which few of those with the event were exposed, or few were not."""
    found: set[tuple[str, str]] = set()
    for frame in frames:
        if frame.empty or "n_exposed_events" not in frame:
            continue
        small = rule.small(frame["n_exposed_events"]) | rule.small(frame["n_events"] - frame["n_exposed_events"])
        found |= {(str(r.outcome), str(r.exposure)) for r in records(frame[small])}
    return found


def with_concealed(effects: pd.DataFrame, rare: pd.DataFrame, rule: Disclosure) -> pd.DataFrame:
    """The effects with `few` (events or patients that are not counted out) and `concealed` (what rests on them).

    effects, rare : as in `RiskFactors`. A risk of the exposed, and a difference of risks, rests on the events of each
    side: where few on one side had the event, a risk times those on that side would give their number, so that risks
    and differences are concealed; ratios rest on all events together.
    """
    frame = with_columns(effects, ("outcome", "exposure", "measure", "model", *COUNTS, *VALUES, "time", "note"))
    few = rule.small(frame["n_events"]) | rule.small(frame["n_patients"])
    sided = few_on_one_side((effects, rare), rule)
    one_side = np.array([pair in sided for pair in zip(frame["outcome"], frame["exposure"], strict=True)], dtype=bool)
    return frame.assign(few=few, concealed=few | (one_side & frame["measure"].isin(RISKS).to_numpy()))


def in_words(text: object) -> str:
    """A note with columns by their names for readers, and without what each row has in its CSV.

    >>> in_words("not imputed: t_score does not vary where it is known")
    'not imputed: T-score does not vary where it is known'
    >>> in_words("20 imputations are few where 31% of the information is missing")
    'few imputations for how much is missing'
    """
    said = re.sub(FEW_DRAWS, "few imputations for how much is missing", text) if isinstance(text, str) else ""
    for name, words in COVARIATES.items():
        if "_" in name:
            said = said.replace(name, words)
    return said


def tellable(frame: pd.DataFrame, hidden: Any) -> bool:
    """Whether any estimate is finite and not hidden."""
    return bool((np.isfinite(frame["estimate"].to_numpy(dtype=np.float64)) & ~np.asarray(hidden, dtype=bool)).any())


def value_cell(r: Any, hidden: bool, kind: numbers.Kind = "ratio", without: str = "not estimable") -> Cell:
    """An estimate with its interval; a dash where it is hidden, words where there is none."""
    if not math.isfinite(r.estimate) and not hidden:
        return Cell(without)
    return estimate_cell(r.estimate, r.conf_low, r.conf_high, kind, hidden)


def behind(r: Any, few: bool, rule: Disclosure) -> str:
    """Events of units."""
    return of(rule.text(float(r.n_events), few or None), rule.text(float(r.n_units)))


def csv_of(
    frame: pd.DataFrame,
    columns: Iterable[str],
    rule: Disclosure,
    *,
    few: BoolArray,
    hidden: BoolArray,
    percent: BoolArray,
) -> pd.DataFrame:
    """The columns for the CSV; estimates of the rows in `percent` round as per cent, others as ratios.

    few : rows whose events are hidden; hidden : rows whose estimates are, and whose note could tell of them.
    """
    said = frame.assign(note=np.where(hidden, "", frame["note"].astype("object"))) if "note" in frame else frame
    parts = [
        for_csv(
            said[part],
            columns,
            rule,
            counts={
                "n_events": few[part],
                "n_patients": rule.small(frame.loc[part, "n_patients"]),
                "n_units": rule.small(frame.loc[part, "n_units"]),
            },
            values=kinds,
            hidden=hidden[part],
        )
        for part, kinds in ((percent, PERCENT), (~percent, RATIO))
        if part.any()
    ]
    return pd.concat(parts).sort_index() if parts else frame


def adjustment(frame: pd.DataFrame) -> Table | None:
    """The set of each exposure in words."""
    if frame.empty:
        return None
    rows = [row(name, words, declared) for name, words, declared in sets(frame)]
    return Table(
        "adjustment",
        "What each exposure is adjusted for",
        "The sets that the study file declares under [models.adjustment], the same for every outcome: what may lie "
        "behind both the exposure and the refracture, as far as it is recorded. What an exposure leads to has no place "
        "in its set.",
        (Column("Exposure", "text"), Column("Adjusted for", "text"), Column("Declared", "text")),
        tuple(rows),
        frame[["exposure", "label", "covariate", "declared"]],
    )


def sets(frame: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Exposure, its set in words, and whether the study file declares one.

    >>> frame = pd.DataFrame({"exposure": ["leak"] * 2 + ["cement"], "label": ["Leak"] * 2 + ["Cement"],
    ...     "covariate": ["cleft", "t_score", ""], "declared": ["yes", "yes", "no"]})
    >>> sets(frame)
    [('Leak', 'cleft, T-score', 'yes'), ('Cement', 'nothing: crude only', 'no')]
    """
    return [
        (
            name_of(block["label"].iloc[0]),
            covariates(", ".join(block["covariate"])) or "nothing: crude only",
            str(block["declared"].iloc[0]),
        )
        for _, block in frame.groupby("exposure", sort=False, observed=True)
    ]


def effects(shown: pd.DataFrame, outcome: str, horizon_days: float, rule: Disclosure) -> Table | None:
    """What each finding does, under four questions; None where no estimate of the outcome can be shown.

    shown : as `with_concealed` gives it.
    """
    frame = shown[(shown["outcome"] == outcome) & shown["measure"].isin(ANSWERS)].reset_index(drop=True)
    if not tellable(frame, frame["concealed"]):
        return None
    within = numbers.days(horizon_days)
    labels = {
        "hazard_ratio": "Hazard ratio",
        "subdistribution_hazard_ratio": "Subdistribution hazard ratio",
        "risk_difference": f"More per 100 within {within}",
        "risk_ratio": f"Risk ratio within {within}",
    }
    notes, rows = Notes(rule), []
    compared = contrasts(frame)
    for exposure, block in frame.groupby("exposure", sort=False, observed=True):
        between = f"; risks: {compared[str(exposure)]}" if str(exposure) in compared else ""
        rows.append(heading(f"{block['label'].iloc[0]}{between}"))
        for measure, answers in ANSWERS.items():
            fitted = {str(r.model): r for r in records(block[block["measure"] == measure])}
            crude, adjusted = fitted.get("crude"), fitted.get("adjusted")
            best = crude if adjusted is None else adjusted
            if best is None:
                continue
            kind: numbers.Kind = "percent" if measure == "risk_difference" else "ratio"
            said = [r.note for r in fitted.values() if not r.concealed]
            rows.append(
                row(
                    f"{labels[measure]}{notes.marks(*said)}",
                    value_cell(crude, bool(crude.concealed), kind) if crude is not None else Cell(numbers.MISSING),
                    value_cell(adjusted, bool(adjusted.concealed), kind) if adjusted is not None else Cell("no set"),
                    behind(best, bool(best.few), rule),
                    answers,
                    indent=True,
                )
            )
    unit = UNITS[outcome]
    few, hidden = frame["few"].to_numpy(), frame["concealed"].to_numpy()
    return Table(
        f"effects_{outcome}",
        f"What each finding does: {REFRACTURES[outcome].lower()} refracture",
        f"Unit: for the hazard ratio, vertebrae at risk in the role, exposures as on each day; for the others, {unit}, "
        "exposures as at entry; clustered in patients. Denominator: those with the exposure and covariates known. "
        f"Window: all follow-up for both hazard ratios, {within} for risks. Events / units: behind the adjusted value. "
        "Risks are standardized: all against none of the same units with the finding.",
        (
            Column("", "text"),
            Column("Crude (interval)", "estimate"),
            Column("Adjusted (interval)", "estimate"),
            Column("Events / units"),
            Column("Answers", "text"),
        ),
        tuple(rows),
        csv_of(
            frame.assign(contrast=frame["exposure"].map(compared).where(frame["measure"].str.startswith("risk"), "")),
            ("outcome", "exposure", "label", "measure", "model", "adjusted_for", "unit", "time", "contrast",
             "penalized", *COUNTS, *VALUES, "note"),
            rule, few=few, hidden=hidden, percent=(frame["measure"] == "risk_difference").to_numpy(),
        ),
        notes.footnotes,
        long=True,
    ).with_notes(rule.note() if hidden.any() else "", ONE_SIDE if (hidden & ~few).any() else "")  # fmt: skip


ONE_SIDE: Final = (
    "Risks and differences are also withheld where few of those with the event had the finding, or few had not."
)


def fullest(shown: pd.DataFrame) -> pd.DataFrame:
    """Of each exposure the adjusted rows, or the crude ones where the study declares no set."""
    adjusted = shown["model"] == "adjusted"
    pairs = shown["outcome"].astype(str) + "\n" + shown["exposure"].astype(str)
    return shown[adjusted | ~pairs.isin(pairs[adjusted])].reset_index(drop=True)


def risks(shown: pd.DataFrame, horizon_days: float, rule: Disclosure) -> Table | None:
    """The standardized risk if all and if none had each finding; shown : as `with_concealed` gives it."""
    frame = fullest(shown[shown["measure"].isin(RISKS)])
    if not tellable(frame, frame["concealed"]):
        return None
    compared = contrasts(frame)
    rows: list[Row] = []
    for outcome, of_outcome in frame.groupby("outcome", sort=False, observed=True):
        rows.append(heading(f"{REFRACTURES[str(outcome)]} refracture, {UNITS[str(outcome)]}"))
        for exposure, block in of_outcome.groupby("exposure", sort=False, observed=True):
            fitted = {str(r.measure): r for r in records(block)}
            first = next(iter(fitted.values()))
            cells = [
                value_cell(fitted[name], bool(fitted[name].concealed), "percent")
                if name in fitted
                else Cell("not estimable")
                for name in RISKS
            ]
            between = f": {compared[str(exposure)]}" if str(exposure) in compared else ""
            rows.append(
                row(f"{name_of(first.label)}{between}", behind(first, bool(first.few), rule), *cells, indent=True)
            )
    few, hidden = frame["few"].to_numpy(), frame["concealed"].to_numpy()
    within = numbers.days(horizon_days)
    return Table(
        "standardized_risks",
        f"Risk within {within} if all had each finding, and if none had",
        "Unit: treated vertebrae (same level) or patients, exposures as at entry; denominator: those with the exposure "
        f"and covariates known; window: {within} after treatment. Adjusted risks per 100, death competing, averaged "
        "over the covariates of all. Of a number: the first value against the second.",
        (
            Column("", "text"),
            Column("Events / units"),
            Column("If none (interval)", "estimate"),
            Column("If all (interval)", "estimate"),
            Column("All less none (interval)", "estimate"),
        ),
        tuple(rows),
        csv_of(
            frame.assign(contrast=frame["exposure"].map(compared).fillna("")),
            ("outcome", "exposure", "label", "measure", "model", "adjusted_for", "unit", "time", "contrast", *COUNTS,
             *VALUES, "note"),
            rule, few=few, hidden=hidden, percent=np.ones(len(frame), dtype=bool),
        ),
        long=True,
    ).with_notes(rule.note() if hidden.any() else "", ONE_SIDE if (hidden & ~few).any() else "")  # fmt: skip


def predictive(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """All exposures and covariates in one model, of each outcome; no ratio of it is an effect."""
    frame = with_columns(frame, ("outcome", "term", "label", "analysis", "method", *COUNTS, *VALUES, "note"))
    hidden = rule.small(frame["n_events"]) | rule.small(frame["n_patients"])
    if not tellable(frame, hidden):
        return None
    analyses = [str(name) for name in frame["analysis"].drop_duplicates()]
    notes = Notes(rule)
    rows: list[Row] = []
    for outcome, of_outcome in frame.groupby("outcome", sort=False, observed=True):
        rows.append(heading(f"{REFRACTURES[str(outcome)]} refracture"))
        counts = {str(r.analysis): r for r in records(of_outcome) if not math.isnan(r.n_events)}
        line = [
            behind(counts[name], bool(hidden[counts[name].Index]), rule) if name in counts else numbers.MISSING
            for name in analyses
        ]
        why = of_outcome.loc[of_outcome["term"].fillna("") == "", "note"]
        rows.append(row(f"Events / units{notes.marks(*map(in_words, why))}", *line, indent=True))
        for term, block in of_outcome[of_outcome["term"].fillna("") != ""].groupby("term", sort=False, observed=True):
            found = {str(r.analysis): r for r in records(block)}
            label = TERMS.get(str(term), str(block["label"].iloc[0]))
            said = [in_words(r.note) for r in found.values() if not hidden[r.Index]]
            cells = [
                value_cell(found[name], bool(hidden[found[name].Index])) if name in found else Cell(numbers.MISSING)
                for name in analyses
            ]
            rows.append(row(f"{label}{notes.marks(*said)}", *cells, indent=True))
    return Table(
        "predictive",
        "All findings in one model: predictive, not causal",
        "Unit: treated vertebrae (same level) or patients, exposures as at entry, clustered in patients; denominator: "
        "those with every term known, or all where what is missing was imputed; window: all follow-up. Hazard ratios "
        "of one Cox model per outcome, for telling who is likely to refracture. None of them is an effect: beside what "
        "it leads to, a finding loses what it does through it.",
        (
            Column("", "text"),
            *(Column(ANALYSES.get(name, name), "estimate", group="Hazard ratio (interval)") for name in analyses),
        ),
        tuple(rows),
        csv_of(
            frame,
            ("outcome", "term", "analysis", "model", "method", *COUNTS, *VALUES, "fmi", "note"),
            rule, few=hidden, hidden=hidden, percent=np.zeros(len(frame), dtype=bool),
        ),
        notes.footnotes,
        long=True,
    ).with_notes(
        "Firth's penalized ratios, where maximum likelihood had no finite value."
        if (frame["method"] == "Firth").any()
        else "",
        rule.note() if hidden.any() else "",
    )  # fmt: skip
