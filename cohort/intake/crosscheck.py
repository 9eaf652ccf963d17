"""Checks that need another table or another row: order in time, exact duplicates, ids used twice.

A date known to the month or year fails only if no day of its period could satisfy the check; the day used is then moved
inside the period, to the day after `last_clear_date` at the earliest and the day of death at the latest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from cohort.domain.clock import MISSING, NEVER, BoolArray, IntArray
from cohort.intake import dates
from cohort.intake.draft import Draft, Spines
from cohort.intake.ledger import ObjectArray

EVENTS: Final = ("augmentations", "fractures", "imaging", "imaging_studies", "assessments")


def order_in_time(draft: Draft, spines: Spines) -> None:
    """Reject what happened after death, and fractures found no later than the last imaging without them."""
    if draft.name not in EVENTS:
        return
    date = draft.dates["date"]
    death_low, death_high = (_of_patient(days, draft.patient) for days in (spines.death_low, spines.death_high))
    dead = death_low != MISSING
    draft.ledger.record(
        date.known & dead & (date.low > death_high), "after_death", "date", draft.mapped.written["date"]
    )
    clear = draft.dates.get("last_clear_date")
    if clear is not None:
        latest = np.where(dead, np.minimum(date.high, death_high), date.high)
        draft.ledger.record(
            date.known & clear.known & (clear.low >= latest),
            "clear_not_before",
            "last_clear_date",
            draft.mapped.written["last_clear_date"],
        )


def settle_days(drafts: Sequence[Draft], patients: Draft, accepted: IntArray, spines: Spines) -> None:
    """Move the days used of dates known to the month or year to where the other dates allow them.

    A death known to the month or year is moved too, to the latest row that the patient is known to have lived to see. A
    `last_clear_date` after which no day of the other's period is left says nothing about the day found: it is itself
    moved, to the day before.
    accepted : the patients rows behind `spines`.
    """
    earliest: dict[str, IntArray] = {}
    death = np.full(len(accepted), MISSING, dtype=np.int64)
    if "death_date" in patients.dates:
        death = patients.dates["death_date"].used[accepted].copy()
    imprecise = spines.death_low != spines.death_high
    seen = np.full(len(accepted), MISSING, dtype=np.int64)
    events = [draft for draft in drafts if draft.name in EVENTS]
    for draft in events:
        date = draft.dates["date"]
        low = date.low
        clear = draft.dates.get("last_clear_date")
        if clear is not None:
            death_high = _of_patient(spines.death_high, draft.patient)
            latest = np.minimum(date.high, np.where(death_high == MISSING, NEVER, death_high))
            first = np.where(clear.used < latest, clear.used, clear.low) + 1
            low = np.where(_both(draft), np.maximum(low, first), low)
        earliest[draft.name] = low
        lived = date.known & draft.ledger.open & (draft.patient >= 0)
        np.maximum.at(seen, draft.patient[lived], low[lived])
    death = np.where(imprecise, np.maximum(death, np.minimum(seen, spines.death_high)), death)
    if "death_date" in patients.dates:
        patients.used["death_date"] = patients.used["death_date"].copy()
        patients.used["death_date"][accepted] = death
    for draft in events:
        date = draft.dates["date"]
        last_day = _of_patient(death, draft.patient)
        movable = date.known & draft.ledger.open & (date.precision != dates.DAY)
        used = np.maximum(date.used, earliest[draft.name])
        used = np.minimum(used, np.where(last_day == MISSING, NEVER, last_day))
        used = np.where(movable, np.clip(used, date.low, date.high), date.used)
        draft.used["date"] = used
        clear = draft.dates.get("last_clear_date")
        if clear is not None:
            draft.used["last_clear_date"] = np.where(_both(draft), np.minimum(clear.used, used - 1), clear.used)


def _both(draft: Draft) -> BoolArray:
    known: BoolArray = draft.dates["date"].known & draft.dates["last_clear_date"].known & draft.ledger.open
    return known


def duplicates(draft: Draft) -> None:
    """Reject every exact duplicate, as written, of an earlier row that would be accepted."""
    open_rows = np.flatnonzero(draft.ledger.open)
    values = draft.mapped.values
    # Equal rows are first sought by their keys alone, whose codes are equal where their texts are; only those are
    # compared in full.
    keys = [name for name in ("patient_id", "date", "level", "drug", "start") if name in values]
    frame = pd.DataFrame({name: values[name].codes[open_rows] for name in keys}, index=open_rows)
    alike = open_rows[frame.duplicated(keep=False).to_numpy()]
    if not len(alike):
        return
    whole = pd.DataFrame({name: values[name][alike] for name in values}, index=alike)
    carried = draft.mapped.carried.iloc[alike].set_index(alike)
    carried = carried.where(carried.notna(), "")
    whole = pd.concat([whole, carried], axis=1)
    if draft.ledger.shared:
        whole = _by_source_row(draft, whole)
    _reject_repeated(draft, whole, "duplicate", "", also="duplicate_row")


def _by_source_row(draft: Draft, rows: pd.DataFrame) -> pd.DataFrame:
    """One row per source row, indexed by the first it made: equal where all that they made is equal, in that order.

    rows : indexed by row. A source row not all of whose rows are among them has no twin and is left out.
    """
    of = pd.Series(draft.ledger.of[rows.index.to_numpy()], index=rows.index)
    made = np.bincount(draft.ledger.of)[of.to_numpy()]
    alike = rows.groupby(list(rows.columns), sort=False, dropna=False).ngroup().astype(str)
    content = alike.groupby(of, sort=False).transform(",".join)
    whole = of.groupby(of, sort=False).transform("size") == made
    return pd.DataFrame({"content": content})[whole & ~of.duplicated()]


def second_patient_rows(draft: Draft) -> None:
    """Reject every patients row but the first of one id."""
    rows = np.flatnonzero(draft.ledger.open)
    ids = pd.DataFrame({"patient_id": draft.mapped.values["patient_id"].codes[rows]}, index=rows)
    _reject_repeated(draft, ids, "second_patient_row", "patient_id")


def used_ids(draft: Draft) -> None:
    """Reject a row whose written id an earlier accepted row of the table already has."""
    key = draft.table.key
    if key is None or key not in draft.texts:
        return
    rows = np.flatnonzero(draft.ledger.open & ~draft.texts[key].holds(""))
    ids = pd.DataFrame({key: draft.texts[key].codes[rows]}, index=rows)
    if draft.ledger.shared:
        # Rows that come of one source row may share its id.
        ids = ids[~ids.assign(of=draft.ledger.of[rows]).duplicated()]
    _reject_repeated(draft, ids, "id_used", key)


def clashing_ids(draft: Draft, members: IntArray, ids: ObjectArray) -> bool:
    """Reject rows one of whose final ids (a split cell gives `<id>:<level>`) an earlier row has; True if any was."""
    key = draft.table.key
    assert key is not None
    if _all_own(draft, members) or pd.Index(ids).is_unique:
        return False
    frame = pd.DataFrame({"id": ids, "at": draft.origin[members]})
    first = frame.groupby("id", sort=False)["at"].transform("min")
    late = frame["at"] > first
    if not late.any():
        return False
    # Only rows that clash with one that itself stays: the others are looked at again without it.
    losing = set(frame.loc[late, "at"])
    sure = late & ~first.isin(losing)
    loser, kept = frame.loc[sure, "at"].to_numpy(), first[sure].to_numpy()
    n = len(draft.mapped.rows)
    mask, first_row = np.zeros(n, dtype=bool), np.zeros(n, dtype=np.int64)
    mask[loser] = True
    first_row[loser[::-1]] = draft.mapped.rows[kept[::-1]]
    draft.ledger.record(mask, "id_used", key, draft.mapped.written.get(key), first_row=first_row)
    return True


def _all_own(draft: Draft, members: IntArray) -> bool:
    """Whether every vertebra comes of a source row of its own with an id of its own, which then is the vertebra's."""
    words = draft.texts.get(str(draft.table.key))
    at = draft.origin[members]
    if words is None or draft.ledger.shared or (np.diff(at) <= 0).any() or words.holds("")[at].any():
        return False
    return int(np.bincount(words.codes[at]).max(initial=0)) <= 1


def repeated_members(draft: Draft, frame: pd.DataFrame, members: IntArray) -> BoolArray:
    """Rows of a table without ids that equal an earlier one in every column once both are read.

    A source row with nothing else left is rejected as a duplicate; where other vertebrae of its cell stay, it is noted.
    """
    content = frame.drop(columns="source_row")
    keys = [name for name in ("patient_id", "date", "level", "drug", "start") if name in content]
    alike = np.flatnonzero(content.duplicated(keys, keep=False))
    repeated = np.zeros(len(frame), dtype=bool)
    if not len(alike):
        return repeated
    repeated[alike] = content.iloc[alike].duplicated().to_numpy()
    at = draft.origin[members]
    n = len(draft.mapped.rows)
    hit, left = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    hit[at[repeated]] = True
    left[at[~repeated]] = True
    first_row = np.zeros(n, dtype=np.int64)
    group = content.iloc[alike].groupby(list(content.columns), sort=False, dropna=False, observed=True).ngroup()
    first = pd.Series(at[alike]).groupby(group.to_numpy()).transform("min").to_numpy()
    first_row[at[alike]] = draft.mapped.rows[first]
    draft.ledger.record(hit & left, "duplicate_member", "level")
    draft.ledger.record(hit & ~left, "duplicate_row", first_row=first_row)
    draft.ledger.record(hit & ~left, "duplicate", first_row=first_row)
    return repeated


def kind_at_untreated(fractures: pd.DataFrame, augmentations: pd.DataFrame) -> pd.Series:
    """Sightings of an untreated vertebra whose kind speaks of a treated one (settling, progression, occult)."""
    said = fractures["kind"].isin(["settling", "progression", "occult"])
    treated = augmentations[["patient_id", "level", "date"]].rename(columns={"date": "treated_on"})
    pairs = (
        fractures.loc[said, ["patient_id", "level", "date"]].reset_index().merge(treated, on=["patient_id", "level"])
    )
    before = pairs["treated_on"].isna() | (pairs["treated_on"] < pairs["date"])
    return said & ~fractures.index.isin(pairs.loc[before, "index"])


def _reject_repeated(draft: Draft, frame: pd.DataFrame, check: str, column: str, *, also: str = "") -> None:
    """Reject rows of the frame (indexed by source row; texts or codes of them) that equal an earlier one.

    The row kept is named.
    """
    again = frame.duplicated().to_numpy()
    if not again.any():
        return
    alike = frame[frame.duplicated(keep=False)]
    first = (
        pd.Series(alike.index, index=alike.index).groupby([alike[name] for name in alike], sort=False).transform("min")
    )
    n = len(draft.mapped.rows)
    mask, first_row = np.zeros(n, dtype=bool), np.zeros(n, dtype=np.int64)
    mask[frame.index.to_numpy()[again]] = True
    first_row[first.index.to_numpy()] = draft.mapped.rows[first.to_numpy()]
    if also:
        draft.ledger.record(mask, also, first_row=first_row)
    draft.ledger.record(mask, check, column, draft.mapped.written.get(column), first_row=first_row)


def _of_patient(days: IntArray, patient: IntArray) -> IntArray:
    if not len(days):
        return np.full(len(patient), MISSING, dtype=np.int64)
    return np.where(patient >= 0, days[patient], MISSING)
