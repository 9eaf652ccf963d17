"""One table on its way: every cell read, every check of a row by itself applied, nothing yet thrown away."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort.domain.clock import MISSING, BoolArray, IntArray
from cohort.domain.study import SourceTable
from cohort.intake import dates, findings, leaks, levels, numbers, units
from cohort.intake.dates import DateColumn
from cohort.intake.grid import matches
from cohort.intake.ledger import Ledger, ObjectArray
from cohort.intake.mapping import MappedTable
from cohort.intake.reshape import folded
from cohort.intake.words import Words, distinct, read_distinct, take
from cohort.tables.drugs import drug_of
from cohort.tables.schema import Column, Table

PRECISION_CODE: Final = {"day": dates.DAY, "month": dates.MONTH, "year": dates.YEAR}
_NO_ID: Final = r"^(=|#(N/A|REF!|VALUE!|DIV/0!|NAME\?|NUM!|NULL!|SPILL!|CALC!)$)"
_CM_LOW, _CM_HIGH = 0.5, 6.0  # millimetres: no vertebral height, but any of them in centimetres


@dataclass(frozen=True)
class Spines:
    """What the rows of other tables need to know of their patient; one element per accepted patients row.

    death_low, death_high : first and last day of the written death date, MISSING where there is none.
    """

    ids: pd.Index
    n_thoracic: IntArray
    n_lumbar: IntArray
    death_low: IntArray
    death_high: IntArray
    follow_up_end: IntArray


@dataclass
class Draft:
    """One table read, with its ledger.

    patient : place of each row's patient among the accepted patients, -1 where there is none.
    dates, numbers, codes : the parsed canonical columns by kind, one element per source row.
    origin, level : one element per vertebra: its source row, and its level code.
    """

    table: Table
    mapped: MappedTable
    ledger: Ledger
    patient: IntArray
    dates: dict[str, DateColumn] = field(default_factory=dict)
    numbers: dict[str, np.ndarray] = field(default_factory=dict)
    codes: dict[str, IntArray] = field(default_factory=dict)
    texts: dict[str, Words] = field(default_factory=dict)
    single_levels: dict[str, IntArray] = field(default_factory=dict)
    leaks: dict[str, ObjectArray] = field(default_factory=dict)
    before_index: BoolArray = field(default_factory=lambda: np.empty(0, dtype=bool))
    origin: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    level: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    used: dict[str, IntArray] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the table."""
        return self.table.name


def read(mapped: MappedTable, spec: SourceTable, spines: Spines | None) -> Draft:
    """Read every cell of one table and apply the checks of its own rows.

    spines : the accepted patients; None for the table patients itself.
    """
    table = mapped.table
    n = len(mapped.rows)
    ledger = Ledger(table.name, mapped.source, mapped.rows)
    draft = Draft(table, mapped, ledger, np.full(n, -1, dtype=np.int64))
    for column in table:
        if column.kind == "id" and column.name in mapped.values:
            values = mapped.values[column.name]
            broken = matches(values.texts, _NO_ID)[values.codes]
            ledger.record(broken, "id_not_computed", column.name, mapped.written[column.name])
    _read_patient(draft, spines)
    _read_dates(draft, spec)
    _read_levels(draft, spines)
    for column in table:
        if column.kind == "text" and column.required:
            ledger.record(mapped.values[column.name].holds(""), "required_empty", column.name)
    for column in table:
        if column.name in mapped.values:
            _read_value(draft, column, spec)
        elif column.name == "drug_class":
            draft.codes["drug_class"] = _class_from_drug(draft, np.full(n, -1, dtype=np.int64))
    _read_leaks(draft, spines)
    return draft


def _read_patient(draft: Draft, spines: Spines | None) -> None:
    ids = draft.mapped.values["patient_id"]
    draft.ledger.record(ids.holds(""), "patient_id_empty", "patient_id")
    if spines is not None:
        codes, texts = distinct(ids)
        places = spines.ids.get_indexer(pd.Index(texts, dtype=object)).astype(np.int64)
        draft.patient = places[codes] if len(places) else np.empty(0, dtype=np.int64)
        draft.ledger.record(draft.patient < 0, "patient_unknown", "patient_id", draft.mapped.written["patient_id"])


def _read_dates(draft: Draft, spec: SourceTable) -> None:
    values, written, ledger = draft.mapped.values, draft.mapped.written, draft.ledger
    order = {folded(column): way for column, way in spec.date_order.items()}
    n = len(draft.mapped.rows)
    draft.before_index = np.zeros(n, dtype=bool)
    precision = np.full(n, dates.DAY, dtype=np.int64)
    if "date_precision" in values:
        column = draft.table["date_precision"]
        codes, readings = read_distinct(values["date_precision"], lambda text: findings.read_word(text, column))
        words = [column.vocabulary[code] if code >= 0 else "" for code in readings]
        precision = np.array([PRECISION_CODE.get(word, dates.DAY) for word in words], dtype=np.int64)[codes]
        draft.before_index = np.array([word == "before_index" for word in words], dtype=bool)[codes]
    for column in draft.table:
        name = column.name
        if column.kind != "date" or name not in values:
            continue
        read_dates = dates.read_column(values[name], order.get(name))
        if name == "date" and len(values[name]):
            read_dates = dates.coarsen(read_dates, precision)
            # Treated before the registry began: the date is not used, whatever it says.
            ledger.record(draft.before_index & ~values[name].holds(""), "date_before_index", name, written[name])
            read_dates = _without(read_dates, draft.before_index)
        for fault in sorted(set(read_dates.fault) - {""}, key=str):
            day_first, month_first = read_dates.shown
            ledger.record(
                read_dates.fault == fault, fault, name, written[name], day_first=day_first, month_first=month_first
            )
        if column.required:
            empty = ~read_dates.known & (read_dates.fault == "")
            if name == "date":
                empty &= ~draft.before_index
            ledger.record(empty, "required_empty", name, written[name])
        draft.dates[name] = read_dates
        draft.used[name] = read_dates.used


def _without(column: DateColumn, mask: BoolArray) -> DateColumn:
    def blank(days: IntArray) -> IntArray:
        return np.where(mask, MISSING, days)

    return replace(
        column,
        low=blank(column.low),
        used=blank(column.used),
        high=blank(column.high),
        precision=np.where(mask, dates.DAY, column.precision),
        fault=np.where(mask, "", column.fault),
    )


def _read_levels(draft: Draft, spines: Spines | None) -> None:
    values, written, ledger = draft.mapped.values, draft.mapped.written, draft.ledger
    n = len(draft.mapped.rows)
    draft.origin = np.arange(n, dtype=np.int64)
    if spines is None:
        return
    for column in draft.table:
        name = column.name
        if column.kind != "level" or name not in values:
            continue
        codes, parsed = read_distinct(values[name], levels.parse)
        fault = take([one if isinstance(one, str) else "" for one in parsed], codes)
        for check in ("level_unreadable", "level_sacral"):
            ledger.record(fault == check, check, name, written[name])
        if column.required:
            empty = take([one == () for one in parsed], codes).astype(bool)
            ledger.record(empty, "required_empty", name, written[name])
        members = _members(codes, parsed, draft.patient, spines)
        outside = np.array([isinstance(one, str) for one in members[1]], dtype=bool)[members[0]]
        ledger.record(outside, "level_not_in_spine", name, written[name])
        lists: list[tuple[int, ...]] = [() if isinstance(one, str) else one for one in members[1]]
        counts = np.array([len(one) for one in lists], dtype=np.int64)[members[0]]
        if name == "level":
            draft.origin = np.repeat(np.arange(n, dtype=np.int64), counts)
            starts = np.cumsum([0, *(len(one) for one in lists)])[:-1]
            flat = np.array([code for one in lists for code in one], dtype=np.int64)
            within = np.arange(len(draft.origin)) - np.repeat(np.cumsum(counts) - counts, counts)
            draft.level = flat[np.repeat(starts[members[0]], counts) + within]
        else:
            ledger.record(counts > 1, "level_several", name, written[name])
            first = np.array([one[0] if one else -1 for one in lists], dtype=np.int64)
            draft.single_levels[name] = first[members[0]]


def _members(
    codes: IntArray, parsed: list[tuple[levels.Item, ...] | levels.Fault], patient: IntArray, spines: Spines
) -> tuple[IntArray, list[tuple[int, ...] | levels.Fault]]:
    """The vertebrae of each row, expanded once per distinct text and spine: codes (n,) into the list of them."""
    known = patient >= 0
    n_thoracic = np.where(known, spines.n_thoracic[patient], 12) if len(spines.ids) else np.full(len(codes), 12)
    n_lumbar = np.where(known, spines.n_lumbar[patient], 5) if len(spines.ids) else np.full(len(codes), 5)
    packed = (codes * 32 + n_thoracic) * 8 + n_lumbar
    pairs, which = np.unique(packed, return_inverse=True)
    expanded: list[tuple[int, ...] | levels.Fault] = []
    for pair in pairs.tolist():
        items = parsed[pair // 256]
        expanded.append(() if isinstance(items, str) else levels.expand(items, pair // 8 % 32, pair % 8))
    return which.astype(np.int64).reshape(-1), expanded or [()]


def _read_value(draft: Draft, column: Column, spec: SourceTable) -> None:
    name, kind, ledger = column.name, column.kind, draft.ledger
    values, written = draft.mapped.values[name], draft.mapped.written[name]
    if kind in ("id", "text"):
        draft.texts[name] = values
    elif kind in ("number", "integer"):
        draft.numbers[name] = _read_number(draft, column, spec)
    elif kind in ("vocabulary", "yes_no", "finding"):
        reader = findings.read_word if kind == "vocabulary" else findings.read_state
        codes, readings = read_distinct(values, lambda text: reader(text, column))
        code = np.array(readings, dtype=np.int64)[codes] if len(readings) else np.empty(0, dtype=np.int64)
        words = ", ".join(column.dtype.categories)  # type: ignore[union-attr]
        ledger.record(code == findings.UNREADABLE, "word_unknown", name, written, words=words)
        code = np.where(code < 0, -1, code)
        if name == "drug_class":
            code = _class_from_drug(draft, code)
        draft.codes[name] = code


def _read_number(draft: Draft, column: Column, spec: SourceTable) -> np.ndarray:
    name, ledger, written = column.name, draft.ledger, draft.mapped.written[column.name]
    written_unit = {folded(key): unit for key, unit in spec.unit.items()}.get(name, column.unit)
    read_numbers = numbers.read_column(draft.mapped.values[name], spec.decimal, written_unit)
    value = units.convert(read_numbers.value.copy(), written_unit, column.unit)
    low = -np.inf if column.minimum is None else column.minimum
    high = np.inf if column.maximum is None else column.maximum
    limits: dict[str, Any] = {"minimum": low, "maximum": high}
    outside = (value < low) | (value > high)
    fractional = (
        ~np.isnan(value) & (value != np.round(value)) if column.kind == "integer" else np.zeros(len(value), bool)
    )
    if name in ("n_thoracic", "n_lumbar"):
        # A spine of another length moves every neighbour: this is never blanked.
        ledger.record(outside | fractional, "spine_out_of_range", name, written, **limits)
    ledger.record(
        read_numbers.fault == "number_unreadable", "number_unreadable", name, written, unit=column.unit or "figures"
    )
    ledger.record(read_numbers.fault == "number_ambiguous", "number_ambiguous", name, written)
    ledger.record(outside, "number_out_of_range", name, written, **limits, unit=column.unit or "figures")
    ledger.record(fractional & ~outside, "not_whole", name, written)
    centimetres = (column.unit == "mm") & (value >= _CM_LOW) & (value <= _CM_HIGH)
    ledger.record(centimetres, "height_in_cm", name, written)
    value[outside | fractional | centimetres] = np.nan
    return value


def _class_from_drug(draft: Draft, code: IntArray) -> IntArray:
    codes, readings = read_distinct(draft.mapped.values["drug"], lambda text: drug_of(text).drug_class)
    vocabulary = draft.table["drug_class"].vocabulary
    named = np.array([vocabulary.index(one) if one else -1 for one in readings], dtype=np.int64)
    from_name = named[codes] if len(named) else np.empty(0, dtype=np.int64)
    code = np.where(code < 0, from_name, code)
    draft.ledger.record(code < 0, "drug_unknown", "drug", draft.mapped.written["drug"])
    return code


def _read_leaks(draft: Draft, spines: Spines | None) -> None:
    """Sets, one per vertebra: a disc named by its vertebrae lies above one of them and below the other."""
    for column in draft.table:
        if column.kind != "set" or column.name not in draft.mapped.values or spines is None:
            continue
        written = draft.mapped.written[column.name]
        codes, readings = read_distinct(draft.mapped.values[column.name], leaks.read)
        fault = take([one.fault for one in readings], codes)
        words = ", ".join(column.vocabulary)
        for check in ("word_unknown", "leak_contradicts"):
            draft.ledger.record(fault == check, check, column.name, written, words=words)
        at = draft.origin
        patient = draft.patient[at]
        known = patient >= 0
        thoracic = np.where(known, spines.n_thoracic[patient], 12) if len(spines.ids) else np.full(len(at), 12)
        lumbar = np.where(known, spines.n_lumbar[patient], 5) if len(spines.ids) else np.full(len(at), 5)
        packed = ((codes[at] * 32 + draft.level) * 32 + thoracic) * 8 + lumbar
        combinations, which = np.unique(packed, return_inverse=True)
        seen = [
            leaks.at_level(readings[one // 8192], one // 256 % 32, one // 8 % 32, one % 8)
            for one in combinations.tolist()
        ]
        which = which.reshape(-1)
        elsewhere = np.zeros(len(codes), dtype=bool)
        if len(at):
            elsewhere[at[np.array([bool(check) for _, check in seen], dtype=bool)[which]]] = True
        draft.ledger.record(elsewhere, "leak_elsewhere", column.name, written)
        draft.leaks[column.name] = take([text or np.nan for text, _ in seen], which)
