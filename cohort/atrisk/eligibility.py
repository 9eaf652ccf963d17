"""Who may enter, by what was known at entry: a criterion that looks at what happened afterwards is refused."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cohort.atrisk.baseline import baseline
from cohort.atrisk.guard import refuse_future_inclusion
from cohort.domain.clock import BoolArray
from cohort.domain.errors import DefinitionError
from cohort.domain.study import Criterion, StudyDefinition

# Held as 1 and 0 for models; whoever writes a criterion writes the registry's own words.
YES_OR_NO = ("corticosteroids", "anti_osteoporotic", "female")


def reason(criterion: Criterion) -> str:
    """Why a patient who fails a criterion is left out.

    >>> reason(Criterion(column="t_score", at_most=-2.5))
    'not eligible: t_score at most -2.5'
    """
    return f"not eligible: {criterion.label or _words(criterion)}"


def reasons(study: StudyDefinition) -> list[str]:
    """Why patients may be left out by the criteria of a study, in the order applied; no two alike."""
    found: list[str] = []
    for criterion in study.population.criteria:
        words = reason(criterion)
        same = sum(one == words or one.startswith(f"{words} (") for one in found)
        found.append(f"{words} ({same + 1})" if same else words)
    return found


def failed(
    tables: Mapping[str, pd.DataFrame], augmentations: pd.DataFrame, study: StudyDefinition
) -> dict[str, BoolArray]:
    """Which patients fail each criterion of the study, by its `reason`; shape (n_patients,), in the order of patients.

    A value that is not recorded or not assessable fails, unless the criterion keeps it.

    Raises DefinitionError for a criterion on what happened after entry, on a column that is not known at entry, or
    whose bounds do not fit the column.
    """
    criteria = study.population.criteria
    if not criteria:
        return {}
    for criterion in criteria:
        refuse_future_inclusion(criterion.column, tables["patients"].columns, study)
    known = baseline(tables, augmentations, study)
    known["sex"] = tables["patients"]["sex"].to_numpy()
    return dict(zip(reasons(study), (_fails(known, criterion) for criterion in criteria), strict=True))


def _fails(known: pd.DataFrame, criterion: Criterion) -> BoolArray:
    if criterion.column not in known:
        raise DefinitionError(
            f"[[population.criteria]] names '{criterion.column}', which is not known at entry. It may be one of "
            f"{', '.join(str(name) for name in known.columns[1:])}, or a column of patients that "
            "[tables.patients.timing] declares as index."
        )
    values = known[criterion.column]
    missing = values.isna().to_numpy(dtype=bool) | values.eq("not_assessable").to_numpy(dtype=bool)
    fails = np.zeros(len(values), dtype=bool)
    if criterion.at_least is not None or criterion.at_most is not None:
        if not pd.api.types.is_numeric_dtype(values):
            raise DefinitionError(
                f"[[population.criteria]] bounds '{criterion.column}', which holds words; use one_of = [...]."
            )
        numbers = values.to_numpy(dtype=np.float64)
        if criterion.at_least is not None:
            fails |= numbers < criterion.at_least
        if criterion.at_most is not None:
            fails |= numbers > criterion.at_most
    if criterion.one_of is not None:
        if criterion.column in YES_OR_NO:
            values = values.map({1.0: "yes", 0.0: "no"})
        fails |= ~values.astype(object).map(_written).isin(criterion.one_of).to_numpy(dtype=bool)
    return np.where(missing, criterion.missing == "leave_out", fails)


def _written(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _words(criterion: Criterion) -> str:
    parts = []
    if criterion.at_least is not None:
        parts.append(f"at least {criterion.at_least:g}")
    if criterion.at_most is not None:
        parts.append(f"at most {criterion.at_most:g}")
    if criterion.one_of is not None:
        parts.append(" or ".join(criterion.one_of))
    return f"{criterion.column} {' and '.join(parts)}"
