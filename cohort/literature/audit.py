"""Each statement of the review gets a verdict with its reason; where it rests on arithmetic, the code works it out.

Verdicts and reasons stand in data/verdicts.csv, reasons as templates without a number of their own: every number comes
from the published figures through a check, and a verdict that the arithmetic finds but the file does not have is
refused.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from cohort.domain.errors import DefinitionError
from cohort.literature import audit_other, audit_same_level, tables
from cohort.literature.audit_words import MISMATCH, VERDICTS, Check, Found, Values
from cohort.literature.evidence import Evidence, Row

COLUMNS: Final = (
    "id", "section", "statement", "verdict", "also", "reason", "computed", "rests_on", "source", "confidence",
)  # fmt: skip
ARITHMETIC, READING = "arithmetic", "reading"
CHECKS: Final[Mapping[str, Check]] = dict(sorted({**audit_other.CHECKS, **audit_same_level.CHECKS}.items()))


def audit() -> pd.DataFrame:
    """The review's statements, one row each, in their order, with the columns of `COLUMNS`.

    verdict : one of VERDICTS, the first; also : the others, joined by "; ". reason : one to three sentences.
    computed : the numbers behind them, as `name = value` at full length, "" where there are none. rests_on :
    arithmetic, or reading where no number decides. source : everything that was looked up; confidence : how surely the
    least sure of it was read.

    Raises DefinitionError where verdicts.csv and the arithmetic disagree, or a reason names a number there is not.

    >>> row = audit().set_index("id").loc["S35"]
    >>> row["verdict"], row["reason"].partition(", below")[0][-50:]
    ('inconsistent', '16 of 1,904 or 0.84 % (95 % interval 0.48 to 1.36)')
    """
    statements = {row["id"]: row for row in tables.review_statements().to_dict("records")}
    # The statements are few and fixed.
    rows = [_row(row, statements[row["id"]]) for row in tables.verdicts().to_dict("records")]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def all_verdicts(table: pd.DataFrame) -> pd.Series:
    """Every verdict of each row of an audit, as lists, the first of them first.

    >>> all_verdicts(audit().head(3)).tolist()
    [['not checkable'], ['inconsistent'], ['inconsistent']]
    """
    joined = (table["verdict"] + "; " + table["also"]).str.removesuffix("; ")
    return joined.str.split("; ")


def _row(row: Row, statement: Row) -> dict[str, str]:
    evidence = Evidence()
    stated = [row["verdict"], *(word for word in row["also"].split("; ") if word)]
    evidence.read_review()
    check = CHECKS[row["id"]](evidence) if row["id"] in CHECKS else Found({})
    found, values = check.verdicts, dict(check.values)
    at_fault = tuple(int(ref) for ref in row["refs_at_fault"].split())
    if at_fault:
        _refuse_uncited(row["id"], at_fault, evidence)
        values["at_fault"] = evidence.in_words(at_fault)
        found = (*found, MISMATCH)
    _refuse_disagreement(row["id"], stated, found)
    return {
        "id": row["id"],
        "section": statement["section"],
        "statement": statement["statement_paraphrase"],
        "verdict": row["verdict"],
        "also": row["also"],
        "reason": _filled(row["id"], row["reason"], values),
        "computed": "; ".join(f"{name} = {_full(value)}" for name, value in values.items() if name != "at_fault"),
        "rests_on": ARITHMETIC if check.verdicts else READING,
        "source": evidence.source,
        "confidence": evidence.confidence,
    }


def _refuse_uncited(statement: str, refs: tuple[int, ...], evidence: Evidence) -> None:
    if uncited := sorted(set(refs) - set(evidence.cited(statement))):
        raise DefinitionError(f"verdicts.csv, {statement}: reference {uncited[0]} is at fault but not cited there.")


def _refuse_disagreement(statement: str, stated: list[str], found: tuple[str, ...]) -> None:
    if unknown := [word for word in stated if word not in VERDICTS]:
        raise DefinitionError(f"verdicts.csv, {statement}: '{unknown[0]}' is no verdict; write {', '.join(VERDICTS)}.")
    if missing := [word for word in found if word not in stated]:
        raise DefinitionError(
            f"verdicts.csv, {statement}: the numbers say '{missing[0]}', which the file does not; correct one of them."
        )


def _filled(statement: str, template: str, values: Values) -> str:
    names = {name for _, name, _, _ in string.Formatter().parse(template) if name}
    if unknown := sorted(names - set(values)):
        raise DefinitionError(f"verdicts.csv, {statement}: no check works out '{unknown[0]}', which the reason names.")
    return template.format(**values)


def _full(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.10g}"
