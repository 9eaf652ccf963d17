"""Incidence curves by group use groups fixed at entry: what changes with time is refused, with the right form."""

from __future__ import annotations

import pandas as pd

from cohort.domain.errors import DefinitionError
from cohort.domain.outcomes import DRUG_CLASSES, RELATIONS, ROLES
from cohort.tables.drugs import drug_of

AT_ENTRY = "_at_entry"
_ROLE_WORDS = frozenset({"role", "relation", *ROLES, *RELATIONS})
_DRUG_WORDS = frozenset({"anti_osteoporotic", "medication", "drug", "drug_class", *DRUG_CLASSES})


def refuse_time_varying(by: str) -> None:
    """Raise DefinitionError if an incidence curve is asked for by a role or a drug, both of which change with time.

    >>> refuse_time_varying("cleft")
    >>> refuse_time_varying("anti_osteoporotic_at_entry")
    """
    word = by.strip().lower()
    if word.endswith(AT_ENTRY):
        return
    if word in _ROLE_WORDS:
        raise DefinitionError(
            f"An incidence curve by '{by}' is refused: a vertebra changes its role with every procedure, so nobody is "
            "in one role from entry on, and after death there is no role at all. Ask for one curve per relation "
            "(endpoint = 'adjacent'), or compare roles by rates (rates by = 'role') or hazards (vertebra rows, role = "
            "'adjacent')."
        )
    if word in _DRUG_WORDS or drug_of(word).name:
        raise DefinitionError(
            f"An incidence curve by '{by}' is refused: a drug starts and stops after entry, and grouping by later use "
            "gives its users the time they had to survive to start it. Group by use on the first day at risk "
            f"(by = 'anti_osteoporotic{AT_ENTRY}'), or let the drug change with time in rates or hazards "
            "(cox with covariates = ['anti_osteoporotic'] on vertebra rows)."
        )


def group_at_entry(baseline: pd.DataFrame, by: str) -> pd.Series:
    """The column of `baseline` for an incidence curve by group; "<name>_at_entry" is <name> as baseline has it.

    Raises DefinitionError for a role or a drug that changes with time, and for a column that is not there.
    """
    refuse_time_varying(by)
    name = by if by in baseline else by.removesuffix(AT_ENTRY)
    if name not in baseline:
        raise DefinitionError(
            f"'{by}' is not known at entry; groups may be {', '.join(str(c) for c in baseline.columns[1:])}, "
            "or a column of patients that [tables.patients.timing] declares as index."
        )
    return baseline[name]


def require_fixed(rows: pd.DataFrame, by: str) -> None:
    """Raise DefinitionError if a column of counting-process rows changes between the rows of one unit.

    >>> require_fixed(pd.DataFrame({"id": [1, 1, 2], "cleft": ["no", "no", "yes"]}), "cleft")
    """
    refuse_time_varying(by)
    distinct = rows[["id", by]].drop_duplicates()
    changing = int((distinct["id"].value_counts() > 1).sum())
    if changing:
        raise DefinitionError(
            f"An incidence curve by '{by}' is refused: it changes with time in {changing} units. Use its value at "
            f"entry (by = '{by}{AT_ENTRY}'), or a hazard (cox with covariates = ['{by}'])."
        )
