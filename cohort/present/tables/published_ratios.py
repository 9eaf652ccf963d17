"""Published ratios beside the registry's own: a ratio that rests on few events or patients is told in neither place.

Published over own would give the registry's ratio away, so that both go together, and with them why one is missing.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from cohort.present import numbers
from cohort.present.disclosure import Disclosure
from cohort.present.tables.alike import TOO_FEW
from cohort.present.tables.model import BoolArray, Cell, Column, Row, Table, estimate_cell, heading, of, public, records
from cohort.present.tables.model import row as table_row
from cohort.present.tables.published import reason_marks
from cohort.present.tables.reviewed import read_in, study_name
from cohort.present.tables.risk import RATIO, sentence_case
from cohort.tables.compared import NO_ESTIMATE

TITLES: Final = {
    "cleft": "Intravertebral cleft before treatment",
    "leak": "Cement leak into the disc",
    "height_restoration": "Anterior height restored, per 10 percentage points",
    "t_score": "T-score, per SD higher",
    "corticosteroids": "Chronic corticosteroids",
    "anti_osteoporotic": "Anti-osteoporotic drug",
    "age": "Age, per 10 years",
    "female": "Female sex",
    "prior_fractures": "Earlier fractures, each",
    "n_levels": "Levels treated, each",
    "volume_ml": "Cement, per ml",
    "thoracolumbar": "Thoracolumbar junction",
    "adjacent": "Vertebra next to a treated one",
}
OWN: Final = ("n_events", "n_patients", "estimate", "conf_low", "conf_high", "ratio", "ratio_low", "ratio_high")
RATIOS: Final = (*OWN[2:],)
WORDS: Final = {"same": "same level", "adjacent": "adjacent", "remote": "remote", "any": "any"}


def hidden_ratios(frame: pd.DataFrame, rule: Disclosure) -> BoolArray:
    """Rows whose registry ratio rests on few events or few patients; shape (n,)."""
    return rule.small(frame["n_events"]) | rule.small(frame["n_patients"])


def shown(frame: pd.DataFrame, rule: Disclosure) -> pd.DataFrame:
    """The comparison without the registry's numbers that are hidden. frame : of `beside_effects`."""
    if frame.empty or not rule.active:
        return frame
    out = frame.reset_index(drop=True).copy()
    hidden = hidden_ratios(out, rule)
    out.loc[hidden, list(OWN)] = np.nan
    # Whether two compare, and why not, may tell that a ratio could not be estimated.
    out.loc[hidden, "compares"] = ""
    out.loc[hidden, "differs"] = out.loc[hidden, "differs"].str.replace(NO_ESTIMATE, "", regex=False).str.strip()
    out.loc[hidden, "note"] = TOO_FEW
    return out


def set_beside(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that have a ratio of the registry beside them, hidden or not."""
    return frame[frame["registry_measure"] != ""] if len(frame) else frame


def grouped(frame: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Rows by exposure in the order of the registry's: name, title and rows, those that can be divided first."""
    groups = []
    for exposure in dict.fromkeys([*TITLES, *frame["registry_exposure"]]):
        block = frame[frame["registry_exposure"] == exposure]
        if len(block):
            order = block["ratio"].isna().to_numpy().argsort(kind="stable")
            groups.append((exposure, TITLES.get(exposure, exposure), block.iloc[order]))
    return groups


def kind(measure: object, adjustment: object) -> str:
    """What a ratio is, in short.

    >>> kind("OR", "adjusted"), kind("RR", "randomised"), kind("HR", "unclear")
    ('OR, adjusted', 'RR, trial', 'HR, unclear')
    """
    return f"{measure}, {'trial' if adjustment == 'randomised' else adjustment}"


def name_of(r: Any) -> str:
    """One published ratio: exposure, refracture, what it is, study, where read; what it is in the registry's terms."""
    what = f"{sentence_case(str(r.exposure)).rstrip('.')}, {r.outcome}; {kind(r.measure, r.adjustment)}"
    taken = f" ({turned(r)}: {numbers.number(float(r.taken), 'ratio')})" if turned(r) else ""
    return f"{what}: {study_name(r.citation, r.year)}, {read_in(r.confidence)}{taken}"


def turned(r: Any) -> str:
    """What was done to a published ratio for it to stand beside the registry's; "" where it stands as printed."""
    if not (np.isfinite(r.taken) and r.taken > 0) or np.isclose(r.taken, r.published, rtol=1e-12):
        return ""
    other_step = not np.isclose(r.taken * r.published, 1.0) or r.direction == "as is"
    words = ["turned round"] if r.direction == "inverted" else []
    return ", ".join([*words, "for the registry's step"] if other_step else words)


def ratios(found: pd.DataFrame, rule: Disclosure) -> Table | None:
    """Each published ratio that has one of the registry beside it, by exposure; the CSV holds all.

    found : of `shown`.
    """
    if found.empty or set_beside(found).empty:
        return None
    beside = set_beside(found)
    rows: list[Row] = []
    reasons: list[str] = []
    for _, title, block in grouped(beside):
        rows.append(heading(title))
        rows += [_row(r, reasons, rule) for r in records(block)]
    return Table(
        "published_ratios",
        "Published ratios, and this registry's own",
        "Unit and denominator: published, the study's; registry, vertebrae at risk (HR), patients (OR), or as the "
        "notes say; N: patients; window: all follow-up (HR), the horizon (OR, RR). Published as printed, with where it "
        "was read; where the registry's is the other way round or for another step, what it then is in brackets. Over "
        "published: of these, and only where refracture, measure, adjustment and contrast are the same; the two are "
        "taken as independent. Alike: whether they compare; [n]: what differs.",
        (
            Column("Published ratio", "text"),
            Column("Published", "estimate"),
            Column("Of", "text", group="Registry"),
            Column("Events / N", group="Registry"),
            Column("Ratio", "estimate", group="Registry"),
            Column("Over published", "estimate", group="Registry"),
            Column("Alike", "text"),
        ),
        tuple(rows),
        public(
            found, rule, counts=("n_events", "n_patients"), values=dict.fromkeys(RATIOS, RATIO["estimate"]),
        ),
        (*(f"[{place}] {reason}" for place, reason in enumerate(reasons, 1)), *_left(found)),
        long=True,
    ).with_notes(_note(rule) if (found["note"] == TOO_FEW).any() else "")  # fmt: skip


def _row(r: Any, reasons: list[str], rule: Disclosure) -> Row:
    hidden = r.note == TOO_FEW
    own = kind(r.registry_measure, r.registry_model)
    return table_row(
        name_of(r) + reason_marks(r.differs, reasons),
        estimate_cell(r.published, r.published_low, r.published_high, "ratio"),
        f"{WORDS.get(str(r.registry_relation), r.registry_relation)}, {own}",
        numbers.MISSING if hidden else of(rule.text(float(r.n_events)), rule.text(float(r.n_patients))),
        Cell("too few") if hidden else estimate_cell(r.estimate, r.conf_low, r.conf_high, "ratio"),
        estimate_cell(r.ratio, r.ratio_low, r.ratio_high, "ratio"),
        str(r.compares) or numbers.MISSING,
        indent=True,
    )


def _left(found: pd.DataFrame) -> list[str]:
    """How many published ratios have none of the registry beside them, by whether the registry could have one."""
    alone = found[found["registry_measure"] == ""]
    known = alone["registry_exposure"] != ""
    absent = list(dict.fromkeys(TITLES.get(name, name) for name in alone.loc[known, "registry_exposure"]))
    names = "; ".join(title.partition(",")[0].lower() for title in absent)
    parts = []
    if known.any():
        parts.append(f"{int(known.sum())} of exposures that these results hold no ratio of ({names})")
    if (~known).any():
        parts.append(
            f"{int((~known).sum())} without a counterpart in a registry of augmentations, each with its reason"
        )
    return [f"In the CSV only: {', and '.join(parts)}."] if parts else []


def _note(rule: Disclosure) -> str:
    return f"Too few: the registry's ratio rests on 1 to {rule.minimum - 1} events or patients and is left out."
