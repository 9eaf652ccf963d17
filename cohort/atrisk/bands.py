"""Splitting time by calendar year, by age, and by days since the latest procedure.

A cut after day *d* makes *d* + 1 the first day of the next band, so that rows stay `(start, stop]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, get_args

import numpy as np
import pandas as pd

from cohort.atrisk.clocks import procedures
from cohort.atrisk.members import Members
from cohort.atrisk.windows import ragged, split
from cohort.domain.clock import DAYS_PER_YEAR, MISSING, NEVER, IntArray, to_days
from cohort.domain.errors import DefinitionError
from cohort.domain.study import StudyDefinition
from cohort.domain.treated import pack
from cohort.tables.results import CountingProcess

Split = Literal["calendar_year", "age", "since_procedure"]
SPLITS: Final[tuple[Split, ...]] = get_args(Split)
AGES: Final = (65, 75, 85)
DAYS_SINCE: Final = (30, 90, 365)
UNKNOWN: Final = "unknown"

_CodeOf = Callable[[IntArray, IntArray], IntArray]


@dataclass(frozen=True)
class Bands:
    """One way to split time: the bands in order (the last is UNKNOWN), the cuts, and the band of a patient on a day.

    cut_patient, cut_day : int64, days after which another band begins. code_of : patient, day -> place in `names`.
    """

    by: Split
    names: tuple[str, ...]
    cut_patient: IntArray
    cut_day: IntArray
    code_of: _CodeOf


def bands(
    members: Members,
    tables: Mapping[str, pd.DataFrame],
    augmentations: pd.DataFrame,
    by: Sequence[str],
    *,
    ages: Sequence[int] = AGES,
    days_since: Sequence[int] = DAYS_SINCE,
) -> list[Bands]:
    """The bands of each split asked for.

    by : of SPLITS. ages : first years of life of the bands after the youngest. days_since : last days of the bands
    after a procedure (C1-L6), before the open one.

    Raises DefinitionError for a split that is none of SPLITS, and for cuts that do not grow.
    """
    for name, cuts in (("ages", ages), ("days_since", days_since)):
        if list(cuts) != sorted(set(cuts)) or any(cut < 1 for cut in cuts):
            raise DefinitionError(f"{name} = {list(cuts)}: the cuts must be whole numbers from 1 that grow.")
    found = []
    for one in by:
        if one == "calendar_year":
            found.append(_calendar_year(members))
        elif one == "age":
            found.append(_age(members, tables, ages))
        elif one == "since_procedure":
            found.append(_since_procedure(members, augmentations, days_since))
        else:
            raise DefinitionError(f"Time cannot be split by '{one}'; write {', '.join(SPLITS)}.")
    return found


def split_rows(
    process: CountingProcess,
    tables: Mapping[str, pd.DataFrame],
    augmentations: pd.DataFrame,
    study: StudyDefinition,
    by: Sequence[str],
    *,
    ages: Sequence[int] = AGES,
    days_since: Sequence[int] = DAYS_SINCE,
) -> CountingProcess:
    """Counting-process rows split so that each lies in one band, with a column per split (an ordered categorical).

    The event stays with the last piece of its row; durations and events add up to those given.
    """
    members = Members.of(tables, augmentations, study)
    frame = process.frame
    patient = frame["cluster"].to_numpy(dtype=np.int64)
    origin = to_days(frame["origin_date"])
    stop_of = frame["exit"].to_numpy(dtype=np.int64) + origin
    start, stop = frame["entry"].to_numpy(dtype=np.int64) + origin, stop_of
    source = np.arange(len(frame), dtype=np.int64)
    wanted = bands(members, tables, augmentations, by, ages=ages, days_since=days_since)
    for one in wanted:
        kept, start, stop = split(patient[source], start, stop, one.cut_patient, one.cut_day)
        source = source[kept]
    ended = stop == stop_of[source]
    cut = frame.iloc[source].reset_index(drop=True)
    cut["entry"], cut["exit"] = start - origin[source], stop - origin[source]
    cut["cause"] = np.where(ended, cut["cause"], 0)
    cut["lower"] = cut["lower"].where(ended)
    for one in wanted:
        cut[one.by] = pd.Categorical.from_codes(
            one.code_of(patient[source], stop),  # type: ignore[arg-type]  # stubs know lists only
            dtype=pd.CategoricalDtype(list(one.names), ordered=True),
        )
    return CountingProcess(cut, process.unit, process.causes, process.origin, process.time_scale, process.weight_kind)


def birthdays(members: Members, tables: Mapping[str, pd.DataFrame], ages: Sequence[int]) -> IntArray:
    """The day on which each patient completes each age, MISSING where no age is known; shape (n_patients, n_ages).

    29 February becomes 1 March in other years. With `age_at_index` only, the age is counted on from the first
    augmentation, in years of 365.25 days.
    """
    patients = tables["patients"]
    birth, origin = to_days(patients["birth_date"]), members.follow_up.origin
    written = patients["age_at_index"].to_numpy(dtype=np.float64)
    result = np.full((len(members), len(ages)), MISSING, dtype=np.int64)
    born = birth != MISSING
    counted = ~born & ~np.isnan(written) & (origin != MISSING)
    date = np.where(born, birth, 0).astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    in_month = (date - month).astype(np.int64)
    for column, age in enumerate(ages):
        birthday = (month + 12 * age).astype("datetime64[D]").astype(np.int64) + in_month
        ahead = np.ceil((age - np.nan_to_num(written)) * DAYS_PER_YEAR).astype(np.int64)
        result[:, column] = np.select([born, counted], [birthday, origin + ahead], MISSING)
    return result


def _calendar_year(members: Members) -> Bands:
    time = members.follow_up
    followed = np.flatnonzero(time.has_time & (time.entry != NEVER))
    # A late death may close follow-up (`death_closes`), so cuts reach as far as it.
    ends_by = np.maximum(time.exit, members.death)[followed]
    first, last = _year(time.entry[followed] + 1), _year(ends_by)
    least, most = int(first.min(initial=9999)), int(last.max(initial=0))
    who, step = ragged(last - first)
    cuts = (first[who] + step - 1969).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64) - 1
    names = (*(str(year) for year in range(least, most + 1)), UNKNOWN)

    def code(patient: IntArray, day: IntArray) -> IntArray:
        year = _year(day)
        return np.where((year >= least) & (year <= most), year - least, len(names) - 1)

    return Bands("calendar_year", names, followed[who], cuts, code)


def _age(members: Members, tables: Mapping[str, pd.DataFrame], ages: Sequence[int]) -> Bands:
    reached = birthdays(members, tables, ages)
    known = reached[:, 0] != MISSING if len(ages) else np.zeros(len(members), dtype=bool)
    patient, column = np.nonzero(np.broadcast_to(known[:, None], reached.shape))
    between = [f"{low}-{high - 1}" for low, high in pairwise(ages)]
    names = (f"<{ages[0]}", *between, f">={ages[-1]}", UNKNOWN) if len(ages) else (UNKNOWN,)

    def code(patient: IntArray, day: IntArray) -> IntArray:
        completed = (reached[patient] <= day[:, None]).sum(axis=1)
        return np.where(known[patient], completed, len(names) - 1).astype(np.int64)

    return Bands("age", names, patient.astype(np.int64), reached[patient, column] - 1, code)


def _since_procedure(members: Members, augmentations: pd.DataFrame, days_since: Sequence[int]) -> Bands:
    owner, day, _ = procedures(members, augmentations, merge_staged=False)
    line = pack(owner, day)
    steps = np.array(days_since, dtype=np.int64)
    firsts = [1, *(last + 1 for last in days_since)]
    names = (*(f"{low}-{high}" for low, high in zip(firsts, days_since, strict=False)), f">{firsts[-1] - 1}", UNKNOWN)

    def code(patient: IntArray, on: IntArray) -> IntArray:
        found = np.searchsorted(line, pack(patient, on), side="left") - 1
        mine = (found >= 0) & (np.append(owner, -1)[found] == patient)
        since = on - np.append(day, 0)[found]
        return np.where(mine, np.searchsorted(steps, since, side="left"), len(names) - 1).astype(np.int64)

    n = len(day)
    until = np.append(np.where(owner[1:] == owner[:-1], day[1:], NEVER), NEVER)[:n]
    cuts = np.concatenate([day, *(day + step for step in days_since)])
    within = cuts < np.tile(until, 1 + len(days_since))  # the next procedure begins the bands anew
    return Bands("since_procedure", names, np.tile(owner, 1 + len(days_since))[within], cuts[within], code)


def _year(day: IntArray) -> IntArray:
    return np.asarray(day).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
