"""From raw tables to the Registry: accepted sources and rejected sources add up to the rows read, for every table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd

from cohort.domain.clock import MISSING, IntArray
from cohort.domain.study import SourceTable, StudyDefinition
from cohort.intake import crosscheck, forgotten, ids, mapping, wide
from cohort.intake.assemble import assemble, written_text
from cohort.intake.checks import CHECKS
from cohort.intake.draft import Draft, Spines, read
from cohort.intake.sources import Sources
from cohort.tables.results import ACCOUNTING_COLUMNS, INPUT_COLUMNS, REJECTED_COLUMNS, WARNING_COLUMNS, Registry
from cohort.tables.schema import CANONICAL, empty

Progress = Callable[[str], None]
COMPLETENESS_TABLES: Final = ("augmentations", "fractures")


def normalize(sources: Sources, study: StudyDefinition, progress: Progress | None = None) -> Registry:
    """Read, check and account for every row of the source.

    Raises RegistryError when a column that a table needs is missing or named twice.
    """
    specs = {name: study.tables.get(name, SourceTable()) for name in CANONICAL}
    mapped = {
        name: mapping.apply(wide.project(raw, sources, specs), CANONICAL[name], specs[name])
        for name, raw in sources.tables.items()
    }

    patients = read(mapped["patients"], specs["patients"], None)
    crosscheck.duplicates(patients)
    crosscheck.second_patient_rows(patients)
    accepted = np.flatnonzero(patients.ledger.open)
    spines = _spines(patients, accepted)

    drafts = []
    for name in CANONICAL:
        if name in mapped and name != "patients":
            if progress is not None:
                progress(f"Reading values of {name}: {len(mapped[name].rows):,} rows")
            drafts.append(read(mapped[name], specs[name], spines))
    for draft in drafts:
        crosscheck.order_in_time(draft, spines)
        # What is rejected moves no day of what is accepted.
        crosscheck.duplicates(draft)
        crosscheck.used_ids(draft)
    crosscheck.settle_days(drafts, patients, accepted, spines)

    frames: dict[str, pd.DataFrame] = {}
    for draft in drafts:
        frames[draft.name] = _accepted_rows(draft)
    incomplete = _incomplete(drafts, spines)
    own = patients.codes.get("incomplete", np.full(len(patients.mapped.rows), -1, dtype=np.int64)).copy()
    own[accepted] = np.where(incomplete | (own[accepted] == 1), 1, 0)
    patients.codes["incomplete"] = own
    frames["patients"] = assemble(patients, accepted)

    _warn(patients, drafts, spines, frames)
    everything = [patients, *drafts]
    tables = {name: frames[name] if name in frames else _empty(name) for name in CANONICAL}
    registry = Registry(
        tables,
        study,
        _rejected(everything),
        _warnings(everything, sources.unused),
        _accounting(everything),
        pd.DataFrame(sources.inputs, columns=list(INPUT_COLUMNS)),
    )
    if progress is not None:
        for draft in everything:
            counts = registry.accounting.set_index("table").loc[draft.name]
            progress(f"{draft.name}: {counts['rows_read']:,} rows read, {counts['rows_rejected']:,} rejected")
    return registry


def _empty(name: str) -> pd.DataFrame:
    return empty(CANONICAL[name]).assign(source_row=pd.Series(dtype=np.int64))


def _spines(patients: Draft, accepted: IntArray) -> Spines:
    def count(name: str, usual: int) -> IntArray:
        value = patients.numbers.get(name)
        if value is None:
            return np.full(len(accepted), usual, dtype=np.int64)
        return np.where(np.isnan(value[accepted]), usual, value[accepted]).astype(np.int64)

    nothing = np.full(len(accepted), MISSING, dtype=np.int64)
    death = patients.dates.get("death_date")
    return Spines(
        pd.Index(patients.mapped.values["patient_id"][accepted], dtype=object),
        count("n_thoracic", 12),
        count("n_lumbar", 5),
        nothing if death is None else death.low[accepted],
        nothing if death is None else death.high[accepted],
        patients.dates["follow_up_end"].used[accepted],
    )


def _accepted_rows(draft: Draft) -> pd.DataFrame:
    """The canonical frame of the rows that pass the last checks: vertebrae named twice and ids made twice."""
    frame = pd.DataFrame()
    while True:
        members = np.flatnonzero(draft.ledger.open[draft.origin])
        frame = assemble(draft, members)
        if draft.table.key is None:
            return frame[~crosscheck.repeated_members(draft, frame, members)].reset_index(drop=True)
        frame[draft.table.key] = _ids(draft, members, frame)
        if not crosscheck.clashing_ids(draft, members, frame[draft.table.key].to_numpy(dtype=object)):
            return frame


def _ids(draft: Draft, members: IntArray, frame: pd.DataFrame) -> np.ndarray:
    at = draft.origin[members]
    key = str(draft.table.key)
    written = draft.texts[key][at] if key in draft.texts else np.full(len(at), "", dtype=object)
    named = {key, "patient_id", "date", "level", "source_row"}
    # Canonical columns in the order of the schema, then covariates by name: never the order of the file.
    own = [name for name in draft.table.names if name not in named]
    covariates = sorted(str(name) for name in frame.columns if name not in {*draft.table.names, "source_row"})
    text = written_text(frame[["date", "level"]])
    level = text["level"].to_numpy(dtype=object)
    return ids.made(
        ids.of_list(written, draft.ledger.of[at], level),
        frame["patient_id"].to_numpy(dtype=object),
        text["date"].to_numpy(dtype=object),
        level,
        lambda index: written_text(frame.iloc[index][own + covariates]),
    )


def _incomplete(drafts: list[Draft], spines: Spines) -> np.ndarray:
    """Patients one of whose augmentations or fractures was rejected for more than being a duplicate."""
    incomplete = np.zeros(len(spines.ids), dtype=bool)
    for draft in drafts:
        if draft.name not in COMPLETENESS_TABLES:
            continue
        lost = ~draft.ledger.open & (draft.ledger.check != "duplicate") & (draft.patient >= 0)
        incomplete[draft.patient[lost]] = True
        ragged = pd.Index(draft.mapped.ragged_cells("patient_id"), dtype=object)
        places = spines.ids.get_indexer(ragged)
        incomplete[places[places >= 0]] = True
    return incomplete


def _warn(patients: Draft, drafts: list[Draft], spines: Spines, frames: dict[str, pd.DataFrame]) -> None:
    for draft in drafts:
        if draft.name in crosscheck.EVENTS and len(spines.ids):
            end = np.where(draft.patient >= 0, spines.follow_up_end[draft.patient], MISSING)
            late = draft.dates["date"].known & (draft.dates["date"].low > end) & (draft.patient >= 0)
            draft.ledger.record(late & draft.ledger.open, "after_follow_up_end", "date", draft.mapped.written["date"])
        for start, stop in (("start", "stop"), ("from", "to")):
            if start in draft.used and stop in draft.used:
                known = draft.dates[start].known & draft.dates[stop].known & draft.ledger.open
                backwards = known & (draft.dates[stop].high < draft.dates[start].low)
                draft.ledger.record(backwards, "ends_before_start", stop, draft.mapped.written[stop])
        if draft.name == "fractures":
            vain = crosscheck.kind_at_untreated(frames["fractures"], frames["augmentations"])
            said = np.isin(draft.mapped.rows, frames["fractures"].loc[vain, "source_row"])
            draft.ledger.record(said & draft.ledger.open, "kind_at_untreated", "kind", draft.mapped.written.get("kind"))
    for draft in (patients, *drafts):
        flagged = "date" if "date_precision" in draft.table.names else ""
        for name, column in draft.dates.items():
            if name != flagged:
                imprecise = draft.ledger.open & (column.precision > 0) & column.known
                draft.ledger.record(imprecise, "date_imprecise", name, draft.mapped.written[name])
    n = len(patients.mapped.rows)
    rows = np.flatnonzero(patients.ledger.open)
    for check, found in (
        ("no_time_at_risk", forgotten.without_time(frames["patients"], frames["augmentations"])),
        ("enrolled_on_forgotten", forgotten.enrolled_on(frames["patients"], frames["augmentations"])),
    ):
        mask = np.zeros(n, dtype=bool)
        mask[rows[found]] = True
        patients.ledger.record(mask, check, "follow_up_end" if check == "no_time_at_risk" else "enrolled_on")


def _rejected(drafts: list[Draft]) -> pd.DataFrame:
    parts: list[pd.DataFrame] = []
    for draft in drafts:
        ragged = [
            (
                draft.name,
                draft.mapped.source,
                row.row,
                "",
                row.text,
                CHECKS[row.check].sentence.format(cells=len(row.cells), width=len(draft.mapped.header)),
            )
            for row in draft.mapped.ragged
        ]
        both = [pd.DataFrame(ragged, columns=list(REJECTED_COLUMNS)), draft.ledger.rejected()]
        parts.extend(part for part in both if len(part))
    if not parts:
        return pd.DataFrame(columns=list(REJECTED_COLUMNS)).astype({"row": np.int64})
    order = {name: place for place, name in enumerate(CANONICAL)}
    frame: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return frame.sort_values(
        ["table", "row"], key=lambda column: column.map(order) if column.name == "table" else column, ignore_index=True
    )


def _warnings(drafts: list[Draft], unused: list[str]) -> pd.DataFrame:
    parts: list[pd.DataFrame] = [draft.ledger.notes() for draft in drafts]
    remarks = [("", label, 0, "", "", "file_unused", "warn", CHECKS["file_unused"].sentence) for label in unused]
    for draft in drafts:
        for check, column, words in draft.mapped.remarks:
            sentence = CHECKS[check].sentence.format(table=draft.name, column=column, **words)
            remarks.append((draft.name, draft.mapped.source, 0, column, "", check, CHECKS[check].outcome, sentence))
    parts.append(pd.DataFrame(remarks, columns=list(WARNING_COLUMNS)))
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=list(WARNING_COLUMNS)).astype({"row": np.int64})
    return pd.concat(parts, ignore_index=True)


def _accounting(drafts: list[Draft]) -> pd.DataFrame:
    by_name = {draft.name: draft for draft in drafts}
    rows = []
    for name in CANONICAL:
        if name not in by_name:
            rows.append((name, 0, 0, 0))
            continue
        draft = by_name[name]
        accepted, ragged = draft.ledger.n_accepted, len(draft.mapped.ragged)
        read_rows = draft.ledger.n_sources + ragged
        rows.append((name, read_rows, accepted, read_rows - accepted))
    return pd.DataFrame(rows, columns=list(ACCOUNTING_COLUMNS))
