"""Tables of hazard ratios asked in other ways: of every episode, within patients, by time, and by when it happened."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cohort.present import numbers
from cohort.present.disclosure import Disclosure
from cohort.present.tables.further import COUNTED, LIMITS, for_csv, sentences
from cohort.present.tables.model import Cell, Column, Row, Table, estimate_cell, heading, of, records, row
from cohort.present.tables.risk import RATIO, REFRACTURES, sentence_case

PERCENT: dict[str, numbers.Kind] = dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high"), "percent")


class Notes:
    """Footnotes in the order in which rows first need them; what the columns say already is left out."""

    def __init__(self, rule: Disclosure) -> None:
        self._rule = rule
        self._said: list[str] = []

    def marks(self, *texts: object) -> str:
        """The marks of some notes, each of one or more sentences with semicolons between.

        >>> notes = Notes(Disclosure(5))
        >>> notes.marks("only 7 events; events in only 6 clusters: limits from t", ""), notes.marks("nobody at risk")
        (' [1]', ' [2]')
        >>> notes.footnotes
        ('[1] Events in few patients: limits from t.', '[2] Nobody at risk.')
        """
        places = set()
        for said in (sentence for text in texts for sentence in sentences(text, self._rule)):
            if said not in self._said:
                self._said.append(said)
            places.add(self._said.index(said) + 1)
        return "".join(f" [{place}]" for place in sorted(places))

    @property
    def footnotes(self) -> tuple[str, ...]:
        """Each note behind its mark."""
        return tuple(f"[{place}] {text}" for place, text in enumerate(self._said, 1))


def _untold(frame: pd.DataFrame) -> bool:
    """Whether no model has an estimate."""
    return "n_events" not in frame or not frame["estimate"].notna().any()


def ratio_cell(r: Any, hidden: bool) -> Cell:
    """A ratio with its interval; where there is none but nothing is hidden, words."""
    if math.isnan(r.estimate) and not hidden:
        return Cell("not estimable")
    return estimate_cell(r.estimate, r.conf_low, r.conf_high, "ratio", hidden)


def recurrent(frame: pd.DataFrame, reads: Mapping[str, str], death: str, rule: Disclosure) -> Table | None:
    """The hazard ratio of each exposure for refracture episodes, under each clock side by side."""
    if _untold(frame):
        return None
    frame = frame.reset_index(drop=True)
    hidden = rule.small(frame["n_events"]) | rule.small(frame["n_patients"])
    clocks = {str(r.clock): str(r.clock_label) for r in records(frame.drop_duplicates("clock"))}
    notes = Notes(rule)
    rows: list[Row] = []
    for _, block in frame.groupby("exposure", sort=False, observed=True):
        fitted = {str(r.clock): r for r in records(block)}
        every = fitted[next(iter(clocks))]
        line: list[str | Cell] = [
            f"{every.label}{notes.marks(*block['note'])}",
            of(rule.text(float(every.n_events), bool(hidden[every.Index])), rule.text(float(every.n_patients))),
        ]
        line += [ratio_cell(fitted[clock], bool(hidden[fitted[clock].Index])) for clock in clocks]
        rows.append(row(*line))
    exposed = rule.small(frame["n_exposed_events"]) | rule.small(frame["n_events"] - frame["n_exposed_events"])
    return Table(
        "recurrent",
        "Hazard ratios of every refracture, under four clocks",
        "Unit: patients, exposures as known at entry; refracture episodes of any relation over all follow-up, repeats "
        "included; denominator: patients with the covariates known. Cox models of recurrent events, variance robust by "
        "patient, each with the adjustment set of its exposure. The clocks ask different questions and need not agree.",
        (
            Column("Exposure", "text"),
            Column("Episodes / patients"),
            *(Column(_short(label), "estimate", group="Hazard ratio (interval)") for label in clocks.values()),
        ),
        tuple(rows),
        for_csv(
            frame,
            ("clock", "exposure", "label", "adjusted_for", *COUNTED, "n_exposed_events", *LIMITS, "p_value"),
            rule,
            counts={
                "n_events": hidden,
                "n_exposed_events": exposed | (hidden & frame["n_exposed_events"].notna().to_numpy()),
                "n_patients": rule.small(frame["n_patients"]),
            },
            values=RATIO,
            hidden=hidden,
        ),
        (
            *(f"{clocks[clock]}: {text}." for clock, text in reads.items() if clock in clocks),
            *([sentence_case(death)] if death else []),
            *notes.footnotes,
        ),
    ).with_notes(rule.note() if hidden.any() else "")


def _short(label: str) -> str:
    """A clock by the name in its brackets.

    >>> _short("Any episode (Andersen-Gill)")
    'Andersen-Gill'
    """
    inside = label.partition("(")[2].rstrip(")")
    return f"{inside[:1].upper()}{inside[1:]}" if inside else label


def within(frame: pd.DataFrame, settings: Mapping[str, Any], rule: Disclosure) -> Table | None:
    """Adjacent against remote vertebrae of the same patient, alone and beside the level."""
    if _untold(frame):
        return None
    frame = frame.reset_index(drop=True)
    told = [*(frame[name] for name in ("n_events", "n_informative_events", "n_informative_patients"))]
    hidden = np.any([rule.small(counts) for counts in told], axis=0)
    label = {"crude": "Role alone", "level": "Role, beside the level of the vertebra"}
    notes = Notes(rule)
    rows = [
        row(
            f"{label.get(str(r.model), str(r.model))}{notes.marks(r.note)}",
            of(
                rule.text(float(r.n_informative_events), bool(hidden[r.Index])),
                rule.text(float(r.n_informative_patients), bool(hidden[r.Index])),
            ),
            ratio_cell(r, bool(hidden[r.Index])),
        )
        for r in records(frame)
    ]
    said = [
        f"{what}: {settings[key]}."
        for what, key in (("Controlled", "controlled"), ("Not controlled", "not_controlled"))
        if settings.get(key)
    ]
    return Table(
        "within_patients",
        "Adjacent against remote vertebrae of the same patient",
        "Unit: untreated vertebrae at risk, compared within their patient on the day of each refracture; denominator: "
        "refractures of patients with both kinds at risk that day; window: all follow-up. Cox model with one stratum "
        "per patient.",
        (
            Column("Model", "text"),
            Column("Refractures / patients"),
            Column("Hazard ratio, adjacent against remote (interval)", "estimate"),
        ),
        tuple(rows),
        for_csv(
            frame,
            ("model", "n_patients", "n_units", "n_events", "n_informative_patients", "n_informative_events", *LIMITS,
             "p_value"),
            rule,
            counts={
                "n_events": hidden,
                "n_informative_events": hidden,
                "n_informative_patients": hidden,
                "n_patients": rule.small(frame["n_patients"]),
            },
            values=RATIO,
            hidden=hidden,
        ),
        (*said, *notes.footnotes),
    ).with_notes(rule.note() if hidden.any() else "")  # fmt: skip


def ratios_by_interval(frame: pd.DataFrame, rule: Disclosure) -> pd.DataFrame:
    """The ratios of each interval with `concealed`: the events of intervals are parts of those of the model."""
    if "interval_start" not in frame:
        return pd.DataFrame(columns=["outcome", "exposure", "estimate", "n_events", "concealed"])
    found = frame[(frame["measure"] == "hazard_ratio") & frame["interval_start"].notna()].reset_index(drop=True)
    hidden = np.zeros(len(found), dtype=bool)
    for _, block in found.groupby(["outcome", "exposure"], sort=False, observed=True):
        hidden[block.index.to_numpy()] = rule.parts(block["n_events"])
    return found.assign(concealed=hidden)


def interval_name(start: float, last: bool, end: float) -> str:
    """An interval of time since treatment as a heading.

    >>> interval_name(0, False, 90), interval_name(90, False, 365), interval_name(365, True, 3189)
    ('Days 1-90', 'Days 91-365', 'After day 365')
    """
    return f"After day {start:.0f}" if last else f"Days {start + 1:.0f}-{end:.0f}"


def by_interval(frame: pd.DataFrame, proportionality: pd.DataFrame, rule: Disclosure) -> Table | None:
    """The hazard ratio of each exposure by time since treatment, with the tests that it stays the same."""
    found = ratios_by_interval(frame, rule)
    if _untold(found):
        return None
    equal = frame[frame["measure"] == "equality_over_intervals"].set_index(["outcome", "exposure"])["p_value"]
    tested = proportionality.set_index(["outcome", "exposure"])["p_value"] if len(proportionality) else equal.iloc[:0]
    starts = sorted(found["interval_start"].unique())
    names = [
        interval_name(start, start == starts[-1], end) for start, end in zip(starts, [*starts[1:], 0], strict=True)
    ]
    notes = Notes(rule)
    rows: list[Row] = []
    for outcome, of_outcome in found.groupby("outcome", sort=False, observed=True):
        rows.append(heading(f"{REFRACTURES[str(outcome)]} refracture"))
        for exposure, block in of_outcome.groupby("exposure", sort=False, observed=True):
            concealed = bool(block["concealed"].any())
            line: list[str | Cell] = [f"{block['label'].iloc[0]}{notes.marks(*block['note'])}"]
            for r in records(block):
                line += [rule.text(float(r.n_events), bool(r.concealed)), ratio_cell(r, bool(r.concealed))]
            line += [
                numbers.MISSING if concealed else numbers.p_value(float(p.get((outcome, exposure), np.nan)))
                for p in (equal, tested)
            ]
            rows.append(row(*line, indent=True))
    hidden = found["concealed"].to_numpy()
    return Table(
        "by_interval",
        "Hazard ratios by time since treatment",
        "Unit: vertebrae at risk in the role, clustered in patients; days since the first augmentation; denominator: "
        "patients with the covariates known. The adjusted models of the risk factors, with a ratio of its own for the "
        "exposure in each interval; the intervals were chosen beforehand. p for change: Wald test between the "
        "intervals, and the score test of proportional hazards (Grambsch-Therneau), which takes no account of "
        "clusters and so rejects too readily.",
        (
            Column("Exposure", "text"),
            *(
                column
                for name in names
                for column in (Column("Events", group=name), Column("Ratio (interval)", "estimate", group=name))
            ),
            Column("Intervals", group="p for change"),
            Column("Score", group="p for change"),
        ),
        tuple(rows),
        for_csv(
            found.drop(columns="p_value").merge(_tests(found, equal, tested, rule), on=["outcome", "exposure"]),
            ("outcome", "exposure", "label", "interval_start", "interval_end", "n_patients", "n_units", "n_events",
             *LIMITS, "p_intervals", "p_score"),
            rule,
            counts={"n_events": hidden, "n_patients": rule.small(found["n_patients"])},
            values=RATIO,
            hidden=hidden,
        ),
        (
            "Of so many tests one in twenty falls below 0.05 by chance alone. A ratio that fades with time may also "
            "mean that those most prone have gone first.",
            *notes.footnotes,
        ),
        long=True,
    ).with_notes(rule.note() if hidden.any() else "")  # fmt: skip


def _tests(found: pd.DataFrame, equal: pd.Series, tested: pd.Series, rule: Disclosure) -> pd.DataFrame:
    """One row per relation and exposure: p_intervals and p_score, missing where an interval is hidden."""
    pairs = found.groupby(["outcome", "exposure"], sort=False, observed=True)["concealed"].any().reset_index()
    keys = pd.MultiIndex.from_frame(pairs[["outcome", "exposure"]])
    shown = pairs[["outcome", "exposure"]]
    for name, p in (("p_intervals", equal), ("p_score", tested)):
        values = p.reindex(keys).to_numpy(dtype=np.float64)
        values = values if rule.internal else np.round(values, 3)
        shown = shown.assign(**{name: np.where(pairs["concealed"], np.nan, values)})
    return shown


def onset(frame: pd.DataFrame, settings: Mapping[str, Any], rule: Disclosure) -> Table | None:
    """Same-level refracture by the day it was found, and by when it can have happened."""
    if _untold(frame):
        return None
    frame = frame.reindex(columns=list(dict.fromkeys([*frame.columns, "time", "exposure", "label"])))
    frame = frame.reset_index(drop=True)
    hidden = rule.small(frame["n_events"]) | rule.small(frame["n_patients"])
    labels = {str(r.dates): str(r.dates_label) for r in records(frame.drop_duplicates("dates"))}
    survival = (frame["measure"] == "survival").to_numpy()
    key = np.where(survival, frame["time"].astype(str), frame["exposure"].astype(str))
    notes = Notes(rule)
    rows: list[Row] = []
    for share, title in ((True, "Unbroken, %"), (False, "Hazard ratio")):
        part = frame[survival == share]
        if part.empty:
            continue
        rows.append(heading(title))
        for _, block in part.groupby(key[survival == share], sort=False):
            fitted = {str(r.dates): r for r in records(block)}
            first = next(iter(fitted.values()))
            name = f"At {numbers.days(first.time)}" if share else str(first.label)
            line: list[str | Cell] = [
                f"{name}{notes.marks(*block['note'])}",
                of(rule.text(float(first.n_events), bool(hidden[first.Index])), rule.text(float(first.n_units))),
            ]
            for dates in labels:
                r = fitted.get(dates)
                concealed = r is not None and bool(hidden[r.Index])
                if r is None:
                    line.append(numbers.MISSING)
                elif share:
                    line.append(estimate_cell(r.estimate, r.conf_low, r.conf_high, "percent", concealed))
                else:
                    line.append(ratio_cell(r, concealed))
            rows.append(row(*line, indent=True))
    late = rule.text(float(settings.get("n_late_entry", 0)))
    data = pd.concat(
        [
            for_csv(
                frame[part],
                ("measure", "dates", "time", "exposure", "label", "n_patients", "n_units", "n_events", *LIMITS),
                rule,
                counts={"n_events": hidden[part], "n_patients": rule.small(frame.loc[part, "n_patients"])},
                values=kind,
                hidden=hidden[part],
            )
            for part, kind in ((survival, PERCENT), (~survival, RATIO))
            if part.any()
        ],
        ignore_index=True,
    )
    return Table(
        "onset_intervals",
        "Same-level refracture by when it was found, and by when it can have happened",
        "Unit: vertebrae treated for fracture, each from its own treatment to its first refracture or next treatment, "
        "clustered in patients; denominator: those with the covariates known. A refracture found on a film happened "
        "after the last film without it. Unbroken: Kaplan-Meier by the day found, Turnbull by the interval, limits "
        "from resampling patients; ratios: adjusted Weibull models both ways.",
        (
            Column("", "text"),
            Column("Events / vertebrae"),
            *(Column(label, "estimate", group="Estimate (interval)") for label in labels.values()),
        ),
        tuple(rows),
        data,
        (
            "A death is a loss here: one minus the share unbroken is no share of patients but of a world without "
            f"death. {late} vertebrae whose follow-up began after their treatment are in the ratios only.",
            *notes.footnotes,
        ),
    ).with_notes(rule.note() if hidden.any() else "")
