"""What no model of the registry can know: what nobody measured, and what was told wrongly.

Each of these tables takes an assumption and says what the effect would be under it; none of them corrects the effect.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort.present import numbers
from cohort.present.disclosure import Disclosure
from cohort.present.tables.factors import (
    COUNTS,
    VALUES,
    csv_of,
    in_words,
    name_of,
    tellable,
    value_cell,
    with_columns,
)
from cohort.present.tables.model import (
    BoolArray,
    Cell,
    Column,
    Row,
    Table,
    estimate_cell,
    heading,
    public,
    records,
    row,
)
from cohort.present.tables.ratios import Notes
from cohort.present.tables.risk import RATIO, REFRACTURES, sentence_case

CELLS: Final = ("exposed_events", "exposed_free", "unexposed_events", "unexposed_free")
LIMITS: Final = ("estimate", "low", "high")
# How the note of a finding without a control begins, and what to say of all such findings.
WITHOUT: Final = {
    "acts on the whole spine": "each acts on the whole spine, so that no level is out of reach",
    "which levels are out of its reach is not known": "it is not known which levels are out of reach",
}


def e_values(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """How strong something unmeasured would have to be to explain each adjusted ratio away."""
    frame = with_columns(
        frame, ("outcome", "exposure", "label", "measure", "e_value", "e_value_limit", *COUNTS, *VALUES, "note")
    )
    hidden = rule.small(frame["n_events"]) | rule.small(frame["n_patients"])
    if not (frame["e_value"].notna() & ~hidden).any():
        return None
    notes = Notes(rule)
    rows: list[Row] = []
    for outcome, of_outcome in frame.groupby("outcome", sort=False, observed=True):
        rows.append(heading(f"{REFRACTURES[str(outcome)]} refracture"))
        for _, block in of_outcome.groupby("exposure", sort=False, observed=True):
            fitted = {str(r.measure): r for r in records(block)}
            said = [r.note for r in fitted.values() if not hidden[r.Index]]
            line: list[str | Cell] = [f"{block['label'].iloc[0]}{notes.marks(*said)}"]
            for measure in ("hazard_ratio", "risk_ratio"):
                r = fitted.get(measure)
                if r is None:
                    line += [Cell(numbers.MISSING), numbers.MISSING, numbers.MISSING]
                    continue
                concealed = bool(hidden[r.Index])
                line += [value_cell(r, concealed), _ratio(r.e_value, concealed), _ratio(r.e_value_limit, concealed)]
            rows.append(row(*line, indent=True))
    groups = ("Hazard ratio", "Risk ratio within the horizon")
    return Table(
        "e_values",
        "How strong a confounder that nobody recorded would have to be",
        "Unit, denominator and window: those of the adjusted ratio (tables of effects). E-value: the least ratio that "
        "such a confounder would need both with the finding and with refracture, beyond what is adjusted for, to be "
        "all there is to the ratio; of the limit: to move the interval to 1 (1.00 where it holds 1 already).",
        (
            Column("", "text"),
            *(
                column
                for group in groups
                for column in (
                    Column("Ratio (interval)", "estimate", group=group),
                    Column("E-value", group=group),
                    Column("Of the limit", group=group),
                )
            ),
        ),
        tuple(rows),
        public(
            frame[
                ["outcome", "exposure", "label", "measure", *COUNTS, *VALUES, "e_value", "e_value_limit", "note"]
            ].assign(note=[rule.sentence(in_words(text)) for text in frame["note"]]),
            rule,
            counts={name: rule.small(frame[name]) | (hidden if name == "n_events" else False) for name in COUNTS},
            values={**RATIO, "e_value": "ratio", "e_value_limit": "ratio"},
            hidden=hidden,
        ),
        notes.footnotes,
        long=True,
    ).with_notes(rule.note() if hidden.any() else "")


def _ratio(value: float, hidden: bool) -> str:
    return numbers.MISSING if hidden or math.isnan(value) else numbers.number(float(value), "ratio")


def hidden_errors(frame: pd.DataFrame, rule: Disclosure) -> BoolArray:
    """Rows of `misclassified` that would give few patients away.

    The crude ratio as recorded, with its limits and both margins, is its table of four: where one of the four is few,
    all that comes from that table is hidden, what is impossible about it too.
    """
    hidden: BoolArray = rule.small(frame["n_events"]) | rule.small(frame["n_patients"])
    recorded = frame[frame["correction"] == "as recorded"]
    told = np.any([rule.small(recorded[name]) for name in CELLS], axis=0) | hidden[recorded.index.to_numpy()]
    pairs = {(str(r.outcome), str(r.exposure)) for r in records(recorded[told])}
    of_table = np.array([pair in pairs for pair in zip(frame["outcome"], frame["exposure"], strict=True)], dtype=bool)
    return hidden | (of_table & (frame["measure"] == "risk_ratio").to_numpy())


def misclassified(frame: pd.DataFrame, horizon_days: float, rule: Disclosure) -> Table | None:
    """The ratio of each finding if it, or the refracture, was told with error."""
    names = ("outcome", "exposure", "label", "measure", "correction", "error", "sensitivity", "specificity", "note")
    more = ("recorded_estimate", "recorded_low", "recorded_high", "n_draws", "n_impossible")
    frame = with_columns(frame, (*names, *CELLS, *more, *COUNTS, *VALUES))
    if frame.empty:
        return None
    frame = frame.assign(concealed=hidden_errors(frame, rule))
    if not tellable(frame, frame["concealed"]):
        return None
    outcomes = [name for name in REFRACTURES if name in set(frame["outcome"])]
    within = numbers.days(horizon_days)
    notes = _Errors(rule)
    rows: list[Row] = []
    for _, block in frame.groupby("exposure", sort=False, observed=True):
        name = name_of(block["label"].iloc[0])
        crude, again = block[block["measure"] == "risk_ratio"], block[block["measure"] == "hazard_ratio"]
        rows.append(heading(f"{name}: crude risk ratio within {within}"))
        rows += _assumed(crude, outcomes, notes)
        if len(again):
            rows.append(heading(f"{name}: adjusted hazard ratio"))
            recorded = {str(r.outcome): r for r in records(again.dropna(subset=["recorded_estimate"]))}
            rows.append(row("As recorded", *(_recorded(recorded.get(name)) for name in outcomes), indent=True))
            rows += _assumed(again, outcomes, notes)
    hidden = frame["concealed"].to_numpy()
    few = rule.small(frame["n_events"]) | rule.small(frame["n_patients"])
    return Table(
        "misclassified",
        "If findings or refractures were told wrongly",
        f"Unit: patients whose outcome at {within} is known (risk ratios), vertebrae at risk in the role (hazard "
        "ratios); denominator: those with the finding known, and for hazard ratios the covariates; window: "
        f"{within}, all follow-up. The error of a finding is taken not to depend on refracture, nor that of refracture "
        "on the finding.",
        (
            Column("Assumed", "text"),
            *(Column(f"{REFRACTURES[name]} (interval)", "estimate") for name in outcomes),
        ),
        tuple(rows),
        csv_of(
            frame.assign(n_impossible=frame["n_impossible"].where(~frame["concealed"])),
            ("outcome", "exposure", "label", "measure", "model", "error", "sensitivity", "specificity", "correction",
             *COUNTS, "n_draws", "n_impossible", *VALUES, "note"),
            rule, few=few, hidden=hidden, percent=np.zeros(len(frame), dtype=bool),
        ),
        (
            "Sensitivity: share of what is there that is recorded; specificity: share of what is not there that is not "
            "recorded. All are those of the study file; specificities, and any of refracture, were never published.",
            "Impossible: with that accuracy, fewer would be recorded than are, or more; the assumption is wrong for "
            "these data.",
            "Corrected risk ratios take the accuracy as known. Hazard ratios are from findings drawn anew with the "
            "stated error; their intervals hold the uncertainty of the draws too.",
            *notes.footnotes,
        ),
        long=True,
    ).with_notes(
        f"{rule.note()} A ratio from a table of four is withheld where any of the four is small."
        if hidden.any()
        else ""
    )  # fmt: skip


class _Errors:
    """Footnotes on draws that were impossible, and on what could not be estimated."""

    def __init__(self, rule: Disclosure) -> None:
        self._said: list[str] = []
        self._rule = rule

    def because(self, r: Any) -> str:
        """The mark of a row without an estimate."""
        said = self._rule.sentence(in_words(r.note))
        return self._place(said) if said else ""

    def mark(self, r: Any) -> str:
        """The mark of a row of which some draws were impossible, or which has no upper limit."""
        parts = []
        if r.n_impossible and not math.isnan(r.n_impossible):
            total = r.n_impossible + r.n_draws
            parts.append(f"impossible in {r.n_impossible:.0f} of {total:.0f} draws, which are left out")
        if math.isinf(r.conf_high):
            parts.append("in so many draws all events were exposed that there is no upper limit")
        if not parts:
            return ""
        return self._place("; ".join(parts))

    def _place(self, text: str) -> str:
        said = sentence_case(text)
        if said not in self._said:
            self._said.append(said)
        return f" [{self._said.index(said) + 1}]"

    @property
    def footnotes(self) -> tuple[str, ...]:
        """Each note behind its mark."""
        return tuple(f"[{place}] {text}" for place, text in enumerate(self._said, 1))


def _recorded(r: Any) -> Cell:
    if r is None or bool(r.concealed):
        return Cell(numbers.MISSING)
    return estimate_cell(r.recorded_estimate, r.recorded_low, r.recorded_high, "ratio")


def _assumed(block: pd.DataFrame, outcomes: list[str], notes: _Errors) -> list[Row]:
    """One row per assumption, one cell per outcome."""
    keyed = block.assign(assumed=[_assumption(r) for r in records(block)])
    rows = []
    for words, same in keyed.groupby("assumed", sort=False):
        found = {str(r.outcome): r for r in records(same)}
        rows.append(row(str(words), *(_corrected(found.get(name), notes) for name in outcomes), indent=True))
    return rows


def _assumption(r: Any) -> str:
    if r.correction == "as recorded":
        return "As recorded"
    of = "Refracture" if r.error == "outcome" else "Finding"
    return f"{of}: sensitivity {100 * r.sensitivity:g} %, specificity {100 * r.specificity:g} %"


def _corrected(r: Any, notes: _Errors) -> Cell:
    if r is None or bool(r.concealed):
        return Cell(numbers.MISSING)
    if math.isnan(r.estimate):
        said = str(r.note)
        return Cell("impossible" if said.startswith("impossible") else f"not estimable{notes.because(r)}")
    cell = estimate_cell(r.estimate, r.conf_low, r.conf_high, "ratio")
    return Cell(cell.text, f"{cell.interval}{notes.mark(r)}")


def controls(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """The ratio of a local finding beside its ratio for levels that it cannot reach."""
    sides = [f"{side}_{name}" for side in ("primary", "control") for name in (*LIMITS, "events")]
    frame = with_columns(frame, ("outcome", "exposure", "label", "control_outcome", *sides, *VALUES, "note"))
    said = frame["note"].fillna("").astype(str)
    uncontrolled = said.str.startswith(tuple(WITHOUT)).to_numpy()
    primary, control = rule.small(frame["primary_events"]), rule.small(frame["control_events"])
    hidden = primary | control
    local = frame[~uncontrolled]
    if not tellable(local, hidden[local.index.to_numpy()]):
        return None
    notes = Notes(rule)
    rows: list[Row] = []
    for outcome, block in local.groupby("outcome", sort=False, observed=True):
        rows.append(heading(f"{REFRACTURES[str(outcome)]} refracture"))
        for r in records(block):
            rows.append(
                row(
                    f"{r.label}{'' if pd.notna(r.estimate) or hidden[r.Index] else notes.marks(in_words(r.note))}",
                    rule.text(float(r.primary_events)),
                    _side(r, "primary", bool(primary[r.Index])),
                    rule.text(float(r.control_events)),
                    _side(r, "control", bool(control[r.Index])),
                    value_cell(r, bool(hidden[r.Index])),
                    indent=True,
                )
            )
    without = []
    for start, words in WITHOUT.items():
        labels = frame.loc[said.str.startswith(start), "label"].drop_duplicates()
        if len(labels):
            without.append(f"No control for {'; '.join(name_of(label) for label in labels)}: {words}.")
    concealed = {
        **{f"{side}_{name}": few for side, few in (("primary", primary), ("control", control)) for name in LIMITS},
        **dict.fromkeys(VALUES, hidden),
    }
    data = frame[["outcome", "exposure", "label", "control_outcome", *sides, *VALUES, "note"]].assign(
        note=[in_words(text) if whole else "" for text, whole in zip(said, uncontrolled, strict=True)],
        **{name: frame[name].where(~few) for name, few in concealed.items()},
    )
    return Table(
        "controls",
        "Levels that a finding cannot reach",
        "Unit: vertebrae at risk in the role, clustered in patients; denominator: those with the finding and the "
        "covariates known; window: all follow-up. Adjusted hazard ratios of a finding at a treated vertebra, for the "
        "refracture and for remote ones, which it cannot cause. Bone that is worse everywhere moves both; what the "
        "finding itself does moves the first alone, and with it the ratio of the two.",
        (
            Column("", "text"),
            Column("Events", group="Within reach"),
            Column("Ratio (interval)", "estimate", group="Within reach"),
            Column("Events", group="Remote"),
            Column("Ratio (interval)", "estimate", group="Remote"),
            Column("Ratio of ratios (interval)", "estimate"),
        ),
        tuple(rows),
        public(
            data,
            rule,
            counts={"primary_events": primary, "control_events": control},
            values=dict.fromkeys(concealed, "ratio"),
        ),
        (
            *without,
            "An interval for remote levels that holds 1 does not prove that there is no bias shared by both.",
            *notes.footnotes,
        ),
    ).with_notes(rule.note() if hidden.any() else "")


def _side(r: Any, side: str, hidden: bool) -> Cell:
    value, low, high = (float(getattr(r, f"{side}_{name}")) for name in ("estimate", "low", "high"))
    if math.isnan(value) and not hidden:
        return Cell("not estimable")
    return estimate_cell(value, low, high, "ratio", hidden)
