"""Who is followed from when to when, and who is left out of the main figures for which reason."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cohort.atrisk.columns import is_yes
from cohort.atrisk.eligibility import failed
from cohort.atrisk.eligibility import reasons as criteria
from cohort.atrisk.members import Members
from cohort.domain.clock import BEFORE_INDEX, MISSING, NEVER, BoolArray, to_dates
from cohort.domain.outcomes import INDICATIONS
from cohort.domain.spine import SACRUM_CODE, code_at
from cohort.domain.study import StudyDefinition

LEFT_OUT = ("incomplete", "no follow-up", "exit on or before entry", "tumour")


def follow_up_table(
    tables: Mapping[str, pd.DataFrame], augmentations: pd.DataFrame, study: StudyDefinition
) -> pd.DataFrame:
    """One row per patient, in the order of patients: the time at risk `(entry, exit]` and who is left out.

    Columns: patient_id; entry, exit, origin (dates; origin is the first dated augmentation of C1-L6, empty where the
    first treatment has no date); entry_day, exit_day, origin_day (int64, `domain.follow_up`); incomplete; tumour (the
    first procedure treated any vertebra for tumour); before_index (a level of C1-L6 treated before the registry
    began); has_time; in_main; left_out_because: the first of `LEFT_OUT`, then of the study's criteria, that applies,
    else "".
    """
    members = Members.of(tables, augmentations, study)
    time = members.follow_up
    incomplete = is_yes(tables["patients"]["incomplete"])
    tumour = _first_procedure_for_tumour(members)
    whose = {
        "incomplete": incomplete & (not study.population.include_incomplete),
        "no follow-up": time.entry == NEVER,
        "exit on or before entry": ~time.has_time,
        "tumour": tumour & (not study.population.tumour_in_main),
        **failed(tables, augmentations, study),
    }
    left_out = np.select(list(whose.values()), list(whose), default="").astype(object)
    return pd.DataFrame(
        {
            "patient_id": members.ids.to_numpy(),
            "entry": to_dates(time.entry),
            "exit": to_dates(np.where(time.exit == MISSING, NEVER, time.exit)),
            "origin": to_dates(np.where(time.origin == MISSING, NEVER, time.origin)),
            "entry_day": time.entry,
            "exit_day": time.exit,
            "origin_day": time.origin,
            "incomplete": incomplete,
            "tumour": tumour,
            "before_index": _treated_before_index(members),
            "has_time": time.has_time,
            "in_main": left_out == "",
            "left_out_because": left_out,
        }
    )


def reasons_in_order(study: StudyDefinition) -> list[str]:
    """Why a patient may be left out of the main figures, in the order applied.

    >>> reasons_in_order(StudyDefinition())[-1]
    'tumour'
    """
    return [*LEFT_OUT, *criteria(study)]


def left_out(follow_up: pd.DataFrame, study: StudyDefinition) -> pd.DataFrame:
    """How many patients of a `follow_up_table` are left out for each reason: reason, n_patients; in the order applied.

    >>> frame = pd.DataFrame({"left_out_because": ["", "tumour", "tumour"]})
    >>> left_out(frame, StudyDefinition()).to_dict("list")["n_patients"]
    [0, 0, 0, 2]
    """
    counts = follow_up["left_out_because"].value_counts()
    rows = [(why, int(counts.get(why, 0))) for why in reasons_in_order(study)]
    return pd.DataFrame(rows, columns=["reason", "n_patients"])


def default_population(patients: pd.DataFrame, study: StudyDefinition) -> BoolArray:
    """Mask of the patients of person-time: all but incomplete ones, unless the study keeps those."""
    if study.population.include_incomplete:
        return np.ones(len(patients), dtype=bool)
    return ~is_yes(patients["incomplete"])


def _first_procedure_for_tumour(members: Members) -> BoolArray:
    """Of the earliest session (S1 too; one without a date is earlier than any), whether any vertebra had a tumour."""
    history = members.history
    first = np.full(len(members), NEVER, dtype=np.int64)
    np.minimum.at(first, history.patient, history.day)
    result = np.zeros(len(members), dtype=bool)
    at_first = (history.day == first[history.patient]) & (history.indication == INDICATIONS.index("tumour"))
    result[history.patient[at_first]] = True
    return result


def _treated_before_index(members: Members) -> BoolArray:
    history = members.history
    result = np.zeros(len(members), dtype=bool)
    level = code_at(history.place, members.n_thoracic[history.patient], members.n_lumbar[history.patient])
    result[history.patient[(history.day == BEFORE_INDEX) & (level != SACRUM_CODE)]] = True
    return result
