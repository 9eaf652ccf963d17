"""What looks into the future is refused, with the right form.

Incidence curves by group use groups fixed at entry; covariates and criteria use what was known then. Grouping or
including by what happened later gives people the time they had to survive for it: immortal time.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from cohort.domain.errors import DefinitionError
from cohort.domain.outcomes import DRUG_CLASSES, RELATIONS, ROLES
from cohort.domain.study import StudyDefinition
from cohort.tables.drugs import drug_of
from cohort.tables.schema import PATIENTS

AT_ENTRY = "_at_entry"
_ROLE_WORDS = frozenset({"role", "relation", *ROLES, *RELATIONS})
_DRUG_WORDS = frozenset({"anti_osteoporotic", "medication", "drug", "drug_class", *DRUG_CLASSES})


_ENDS_OF_FOLLOW_UP = frozenset(
    {
        "follow_up_end", "death_date", "vital_status_end", "exit", "follow_up", "follow_up_days", "follow_up_months",
        "follow_up_years", "completed_follow_up", "followed", "lost_to_follow_up", "died", "dead", "alive", "survived",
    }
)  # fmt: skip
_EVER = ("ever_", "any_later_", "later_", "subsequent_", "during_follow_up")
_IMMORTAL = (
    "whoever {did} had to live unbroken until then, and counting that time as theirs makes anything look protective "
    "(immortal time)"
)


def looks_ahead(name: str, study: StudyDefinition) -> bool:
    """Whether a covariate describes what happened after entry, by the study's declaration or by its own name.

    >>> looks_ahead("ever_treated", StudyDefinition()), looks_ahead("t_score", StudyDefinition())
    (True, False)
    """
    declared = study.timing_of_covariates.get(name)
    if declared is not None:
        return declared == "later"
    word = name.strip().lower()
    return word in _ENDS_OF_FOLLOW_UP or word.startswith(_EVER)


def refuse_future_covariate(name: str, known: Iterable[str], study: StudyDefinition) -> None:
    """Raise DefinitionError if a covariate at entry is one that only the future told, or is not known to be of entry.

    known : the covariates that the rows have.
    """
    if looks_ahead(name, study):
        raise DefinitionError(
            f"The covariate '{name}' is refused: it is known only after the first augmentation, and "
            f"{_IMMORTAL.format(did='came to have it')}. What starts after entry counts from its start: give dated "
            "courses in medications (covariate anti_osteoporotic or corticosteroids, current on each day), dated "
            "procedures in augmentations (n_levels, n_procedures of at_risk(..., changing=True)), or group by what "
            "held on the first day at risk."
        )
    if name not in set(known):
        raise DefinitionError(
            f"The covariate '{name}' is not among those known of a row: {', '.join(sorted(set(known)))}. A column of "
            "patients becomes one when [tables.patients.timing] declares it as index; without that its timing is not "
            "verifiable, and it is not used."
        )


def refuse_future_inclusion(name: str, columns: Iterable[str], study: StudyDefinition) -> None:
    """Raise DefinitionError if patients are to be included by what happened after entry.

    columns : those of the table patients.
    """
    if looks_ahead(name, study):
        raise DefinitionError(
            f"The criterion on '{name}' is refused: it keeps patients by what happened after entry, and "
            f"{_IMMORTAL.format(did='was kept')}; those who died or were lost early leave the denominator. Keep "
            "everybody: follow-up that ends early is censored and death competes (at_risk, aalen_johansen), and "
            "incidence is read at the window you mean. The report gives simple proportions of those followed to the "
            "window beside it."
        )
    if name in set(columns) and study.timing_of_covariates.get(name) is None and name not in PATIENTS.names:
        raise DefinitionError(
            f"The criterion on '{name}' is refused: nothing says when it was known, so its timing is not verifiable. "
            f"If it was known at the first augmentation, declare [tables.patients.timing] '{name}' = 'index'."
        )


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
