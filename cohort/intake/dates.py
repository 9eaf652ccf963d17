"""Calendar dates as people write them; a date that could be read two ways is never guessed.

A written date is a period of days: one day, a month (the 15th stands for it) or a year (1 July). Numbers with the year
last are read by the declared order, else by the order that the column's own unambiguous dates show.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Final

import numpy as np

from cohort.domain.clock import MISSING, IntArray
from cohort.domain.study import DateOrder
from cohort.domain.written import bare
from cohort.intake.ledger import ObjectArray
from cohort.intake.words import Words, distinct, not_recorded, says_none, take

DAY, MONTH, YEAR = 0, 1, 2
FIRST_YEAR, LAST_YEAR = 1850, 2199

_MONTHS: Final = {
    bare(name): number
    for number, names in enumerate(
        (
            "january jan januar jänner janvier janv enero ene",
            "february feb februar febr février févr fév febrero",
            "march mar märz maerz mär mrz mars marzo", "april apr avril avr abril abr", "may mai mayo",
            "june jun juni juin junio", "july jul juli juillet juil julio", "august aug août agosto ago",
            "september sep sept septembre septiembre setiembre set", "october oct oktober okt octobre octubre",
            "november nov novembre noviembre", "december dec dezember dez décembre déc diciembre dic",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_CLOCK: Final = "(?:[01]?[0-9]|2[0-4]):[0-5][0-9](?::[0-6][0-9](?:[.,][0-9]+)?)?"
_TIME: Final = rf"(?:[t ]+{_CLOCK} ?(?:[ap]m)?(?:z|[+-][0-9]{{2}}:?[0-9]{{2}})?)?"
_NAME: Final = r"([a-z]{3,10})\.?"
_ISO: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_YEAR_FIRST: Final = re.compile(rf"([0-9]{{4}})([/.-])([0-9]{{1,2}})\2([0-9]{{1,2}}){_TIME}")
_YEAR_LAST: Final = re.compile(rf"([0-9]{{1,2}}) ?([/.-]) ?([0-9]{{1,2}}) ?\2 ?([0-9]{{4}}){_TIME}")
_COMPACT: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_DAY_NAME: Final = re.compile(
    rf"([0-9]{{1,2}})(?:st|nd|rd|th|er|º|\.)?(?: de |[ /-]*){_NAME}(?: de | del |[ /,-]*)([0-9]{{4}}){_TIME}"
)
_CHINESE: Final = re.compile(r"([0-9]{4}) ?年(?: ?([0-9]{1,2}) ?月(?: ?([0-9]{1,2}) ?[日号號])?)?")
_NAME_DAY: Final = re.compile(rf"{_NAME} ?([0-9]{{1,2}})(?:st|nd|rd|th)?(?:,? |,)([0-9]{{4}}){_TIME}")
_NAME_ONLY: Final = re.compile(rf"{_NAME}(?: de | del |[ /,-]*)([0-9]{{4}})")
_YEAR_MONTH: Final = re.compile(r"([0-9]{4})[/.-]([0-9]{1,2})")
_MONTH_YEAR: Final = re.compile(r"([0-9]{1,2})[/.-]([0-9]{4})")
_SERIAL: Final = re.compile(r"[1-9][0-9]{4}(?:[.,][0-9]+)?")  # 1927 to 2173, as a workbook numbers its days
_TWO_DIGITS: Final = re.compile(rf"[0-9]{{1,2}}[ /.-]+(?:[0-9]{{1,2}}|{_NAME})[ /.-]+'?[0-9]{{2}}{_TIME}")


@dataclass(frozen=True)
class Written:
    """One written date: a period, or two numbers before a year whose order is open, or the check it fails."""

    fault: str = ""
    precision: int = DAY
    year: int = 0
    month: int = 0
    day: int = 0
    pair: tuple[int, int] | None = None


@dataclass(frozen=True)
class DateColumn:
    """Dates of one column; int64 days since 1970-01-01, shape (n,), MISSING where there is none.

    low, high : first and last day of the written period; used : the day that stands for it.
    precision : DAY, MONTH or YEAR. fault : the check that failed, "" where none did.
    shown : rows whose date can only be read with the day first, and only with the month first.
    """

    low: IntArray
    used: IntArray
    high: IntArray
    precision: IntArray
    fault: ObjectArray
    shown: tuple[int, int] = (0, 0)

    @property
    def known(self) -> np.ndarray:
        """Rows with a date."""
        return self.used != MISSING


def read(text: str) -> Written:
    """Read one written date.

    >>> read("12-Mar-2021").day, read("March 2021").precision == MONTH, read("03/04/2021").pair, read("1/2/21").fault
    (12, True, (3, 4), 'date_two_digit_year')
    """
    if m := _ISO.fullmatch(text):
        # What most dates look like; no word, and nothing that `bare` would change.
        return _whole(int(m[1]), int(m[2]), int(m[3]))
    if not_recorded(text) or says_none(text):
        return Written(fault="missing")
    text = bare(text)
    if m := _YEAR_FIRST.fullmatch(text):
        return _whole(int(m[1]), int(m[3]), int(m[4]))
    if m := _YEAR_LAST.fullmatch(text):
        return _open(int(m[1]), int(m[3]), int(m[4]))
    if m := _COMPACT.fullmatch(text):
        return _whole(int(m[1]), int(m[2]), int(m[3]))
    if m := _DAY_NAME.fullmatch(text):
        return _whole(int(m[3]), _MONTHS.get(m[2], 0), int(m[1]))
    if m := _NAME_DAY.fullmatch(text):
        return _whole(int(m[3]), _MONTHS.get(m[1], 0), int(m[2]))
    if m := _NAME_ONLY.fullmatch(text):
        return _part(int(m[2]), _MONTHS.get(m[1], 0))
    if m := _YEAR_MONTH.fullmatch(text):
        return _part(int(m[1]), int(m[2]))
    if m := _MONTH_YEAR.fullmatch(text):
        return _part(int(m[2]), int(m[1]))
    if re.fullmatch("[0-9]{4}", text):
        return _part(int(text), None)
    if m := _CHINESE.fullmatch(text):
        if m[3]:
            return _whole(int(m[1]), int(m[2]), int(m[3]))
        return _part(int(m[1]), int(m[2]) if m[2] else None)
    if _SERIAL.fullmatch(text):
        return Written(fault="date_serial")
    return Written(fault="date_two_digit_year" if _TWO_DIGITS.fullmatch(text) else "date_unreadable")


def read_column(values: Words | ObjectArray, order: DateOrder | None = None) -> DateColumn:
    """Read a column of written dates, shape (n,); `order` is the declared one."""
    codes, texts = distinct(values)
    written = [read(text) for text in texts]
    ways = [_readings(one) for one in written]
    counts = np.bincount(codes, minlength=len(texts))
    day_first, month_first = (
        int(sum(counts[k] for k, way in enumerate(ways) if set(way) == {order})) for order in ("dmy", "mdy")
    )
    resolved = _resolve(written, ways, order)
    periods = np.array([_period(one) for one in resolved], dtype=np.int64).reshape(-1, 3)
    precision = np.array([one.precision for one in resolved], dtype=np.int64)
    fault = take(["" if one.fault == "missing" else one.fault for one in resolved], codes)
    low, used, high = periods[codes].T if len(periods) else np.empty((3, 0), dtype=np.int64)
    coarseness = precision[codes] if len(precision) else np.empty(0, dtype=np.int64)
    return DateColumn(low, used, high, coarseness, fault, (day_first, month_first))


def coarsen(dates: DateColumn, precision: IntArray) -> DateColumn:
    """Apply the registry's own date_precision: it prevails where it is the coarser one.

    precision : DAY, MONTH or YEAR per row, shape (n,).
    """
    coarser = dates.known & (precision > dates.precision)
    values = dates.used.astype("datetime64[D]")
    month, year = values.astype("datetime64[M]"), values.astype("datetime64[Y]")
    is_month, is_year = coarser & (precision == MONTH), coarser & (precision == YEAR)
    low, used, high = dates.low.copy(), dates.used.copy(), dates.high.copy()
    for mask, first, following, middle in (
        (is_month, month, month + 1, month.astype("datetime64[D]") + 14),
        (is_year, year, year + 1, (year.astype("datetime64[M]") + 6).astype("datetime64[D]")),
    ):
        low = np.where(mask, first.astype("datetime64[D]").astype(np.int64), low)
        high = np.where(mask, following.astype("datetime64[D]").astype(np.int64) - 1, high)
        used = np.where(mask, middle.astype(np.int64), used)
    return replace(dates, low=low, used=used, high=high, precision=np.where(coarser, precision, dates.precision))


def _whole(year: int, month: int, day: int) -> Written:
    if not _is_day(year, month, day):
        return Written(fault="date_unreadable")
    return _plausible(Written(year=year, month=month, day=day))


def _part(year: int, month: int | None) -> Written:
    if month is None:
        return _plausible(Written(precision=YEAR, year=year))
    if not 1 <= month <= 12:
        return Written(fault="date_unreadable")
    return _plausible(Written(precision=MONTH, year=year, month=month))


def _open(first: int, second: int, year: int) -> Written:
    day_first, month_first = _is_day(year, second, first), _is_day(year, first, second)
    if not (day_first or month_first):
        return Written(fault="date_unreadable")
    return _plausible(Written(year=year, pair=(first, second)))


def _plausible(written: Written) -> Written:
    return written if FIRST_YEAR <= written.year <= LAST_YEAR else Written(fault="date_implausible")


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _readings(written: Written) -> dict[str, Written]:
    """The ways in which an open date can be read, by order."""
    if written.pair is None:
        return {}
    first, second = written.pair
    both = {"dmy": (second, first), "mdy": (first, second)}
    return {
        order: Written(year=written.year, month=month, day=day)
        for order, (month, day) in both.items()
        if _is_day(written.year, month, day)
    }


def _resolve(
    written: Sequence[Written], ways: Sequence[dict[str, Written]], declared: DateOrder | None
) -> list[Written]:
    shown = {next(iter(way)) for way in ways if len(way) == 1}
    undecided = Written(fault="date_orders_mixed" if len(shown) > 1 else "date_ambiguous")
    by_column = shown.pop() if len(shown) == 1 else None
    resolved = []
    for one, way in zip(written, ways, strict=True):
        if one.pair is None:
            resolved.append(one)
        elif declared is not None:
            resolved.append(way.get(declared, Written(fault="date_against_order")))
        elif len(way) == 1 or one.pair[0] == one.pair[1]:
            resolved.append(next(iter(way.values())))
        else:
            resolved.append(way[by_column] if by_column else undecided)
    return resolved


@lru_cache(maxsize=200_000)
def _period(written: Written) -> tuple[int, int, int]:
    """First day, day used and last day of one date as days since 1970-01-01."""
    if written.fault:
        return MISSING, MISSING, MISSING
    year, month, day = written.year, written.month, written.day
    if written.precision == DAY:
        only = _number(date(year, month, day))
        return only, only, only
    if written.precision == YEAR:
        return _number(date(year, 1, 1)), _number(date(year, 7, 1)), _number(date(year, 12, 31))
    following = date(year + month // 12, month % 12 + 1, 1)
    return _number(date(year, month, 1)), _number(date(year, month, 15)), _number(following) - 1


def _number(day: date) -> int:
    return day.toordinal() - date(1970, 1, 1).toordinal()
