"""Registry intake once more, in the slowest and most obvious way: which source rows are accepted, and as what.

Plain Python on written text, one row at a time, under the default settings and for the tables that carry the main
analysis: patients, augmentations, fractures. Sentences quoted in docstrings are those of sections 2 and 3 of the
rules; where they leave room, the numbered readings of `docs/readings.md` are followed (cited as "reading n").

The header is row 1, so the first data row is row 2.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta

Row = dict[str, str]
Tables = dict[str, list[Row]]

DATES = {
    "patients": ("birth_date", "enrolled_on", "follow_up_end", "death_date", "vital_status_end"),
    "augmentations": ("date",),
    "fractures": ("date", "last_clear_date"),
}
ONE_DAY = timedelta(days=1)
IDS = {"augmentations": "augmentation_id", "fractures": "fracture_id"}


@dataclass(frozen=True)
class Accepted:
    """One canonical row: a patient, or one vertebra of an accepted source row."""

    row: int
    patient: str
    level: str | None
    dates: tuple[tuple[str, date | None], ...]


@dataclass
class Outcome:
    """What became of every source row of every table."""

    accepted: dict[str, list[Accepted]]
    rejected: dict[str, set[int]]


# ---------------- levels

REGIONS = {"c": "C", "t": "T", "d": "T", "l": "L", "s": "S"}
ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii")
REGION = r"(?:cervical|thoracic|dorsal|lumbar|sacral|th|[ctdls])"
NUMBER = r"(?:[0-9]+|[ivx]+)"
VERTEBRA = re.compile(
    rf"(?P<region>{REGION})\s*(?:vertebra)?\s*-?\s*(?P<number>{NUMBER})"
    rf"|(?P<ordinal>[0-9]+)(?:st|nd|rd|th)\s*(?P<its_region>{REGION})(?:\s*vertebra)?"
    rf"|(?P<alone>{NUMBER})"
)
LIST = re.compile(r"[,;+&/]|\band\b")
RANGE = re.compile(r"-|\bto\b|\bthrough\b")


def spine_of(n_thoracic: int, n_lumbar: int) -> list[str]:
    """The ordered vertebrae of one patient."""
    names = [f"C{i}" for i in range(1, 8)] + [f"T{i}" for i in range(1, n_thoracic + 1)]
    return [*names, *(f"L{i}" for i in range(1, n_lumbar + 1)), "S1"]


def read_vertebra(text: str, region_before: str) -> str | None:
    """`L4`, `L-4`, `L04`, `lumbar 4`, `4th lumbar`, `lumbar vertebra 4`, `Th12`, `D12`, `TXII`; "a number alone takes
    the letter before it"."""
    found = VERTEBRA.fullmatch(text.strip())
    if found is None:
        return None
    region = found["region"] or found["its_region"]
    number = found["number"] or found["ordinal"] or found["alone"]
    letter = REGIONS[region[0]] if region else region_before
    if not letter:
        return None
    if number.isdigit():
        return f"{letter}{int(number)}"
    return f"{letter}{ROMAN.index(number) + 1}" if number in ROMAN else None


def read_member(text: str, region_before: str, spine: list[str]) -> list[str] | None:
    """One member of a list: a vertebra, or a range that follows the patient's own spine."""
    one = read_vertebra(text, region_before)
    if one is not None:
        return [one] if one in spine else None
    for mark in RANGE.finditer(text):
        first = read_vertebra(text[: mark.start()], region_before)
        last = read_vertebra(text[mark.end() :], first[0]) if first else None
        if first in spine and last in spine and spine.index(first) <= spine.index(last):
            return spine[spine.index(first) : spine.index(last) + 1]
    return None


def read_levels(text: str, spine: list[str]) -> list[str] | None:
    """The vertebrae of a cell, in the order of the spine; None when "one unreadable member rejects the whole"."""
    levels: set[str] = set()
    region = ""
    for member in LIST.split(text.lower().replace("–", "-")):
        found = read_member(member, region, spine)
        if found is None:
            return None
        levels |= set(found)
        region = found[-1][0]
    return [level for level in spine if level in levels]


# ---------------- dates


@dataclass(frozen=True)
class Period:
    """The days that a written date may mean, and the one that stands for them."""

    first: date
    last: date
    used: date


def day_of(year: int, month: int, day: int) -> date | None:
    try:
        found = date(year, month, day)
    except ValueError:
        return None
    return found if 1850 <= year <= 2199 else None  # 9999 stands for never in some databases


def month_period(day: date) -> Period:
    last = monthrange(day.year, day.month)[1]
    return Period(day.replace(day=1), day.replace(day=last), day.replace(day=15))


def year_period(day: date) -> Period:
    return Period(date(day.year, 1, 1), date(day.year, 12, 31), date(day.year, 7, 1))


def slash_readings(text: str) -> tuple[date | None, date | None]:
    """The date with the day first, and with the month first; None where there is no such date."""
    found = re.fullmatch(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})", text)
    if found is None:
        return None, None
    one, two, year = (int(part) for part in found.groups())
    return day_of(year, two, one), day_of(year, one, two)


def order_of(texts: Iterable[str]) -> str | None:
    """ "The column's own unambiguous dates decide"; a column that shows both orders decides nothing (reading 47)."""
    shown = set()
    for text in texts:
        day_first, month_first = slash_readings(text)
        if day_first and not month_first:
            shown.add("dmy")
        if month_first and not day_first:
            shown.add("mdy")
    return shown.pop() if len(shown) == 1 else None


def read_date(text: str, order: str | None) -> Period | None:
    """A day, a month (its 15th) or a year (its 1 July); None when the text is no date, or two and nothing decides."""
    if re.fullmatch(r"[0-9]{4}", text):
        year = day_of(int(text), 1, 1)
        return year_period(year) if year else None
    if found := re.fullmatch(r"([0-9]{4})-([0-9]{1,2})", text):
        month = day_of(int(found[1]), int(found[2]), 1)
        return month_period(month) if month else None
    if found := re.fullmatch(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})", text):
        day = day_of(int(found[1]), int(found[2]), int(found[3]))
    else:
        day_first, month_first = slash_readings(text)
        if day_first and month_first and day_first != month_first:
            day = {"dmy": day_first, "mdy": month_first, None: None}[order]
        else:
            day = day_first or month_first
    return Period(day, day, day) if day else None


def coarsened(period: Period, precision: str) -> Period:
    """A date written more exactly than it is known stands for its month or year."""
    if precision == "year":
        return year_period(period.first)
    if precision == "month" and period.first.month == period.last.month:
        return month_period(period.first)
    return period


def earliest(found: Period, clear: Period | None) -> date:
    """The earliest day on which an event can have been found, after a film that did not show it."""
    return found.first if clear is None else max(found.first, clear.first + ONE_DAY)


def day_used(found: Period, clear: Period | None, died: Period | None) -> date:
    """ "Moved to the day after last_clear_date at the earliest and to the death date at the latest, where these fall
    inside the period"."""
    day = found.used
    if clear is not None and found.first <= clear.used + ONE_DAY <= found.last:
        day = max(day, clear.used + ONE_DAY)
    if died is not None and found.first <= died.used <= found.last:
        day = min(day, died.used)
    return day


# ---------------- rows


@dataclass
class Patient:
    """An accepted row of patients."""

    row: int
    patient_id: str
    spine: list[str]
    dates: dict[str, Period | None]


@dataclass
class Event:
    """An accepted row of augmentations or fractures; `found` is None when treated before the registry began."""

    row: int
    patient: Patient
    levels: list[str]
    found: Period | None
    clear: Period | None


def numbered(rows: list[Row]) -> list[tuple[int, Row]]:
    """Rows with their numbers, cells without the space around them."""
    return [(n, {name: text.strip() for name, text in row.items()}) for n, row in enumerate(rows, start=2)]


def orders(table: str, rows: list[Row]) -> dict[str, str | None]:
    return {name: order_of(row.get(name, "").strip() for row in rows) for name in DATES[table]}


def read_dates(names: Iterable[str], row: Row, order: dict[str, str | None]) -> dict[str, Period | None] | None:
    """Every date of a row, None for an empty one; nothing at all when one is "unusable (optional dates too)"."""
    periods: dict[str, Period | None] = {}
    for name in names:
        text = row.get(name, "")
        periods[name] = read_date(text, order[name]) if text else None
        if text and periods[name] is None:
            return None
    return periods


def vertebrae(text: str, usual: int, low: int, high: int) -> int | None:
    """A number of vertebrae; None when "out of range". What is no number is "any other optional value that is
    unreadable": left empty, the usual number."""
    try:
        number = float(text)
    except ValueError:
        return usual
    return int(number) if number in range(low, high + 1) else None


def accept_patients(rows: list[Row], rejected: set[int]) -> dict[str, Patient]:
    """One row a patient: "a second patients row for one id" is rejected, the first accepted in the file stays."""
    patients: dict[str, Patient] = {}
    order = orders("patients", rows)
    for n, row in numbered(rows):
        patient_id = row["patient_id"]
        dates = read_dates(DATES["patients"], row, order)
        thoracic, lumbar = vertebrae(row.get("n_thoracic", ""), 12, 11, 13), vertebrae(row.get("n_lumbar", ""), 5, 4, 6)
        unusable = dates is None or dates["follow_up_end"] is None or thoracic is None or lumbar is None
        if not patient_id or patient_id in patients or unusable:
            rejected.add(n)
        else:
            patients[patient_id] = Patient(n, patient_id, spine_of(thoracic, lumbar), dates)
    return patients


def read_event(table: str, n: int, row: Row, order: dict[str, str | None], patient: Patient) -> Event | None:
    """One event row; None when it is to be rejected for what it says by itself."""
    precision = row.get("date_precision", "").lower()
    before_index = table == "augmentations" and precision == "before_index"
    # "Treated before the registry began: the date is not used, whatever it says."
    dates = read_dates([] if before_index else DATES[table], row, order)
    levels = read_levels(row["level"], patient.spine)
    if dates is None or levels is None:
        return None
    if before_index:
        return Event(n, patient, levels, None, None)
    if dates["date"] is None:
        return None
    found, clear, died = coarsened(dates["date"], precision), dates.get("last_clear_date"), patient.dates["death_date"]
    # A period fails "only if no day of the period could satisfy" the checks: after the clear film, not after death.
    latest = min(found.last, died.last) if died else found.last
    return Event(n, patient, levels, found, clear) if earliest(found, clear) <= latest else None


def accept_events(table: str, rows: list[Row], patients: dict[str, Patient], rejected: set[int]) -> list[Event]:
    """In the order of the file: of exact duplicates and of rows with one id the first accepted stays."""
    events: list[Event] = []
    order = orders(table, rows)
    whole_rows: set[tuple[str, ...]] = set()
    used_ids: set[str] = set()
    for n, row in numbered(rows):
        patient = patients.get(row["patient_id"])
        event = read_event(table, n, row, order, patient) if patient else None
        written_id, ids = row.get(IDS[table], ""), set()
        if event and written_id:
            ids = {written_id}
            if len(event.levels) > 1:  # each vertebra gets `<written id>:<level>`
                ids |= {f"{written_id}:{level}" for level in event.levels}
        if event is None or tuple(row.values()) in whole_rows or ids & used_ids:
            rejected.add(n)
        else:
            whole_rows.add(tuple(row.values()))
            used_ids |= ids
            events.append(event)
    return events


# ---------------- the days used

# The rules move the day of an event only. Where it is the death or the clear film that is known to its month or year,
# the two moves below keep the accepted rows consistent; no numbered reading states them.


def alive_on(event: Event, died: Period) -> date:
    """The earliest day on which an accepted event can have been found: after the day used for its clear film, or where
    that leaves no day before death, after the earliest day the film may mean."""
    if event.clear is None:
        return event.found.first
    after_film = event.clear.used + ONE_DAY
    possible = after_film <= min(event.found.last, died.last)
    return max(event.found.first, after_film) if possible else earliest(event.found, event.clear)


def settle_death(patient: Patient, events: list[Event]) -> None:
    """A death known to its month or year is on the day of the patient's last accepted event at the earliest: a day
    that satisfies the check which let that event pass."""
    died = patient.dates["death_date"]
    if died is not None:
        known = [alive_on(one, died) for one in events if one.patient is patient and one.found]
        patient.dates["death_date"] = replace(died, used=max([died.used, *known]))


def canonical(table: str, event: Event) -> list[Accepted]:
    """One row per vertebra. A clear film known to its month or year is on the day before the find at the latest."""
    used: dict[str, date | None] = dict.fromkeys(DATES[table])
    if event.found is not None:
        used["date"] = day_used(event.found, event.clear, event.patient.dates["death_date"])
        if event.clear is not None:
            used["last_clear_date"] = min(event.clear.used, used["date"] - ONE_DAY)
    return [Accepted(event.row, event.patient.patient_id, level, tuple(used.items())) for level in event.levels]


def accept(tables: Tables) -> Outcome:
    """Accepted sources and rejected sources are the rows read, for every table, always."""
    outcome = Outcome({}, {name: set() for name in DATES})
    patients = accept_patients(tables["patients"], outcome.rejected["patients"])
    events = {name: accept_events(name, tables[name], patients, outcome.rejected[name]) for name in IDS}
    for patient in patients.values():
        settle_death(patient, [one for accepted in events.values() for one in accepted])
    outcome.accepted["patients"] = [
        Accepted(one.row, one.patient_id, None, tuple((name, day and day.used) for name, day in one.dates.items()))
        for one in patients.values()
    ]
    for name, accepted in events.items():
        outcome.accepted[name] = [row for event in accepted for row in canonical(name, event)]
    return outcome
