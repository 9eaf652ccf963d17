"""The checks of the registry as data: what each is called, what becomes of the row or value, and what is said.

*reject* moves the source row to `rejected`; *blank* keeps the row and empties the value; *warn* changes nothing.
Sentences name the table and column, never a written value (that stands beside them in its own column) and never a
patient. Where several checks fail on a row, the first in this order gives the reason.
"""

# The checks are a table, one row per check.
# ruff: noqa: E501

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Outcome = Literal["reject", "blank", "warn"]


@dataclass(frozen=True)
class Check:
    """One rule of docs/definitions.md, section 3."""

    id: str
    outcome: Outcome
    sentence: str


_ALL: Final = (
    # the row as a row
    Check("ragged", "reject",
          "The row has {cells} cells where the header has {width}; look for a delimiter inside a cell (put such cells in quotes)."),
    Check("broken_quotes", "reject",
          "The quotation marks of this row do not pair up, so its cells cannot be told apart; remove or double the stray one."),
    # keys
    Check("patient_id_empty", "reject", "patient_id is empty; every row of {table} must say whose it is."),
    Check("id_not_computed", "reject",
          "{column} is an error of the spreadsheet (#N/A) or a formula without a value, which is no id; correct the cell and save the sheet."),
    Check("patient_unknown", "reject",
          "This patient_id has no accepted row in patients; add the patient there, or correct the id."),
    # dates
    Check("required_empty", "reject", "{column} is empty; every row of {table} needs it."),
    Check("date_unreadable", "reject", "{column} is not a calendar date that can be read; write it as YYYY-MM-DD."),
    Check("date_serial", "reject",
          "{column} is a bare number, as a spreadsheet counts days (from 1900, or from 1904: it does not say); format the column as a "
          "date there and export it again, or write it as YYYY-MM-DD."),
    Check("date_two_digit_year", "reject", "{column} has a year of two digits, whose century is never guessed; write it as YYYY-MM-DD."),
    Check("date_implausible", "reject", "{column} has a year outside 1850-2199; write the date as YYYY-MM-DD, or leave it empty if unknown."),
    Check("date_against_order", "reject",
          "{column} is no date in the order declared in study.toml ([tables.{table}.date_order]); correct it, or write it as YYYY-MM-DD."),
    Check("date_ambiguous", "reject",
          "{column} can be read with the day or the month first, and the column's other dates do not decide; write it as YYYY-MM-DD, "
          'or declare in study.toml, under [tables.{table}.date_order], {column} = "dmy" or "mdy".'),
    Check("date_orders_mixed", "reject",
          "{column} can be read with the day or the month first, and the column shows both orders ({day_first} rows can only have the day "
          "first, {month_first} only the month): correct the few, or declare in study.toml, under [tables.{table}.date_order], "
          '{column} = "dmy" or "mdy".'),
    # levels
    Check("level_unreadable", "reject",
          "{column} is not a vertebra, list or range that can be read; write for instance L1, T12 or T11-L1 (C1-C7, T1-T13, L1-L6, S1)."),
    Check("level_sacral", "reject", "{column} lies below S1; the sacrum has no level of its own here except S1."),
    Check("level_several", "reject", "{column} must be one vertebra, not a list or range."),
    Check("level_not_in_spine", "reject",
          "{column} is not a vertebra of this patient's spine; if the patient has 13 or 11 thoracic or 6 or 4 lumbar vertebrae, "
          "give n_thoracic or n_lumbar in patients."),
    Check("spine_out_of_range", "reject",
          "{column} must be {minimum:g} to {maximum:g}; leave it empty for the usual number."),
    # order in time
    Check("after_death", "reject", "{column} lies after the patient's death_date; one of the two is wrong."),
    Check("clear_not_before", "reject",
          "{column} is on or after the day the fracture was found (or leaves no day for it before death); it must be the last imaging without it."),
    # uniqueness
    Check("duplicate", "reject", "The row is an exact duplicate of row {first_row}, which was kept; delete one of the two."),
    Check("second_patient_row", "reject", "The patient already has row {first_row} in patients, which was kept; merge the two."),
    Check("id_used", "reject", "{column} is already used by row {first_row}, which was kept; give every row of {table} its own."),
    # blanks
    Check("number_unreadable", "blank", "{column} is not a number that can be read and was left empty; write digits only, in {unit}."),
    Check("number_ambiguous", "blank",
          "{column} can be read with a decimal comma or as thousands and was left empty; declare decimal in study.toml under [tables.{table}]."),
    Check("number_out_of_range", "blank", "{column} must be {minimum:g} to {maximum:g} ({unit}) and was left empty."),
    Check("height_in_cm", "blank", "{column} can only be centimetres and was left empty; heights are in millimetres."),
    Check("not_whole", "blank", "{column} is a count and must be a whole number; it was left empty."),
    Check("word_unknown", "blank", "{column} is none of {words} and was left empty; correct it, or recode it in study.toml."),
    Check("leak_contradicts", "blank", "{column} says none together with a leak and was left empty."),
    Check("leak_elsewhere", "blank", "{column} names a disc that does not touch this vertebra and was left empty."),
    Check("date_before_index", "blank", "{column} was left empty, since date_precision says before_index."),
    # warnings
    Check("duplicate_row", "warn", "The row is an exact duplicate of row {first_row}; one was kept."),
    Check("duplicate_member", "warn", "A vertebra of this row repeats another row in every column; it was kept once."),
    Check("date_imprecise", "warn", "{column} is known to the month or year only; the 15th or 1 July is used, moved where other dates require it."),
    Check("kind_at_untreated", "warn", "{column} speaks of a treated vertebra, and this one was not treated before that day; the sighting is taken as unjudged."),
    Check("drug_unknown", "warn", "The class of this drug is not known; give drug_class."),
    Check("after_follow_up_end", "warn", "{column} lies after the patient's follow_up_end; the row is kept and the end of follow-up stays."),
    Check("no_time_at_risk", "warn", "Follow-up ends on or before the day it begins; the patient gives no time at risk."),
    Check("enrolled_on_forgotten", "warn",
          "The first augmentation lies a year or more before the site began (its earliest enrolled_on, or else its next patient); "
          "was enrolled_on forgotten?"),
    Check("ends_before_start", "warn", "{column} lies before the start of the same row; the interval is empty."),
    Check("encoding_guessed", "warn",
          "The file is not UTF-8 and says nothing of its encoding, so {encoding} was taken; if names look wrong, declare encoding in "
          "study.toml under [tables.{table}]."),
    Check("control_characters", "warn",
          "The source held {n} control characters or cells with them, which no text has; they stand in the tables in a visible form "
          "(\\x1b)."),
    Check("formulas_read", "warn",
          "The sheet holds {n} formulas; the values that the spreadsheet last computed were read."),
    Check("cells_not_computed", "warn",
          "The sheet holds {n} cells without a value: errors of the spreadsheet (#N/A), or formulas that were never computed. They are "
          "read as written, so that no value goes missing; open the sheet, correct them and save it."),
    Check("file_unused", "warn", "No table uses this file or sheet; name it in study.toml under [tables.<table>] if it belongs to one."),
    Check("column_unnamed", "warn", "A column without a name holds values; it is carried along as {column}."),
    Check("column_renamed", "warn", "The name {column} is used by the software; the column is carried along as {renamed}."),
    Check("timing_undeclared", "warn",
          "{column} is carried along as a covariate, and when it was known is not declared: its timing is not verifiable; declare it "
          "in study.toml under [tables.{table}.timing] as index, row or later."),
    Check("setting_unused", "warn", "study.toml, [tables.{table}]: {setting} names {column}, which the source does not have."),
)  # fmt: skip

CHECKS: Final[dict[str, Check]] = {check.id: check for check in _ALL}
