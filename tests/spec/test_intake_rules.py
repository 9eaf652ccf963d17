"""The rules of sections 1 to 3 and the made ids: what is rejected, what is blanked, what is only remarked."""

from pathlib import Path

import pandas as pd
import pytest

from cohort.domain.study import StudyDefinition
from cohort.intake import read
from cohort.intake.checks import CHECKS

# Every patient has a case of the rules below; P1 is without remark.
PATIENTS = """
    patient_id | follow_up_end | death_date | n_thoracic | n_lumbar
    P1         | 2022-12-31    |            |            |
    P13        | 2022-12-31    |            | 13         |
    P6         | 2022-12-31    |            |            | 6
    DIED       | 2022-12-31    | 2021-06-20 |            |
    DIEDMONTH  | 2022-12-31    | 2021-06    |            |
"""
AUGMENTATIONS = """
    patient_id | date       | level
    P1         | 2020-01-01 | L1
"""
FRACTURES = """
    patient_id | date | level
"""


def csv(table):
    lines = [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]
    return "\n".join("|".join(cells) for cells in lines)


@pytest.fixture
def registry(tmp_path):
    def reading(study=None, *, patients=PATIENTS, augmentations=AUGMENTATIONS, fractures=FRACTURES, **others):
        tables = {"patients": patients, "augmentations": augmentations, "fractures": fractures} | others
        for name, table in tables.items():
            Path(tmp_path, f"{name}.csv").write_text(csv(table), encoding="utf-8")
        return read(tmp_path, study)

    return reading


def reasons(found):
    """Table, row and column of every rejected row."""
    return [tuple(row) for row in found.rejected[["table", "row", "column"]].itertuples(index=False)]


def remarks(found, check):
    return [tuple(row) for row in found.warnings.loc[found.warnings["check"] == check, ["row", "column"]].values]


def iso(column):
    return column.dt.strftime("%Y-%m-%d").fillna("").tolist()


# --- reject -----------------------------------------------------------------------------------------------------------

REJECTED_FRACTURES = """
    patient_id | date       | level | last_clear_date | column          | why
               | 2021-03-01 | L2    |                 | patient_id      | no patient
    P9         | 2021-03-01 | L2    |                 | patient_id      | a patient without a patients row
    P1         |            | L2    |                 | date            | no date
    P1         | 30/02/2021 | L2    |                 | date            | no such day
    P1         | 01/03/21   | L2    |                 | date            | a year of two digits
    P1         | 03/04/2021 | L2    |                 | date            | could be read two ways
    P1         | 2021-03-01 |       |                 | level           | no level
    P1         | 2021-03-01 | L7    |                 | level           | no vertebra
    P1         | 2021-03-01 | S2    |                 | level           | below S1
    P1         | 2021-03-01 | L2,LX |                 | level           | one unreadable member rejects the row
    P1         | 2021-03-01 | T13   |                 | level           | a level this patient does not have
    P6         | 2021-03-01 | T13   |                 | level           | nor this one
    P1         | 2021-03-01 | L2    | yesterday       | last_clear_date | an optional date, unusable
    P1         | 2021-03-01 | L2    | 2021-03-01      | last_clear_date | not before the day found
    P1         | 2021-03-01 | L2    | 2021-04-01      | last_clear_date | after the day found
    DIED       | 2021-06-21 | L2    |                 | date            | the day after death
    DIED       | 2021-07    | L2    |                 | date            | a month wholly after death
    DIEDMONTH  | 2021-07-01 | L2    |                 | date            | after a month of death
"""


def table_cases(text):
    header, *lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return header, lines


@pytest.mark.parametrize("line", table_cases(REJECTED_FRACTURES)[1], ids=lambda line: line[-1])
def test_a_fracture_is_rejected_and_says_why(registry, line):
    *cells, column, _ = line
    found = registry(fractures="patient_id|date|level|last_clear_date\n" + "|".join(cells))
    assert reasons(found) == [("fractures", 2, column)]
    assert found.accounting.set_index("table").loc["fractures"].tolist() == [1, 0, 1]
    assert found.rejected["value"][0] == cells[["patient_id", "date", "level", "last_clear_date"].index(column)]
    assert found.rejected["reason"][0].endswith(".")


ACCEPTED_FRACTURES = """
    patient_id | date       | level | last_clear_date | used       | why
    P13        | 2021-03-01 | T13   |                 | 2021-03-01 | this patient has a thirteenth
    P6         | 2021-03-01 | L6    |                 | 2021-03-01 | and this one a sixth
    P1         | 2021-03-01 | S1    |                 | 2021-03-01 | S1 is a level
    DIED       | 2021-06-20 | L2    |                 | 2021-06-20 | found on the day of death
    DIED       | 2021-06    | L2    |                 | 2021-06-15 | some day of the month is before death
    DIED       | 2021       | L2    |                 | 2021-06-20 | 1 July is after death: moved to the day of death
    DIEDMONTH  | 2021-06-28 | L2    |                 | 2021-06-28 | some day of the month of death is not before it
    P1         | 2021-03    | L2    | 2021-03-20      | 2021-03-21 | moved to the day after the clear film
    P1         | 2021-03    | L2    | 2021-02-20      | 2021-03-15 | nothing to move
    P1         | 2021-03    | L2    | 2021-03         | 2021-03-16 | some day of the month is clear before another
    P1         | 2021       | L2    | 2021-11-30      | 2021-12-01 | moved within the year
    DIED       | 2021-06    | L2    | 2021-06-18      | 2021-06-19 | between the clear film and death
"""


@pytest.mark.parametrize("line", table_cases(ACCEPTED_FRACTURES)[1], ids=lambda line: line[-1])
def test_a_fracture_is_accepted_on_the_day_used(registry, line):
    *cells, used, _ = line
    found = registry(fractures="patient_id|date|level|last_clear_date\n" + "|".join(cells))
    assert reasons(found) == []
    assert iso(found["fractures"]["date"]) == [used]
    clear = found["fractures"]["last_clear_date"]
    assert (clear.isna() | (clear < found["fractures"]["date"])).all()


def test_no_day_between_the_clear_film_and_death_rejects_the_row(registry):
    found = registry(fractures="patient_id|date|level|last_clear_date\nDIED|2021-06|L2|2021-06-20")
    assert reasons(found) == [("fractures", 2, "last_clear_date")]


def test_a_death_known_to_the_month_moves_to_the_last_day_the_patient_is_known_to_have_lived(registry):
    found = registry(fractures="patient_id|date|level\nDIEDMONTH|2021-06-28|L2\nDIEDMONTH|2021-06|L3")
    deaths = found["patients"].set_index("patient_id")["death_date"]
    assert deaths["DIEDMONTH"] == pd.Timestamp("2021-06-28")
    assert iso(found["fractures"]["date"]) == ["2021-06-28", "2021-06-15"]


def test_an_augmentation_after_death_is_rejected(registry):
    found = registry(augmentations="patient_id|date|level\nDIED|2021-06-21|L1\nDIED|2021-06-20|L1")
    assert reasons(found) == [("augmentations", 2, "date")]


@pytest.mark.parametrize(
    ("name", "header", "cells"),
    [
        ("imaging", "level", "L1"),
        ("assessments", "pain", "3"),
        ("imaging_studies", "modality", "mri"),
    ],
)
def test_nobody_is_examined_after_death(registry, name, header, cells):
    found = registry(**{name: f"patient_id|date|{header}\nDIED|2021-06-21|{cells}\nDIED|2021-06-20|{cells}"})
    assert reasons(found) == [(name, 2, "date")]


REJECTED_PATIENTS = """
    patient_id | follow_up_end | birth_date | n_thoracic | n_lumbar | column        | why
               | 2022-12-31    |            |            |          | patient_id    | no id
    P1         |               |            |            |          | follow_up_end | no end of follow-up
    P1         | open          |            |            |          | follow_up_end | an end that is no date
    P1         | 2022-12-31    | 1950-02-30 |            |          | birth_date    | an optional date, unusable
    P1         | 2022-12-31    |            | 14         |          | n_thoracic    | out of range
    P1         | 2022-12-31    |            | 12.5       |          | n_thoracic    | no count
    P1         | 2022-12-31    |            |            | 3        | n_lumbar      | out of range
"""


@pytest.mark.parametrize("line", table_cases(REJECTED_PATIENTS)[1], ids=lambda line: line[-1])
def test_a_patient_is_rejected_and_says_why(registry, line):
    *cells, column, _ = line
    header = "patient_id|follow_up_end|birth_date|n_thoracic|n_lumbar|sex"
    found = registry(patients=f"{header}\n{'|'.join(cells)}|f", augmentations="patient_id|date|level")
    assert reasons(found) == [("patients", 2, column)]


def test_the_rows_of_a_rejected_patient_are_rejected_too(registry):
    found = registry(patients="patient_id|follow_up_end\nP1|never")
    assert reasons(found) == [("patients", 2, "follow_up_end"), ("augmentations", 2, "patient_id")]


def test_of_two_patients_rows_for_one_id_the_first_accepted_stays(registry):
    found = registry(
        patients="patient_id|follow_up_end|sex\nP1|soon|f\nP1|2022-12-31|m\nP1|2022-12-30|f",
    )
    assert found["patients"]["source_row"].tolist() == [3]
    assert reasons(found) == [("patients", 2, "follow_up_end"), ("patients", 4, "patient_id")]


def test_of_two_rows_with_one_id_the_first_accepted_stays(registry):
    found = registry(
        augmentations="augmentation_id|patient_id|date|level\nA|P1|2020-01-01|LX\nA|P1|2020-01-01|L1\nA|P1|2020-01-01|L2"
    )
    assert found["augmentations"]["source_row"].tolist() == [3]
    assert reasons(found) == [("augmentations", 2, "level"), ("augmentations", 4, "augmentation_id")]


def test_declaring_the_order_of_dates_saves_the_rows(registry):
    fractures = "patient_id|date|level\nP1|03/04/2021|L2"
    assert len(registry(fractures=fractures).rejected) == 1
    assert 'date = "dmy"' in registry(fractures=fractures).rejected["reason"][0]
    declared = StudyDefinition(tables={"fractures": {"date_order": {"date": "dmy"}}})
    assert iso(registry(declared, fractures=fractures)["fractures"]["date"]) == ["2021-04-03"]


def test_a_columns_own_dates_decide_for_that_column_only(registry):
    found = registry(
        fractures="patient_id|date|level|last_clear_date\nP1|03/04/2021|L2|\nP1|25/03/2021|L3|\nP1|2021-05-01|L4|02/03/2021"
    )
    assert iso(found["fractures"]["date"]) == ["2021-04-03", "2021-03-25"]
    assert reasons(found) == [("fractures", 4, "last_clear_date")]


# --- blank ------------------------------------------------------------------------------------------------------------

BLANKED = """
    table         | column             | written | check               | why
    patients      | t_score            | 6.5     | number_out_of_range | above +6
    patients      | t_score            | -8.1    | number_out_of_range | below -8
    patients      | age_at_index       | 130     | number_out_of_range | nobody is that old
    patients      | prior_fractures    | 1.5     | not_whole           | a count
    patients      | sex                | x       | word_unknown        | no such word
    patients      | corticosteroids    | maybe   | word_unknown        | neither yes nor no
    patients      | n_thoracic         | many    | number_unreadable   | the usual number is taken
    augmentations | pain_before        | 11      | number_out_of_range | outside 0-10
    augmentations | pain_after         | -1      | number_out_of_range | outside 0-10
    augmentations | anterior_mm_before | 2.1     | height_in_cm        | can only be centimetres
    augmentations | anterior_mm_after  | 210     | number_out_of_range | no vertebra is that high
    augmentations | volume_ml          | 30.5    | number_out_of_range | over 30 ml
    augmentations | volume_ml          | a lot   | number_unreadable   | unreadable
    augmentations | technique          | stent   | word_unknown        | no such word
    augmentations | cleft_before       | -9      | word_unknown        | a code without meaning
    augmentations | leak               | upwards | word_unknown        | no such place
    augmentations | leak               | none;venous | leak_contradicts | none and some
    augmentations | leak               | L4-5    | leak_elsewhere      | a disc that does not touch L1
    augmentations | date_precision     | roughly | word_unknown        | no such precision
"""


@pytest.mark.parametrize("line", table_cases(BLANKED)[1], ids=lambda line: f"{line[1]}: {line[-1]}")
def test_an_impossible_value_is_blanked_and_logged_and_the_row_stays(registry, line):
    table, column, written, check, _ = line
    tables = {
        "patients": "patient_id|follow_up_end\nP1|2022-12-31",
        "augmentations": "patient_id|date|level\nP1|2020-01-01|L1",
    }
    header, row = tables[table].split("\n")
    tables[table] = f"{header}|{column}\n{row}|{written}"
    found = registry(**tables)
    assert reasons(found) == []
    assert found[table][column].isna().all()
    logged = found.warnings[["table", "row", "column", "value", "check", "outcome"]].values.tolist()
    assert logged == [[table, 2, column, written, check, "blank"]]


LIMITS = """
    t_score     | 6   | patients
    t_score     | -8  | patients
    pain_before | 0   | augmentations
    pain_before | 10  | augmentations
    volume_ml   | 30  | augmentations
    anterior_mm_before | 6.1 | augmentations
"""


@pytest.mark.parametrize("line", [[c.strip() for c in line.split("|")] for line in LIMITS.strip().splitlines()])
def test_the_limits_themselves_are_possible(registry, line):
    column, written, table = line
    tables = {
        "patients": "patient_id|follow_up_end\nP1|2022-12-31",
        "augmentations": "patient_id|date|level\nP1|2020-01-01|L1",
    }
    header, row = tables[table].split("\n")
    tables[table] = f"{header}|{column}\n{row}|{written}"
    assert registry(**tables)[table][column].tolist() == [float(written)]


# --- warn -------------------------------------------------------------------------------------------------------------


def test_an_event_after_the_end_of_follow_up_is_kept_and_never_moves_the_end(registry):
    found = registry(fractures="patient_id|date|level\nP1|2023-01-01|L2\nP1|2022-12-31|L3")
    assert remarks(found, "after_follow_up_end") == [(2, "date")]
    assert len(found["fractures"]) == 2
    assert (found["patients"]["follow_up_end"] == pd.Timestamp("2022-12-31")).all()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("P1|2020-06-01|L2|settling", [(2, "kind")]),
        ("P1|2020-06-01|L2|progression", [(2, "kind")]),
        ("P1|2020-06-01|L2|new", []),
        ("P1|2020-06-01|L1|settling", []),
        ("P1|2020-01-01|L1|occult", [(2, "kind")]),
    ],
)
def test_a_kind_that_speaks_of_a_treated_vertebra_is_remarked_at_one_not_treated_before_that_day(registry, line, said):
    found = registry(
        patients="patient_id|follow_up_end\nP1|2022-12-31",
        augmentations="patient_id|date|level\nP1|2020-01-01|L1",
        fractures=f"patient_id|date|level|kind\n{line}",
    )
    assert remarks(found, "kind_at_untreated") == said
    assert len(found["fractures"]) == 1


def test_a_month_fails_no_check_while_one_of_its_days_passes(registry):
    found = registry(fractures="patient_id|date|level\nP1|2022-12|L2")
    assert remarks(found, "after_follow_up_end") == []


def test_follow_up_that_ends_as_it_begins_is_remarked(registry):
    found = registry(
        patients="patient_id|follow_up_end|site\nP1|2020-01-01|A\nP2|2020-01-02|A",
        augmentations="patient_id|date|level\nP1|2020-01-01|L1\nP2|2020-01-01|L1",
    )
    assert remarks(found, "no_time_at_risk") == [(2, "follow_up_end")]
    assert len(found["patients"]) == 2


def test_of_exact_duplicates_one_is_kept_and_the_others_are_rejected_as_such(registry):
    rows = "P1|2020-01-01|L1\nP1|2020-01-01|L1\nP1|2020-01-01|L1"
    found = registry(augmentations="patient_id|date|level\n" + rows)
    assert found["augmentations"]["source_row"].tolist() == [2]
    assert found.rejected["row"].tolist() == [3, 4]
    assert found.rejected["reason"].str.contains("exact duplicate of row 2").all()
    assert remarks(found, "duplicate_row") == [(3, ""), (4, "")]


def test_rows_that_differ_in_any_column_are_no_duplicates(registry):
    found = registry(augmentations="patient_id|date|level|note\nP1|2020-01-01|L1|a\nP1|2020-01-01|L1|b")
    assert len(found["augmentations"]) == 2


FORGOTTEN = """
    case                              | site | enrolled   | first      | remarked
    a year before the site enrolled   | A    |            | 2009-12-31 | yes
    that site's earliest enrolled_on  | A    | 2011-01-01 | 2011-01-01 | no
    less than a year before           | A    |            | 2010-06-01 | no
    the patient's own enrolled_on     | A    | 2012-01-01 | 2001-01-01 | no
    a site without enrolled_on        | B    |            | 2001-01-01 | yes
    its next patient, a year later    | B    |            | 2002-01-01 | no
    and the one after                 | B    |            | 2002-06-01 | no
    the only patient of a site        | C    |            | 1999-01-01 | no
"""


def test_a_first_treatment_long_before_the_site_began_asks_for_enrolled_on(registry):
    _, lines = table_cases(FORGOTTEN)
    patients = "\n".join(f"P{k}|2022-12-31|{site}|{enrolled}" for k, (_, site, enrolled, _, _) in enumerate(lines))
    treated = "\n".join(f"P{k}|{first}|L1" for k, (_, _, _, first, _) in enumerate(lines))
    found = registry(
        patients="patient_id|follow_up_end|site|enrolled_on\n" + patients,
        augmentations="patient_id|date|level\n" + treated,
    )
    expected = [(k + 2, "enrolled_on") for k, line in enumerate(lines) if line[-1] == "yes"]
    assert remarks(found, "enrolled_on_forgotten") == expected


# --- incomplete -------------------------------------------------------------------------------------------------------

INCOMPLETE = """
    augmentations                         | fractures                            | incomplete | why
    P1;2020-01-01;L1                      |                                      | no  | nothing rejected
    P1;2020-01-01;L1 P1;2020-01-01;LX     |                                      | yes | an augmentation rejected
    P1;2020-01-01;L1                      | P1;soon;L2                           | yes | a fracture rejected
    P1;2020-01-01;L1 P1;2020-01-01;L1     |                                      | no  | only an exact duplicate
    P1;2020-01-01;L1                      | P1;2020-05-01                        | yes | a ragged row of the patient
    P1;2020-01-01;L1                      | P9;2020-05-01;L2                     | no  | a row of nobody known
"""


@pytest.mark.parametrize("line", table_cases(INCOMPLETE)[1], ids=lambda line: line[-1])
def test_a_patient_who_lost_an_augmentation_or_fracture_is_incomplete(registry, line):
    augmentations, fractures, incomplete, _ = line
    found = registry(
        patients="patient_id|follow_up_end\nP1|2022-12-31",
        augmentations="patient_id|date|level\n" + augmentations.replace(" ", "\n").replace(";", "|"),
        fractures="patient_id|date|level\n" + fractures.replace(" ", "\n").replace(";", "|"),
    )
    assert found["patients"]["incomplete"].tolist() == [incomplete]


def test_a_rejected_film_leaves_the_patient_complete(registry):
    found = registry(imaging="patient_id|date|level\nP1|soon|L1")
    assert set(found["patients"]["incomplete"]) == {"no"}


def test_incomplete_stays_when_the_source_says_so(registry):
    found = registry(patients="patient_id|follow_up_end|incomplete\nP1|2022-12-31|yes")
    assert found["patients"]["incomplete"].tolist() == ["yes"]


# --- levels and lists -------------------------------------------------------------------------------------------------


def test_a_list_cell_becomes_a_row_per_vertebra_of_one_source_row(registry):
    found = registry(augmentations="patient_id|date|level|volume_ml\nP13|2020-01-01|T11-L1|3\nP1|2020-01-01|L1|4")
    treated = found["augmentations"]
    assert treated["level"].tolist() == ["T11", "T12", "T13", "L1", "L1"]
    assert treated["source_row"].tolist() == [2, 2, 2, 2, 3]
    assert treated["volume_ml"].tolist() == [3, 3, 3, 3, 4]
    assert found.accounting.set_index("table").loc["augmentations"].tolist() == [2, 2, 0]


def test_lists_of_fractures_films_and_excluded_levels_split_as_well(registry):
    found = registry(
        fractures="patient_id|date|level\nP1|2021-01-01|L2,L3",
        imaging="patient_id|date|level\nP1|2021-01-01|L2-3",
        excluded_levels="patient_id|level|reason\nP1|L4 and L5|fused",
    )
    assert [len(found[name]) for name in ("fractures", "imaging", "excluded_levels")] == [2, 2, 2]


def test_the_ends_of_an_imaging_study_are_one_vertebra_each(registry):
    found = registry(
        imaging_studies="patient_id|date|first_level|last_level\nP1|2021-01-01|T4|L5\nP1|2021-01-02|T4,T5|L5\nP1|2021-01-03||"
    )
    assert found["imaging_studies"]["first_level"].astype(object).where(lambda s: s.notna(), "").tolist() == ["T4", ""]
    assert reasons(found) == [("imaging_studies", 3, "first_level")]


def test_a_disc_in_the_leak_of_a_list_is_seen_from_each_vertebra(registry):
    found = registry(augmentations="patient_id|date|level|leak\nP1|2020-01-01|L3,L4|L3/4")
    assert found["augmentations"]["leak"].tolist() == ["disc_inferior", "disc_superior"]


def test_before_index_empties_the_date_and_is_no_missing_date(registry):
    found = registry(
        augmentations="patient_id|date|date_precision|level\nP1||before_index|L1\nP1|2001|before index|L2\nP1|||L3"
    )
    assert found["augmentations"]["level"].tolist() == ["L1", "L2"]
    assert found["augmentations"]["date"].isna().all()
    assert found["augmentations"]["augmentation_id"].tolist() == ["P1::L1", "P1::L2"]
    assert reasons(found) == [("augmentations", 4, "date")]
    assert remarks(found, "date_before_index") == [(3, "date")]


def test_the_precision_written_in_the_date_itself_is_kept(registry):
    found = registry(fractures="patient_id|date|level\nP1|March 2021|L2\nP1|2021|L3\nP1|2021-03-04|L4")
    assert found["fractures"]["date_precision"].astype(object).where(lambda s: s.notna(), "").tolist() == [
        "month",
        "year",
        "",
    ]


# --- ids --------------------------------------------------------------------------------------------------------------


def test_ids_are_made_of_patient_day_used_and_level(registry):
    found = registry(fractures="patient_id|date|level|last_clear_date\nP1|2021-03|L2|2021-03-20")
    assert found["fractures"]["fracture_id"].tolist() == ["P1:2021-03-21:L2"]


def test_more_of_the_same_are_numbered_by_their_remaining_columns_never_by_the_file(registry):
    rows = ["P1|2020-01-01|L1|pvp|b", "P1|2020-01-01|l1|pvp|a", "P1|2020-01-01|L1|pkp|c"]
    ids = {}
    for order in (rows, rows[::-1]):
        found = registry(augmentations="patient_id|date|level|technique|note\n" + "\n".join(order))
        ids[str(order)] = dict(
            zip(found["augmentations"]["note"], found["augmentations"]["augmentation_id"], strict=True)
        )
    first, second = ids.values()
    assert first == second
    assert first == {"c": "P1:2020-01-01:L1", "a": "P1:2020-01-01:L1#2", "b": "P1:2020-01-01:L1#3"}


def test_a_split_cell_with_an_id_gives_the_id_and_the_level(registry):
    found = registry(augmentations="augmentation_id|patient_id|date|level\nA|P1|2020-01-01|L1,L2\nB|P1|2020-01-01|L3")
    assert found["augmentations"]["augmentation_id"].tolist() == ["A:L1", "A:L2", "B"]


def test_an_id_made_by_splitting_never_doubles_one_that_stays(registry):
    found = registry(
        augmentations="augmentation_id|patient_id|date|level\nA:L1|P1|2020-01-01|L5\nA|P1|2020-01-01|L1,L2"
    )
    assert found["augmentations"]["augmentation_id"].tolist() == ["A:L1"]
    assert reasons(found) == [("augmentations", 3, "augmentation_id")]


def test_a_made_id_gives_way_to_one_that_somebody_wrote(registry):
    found = registry(
        augmentations="augmentation_id|patient_id|date|level\n|P1|2020-01-01|L1\nP1:2020-01-01:L1|P1|2020-01-01|L2"
    )
    assert found["augmentations"]["augmentation_id"].tolist() == ["P1:2020-01-01:L1#2", "P1:2020-01-01:L1"]


# --- other rules ------------------------------------------------------------------------------------------------------


def test_the_class_of_a_drug_comes_from_the_drug_where_absent(registry):
    found = registry(
        medications="patient_id|drug|start|drug_class\nP1|prednisone|2020-01-01|\nP1|prednisone|2020-01-02|other\n"
        "P1|aspirin|2020-01-01|\nP1||2020-01-01|other"
    )
    assert found["medications"]["drug_class"].astype(object).where(lambda s: s.notna(), "").tolist() == [
        "corticosteroid",
        "other",
        "",
    ]
    assert remarks(found, "drug_unknown") == [(4, "drug")]
    assert reasons(found) == [("medications", 5, "drug")]


def test_every_check_is_a_sentence_with_an_outcome():
    for check in CHECKS.values():
        assert check.outcome in ("reject", "blank", "warn")
        assert check.sentence.endswith((".", "?"))


def test_no_sentence_names_a_patient(registry):
    secret = "SECRET4711"
    found = registry(
        patients=f"patient_id|follow_up_end|t_score\n{secret}|2022-12-31|99\n{secret}|2022-12-31|1\n{secret}|x|1",
        augmentations=f"augmentation_id|patient_id|date|level\n|{secret}|2020-01-01|L9\n{secret}|{secret}|2020-01-01|L1\n"
        f"{secret}|{secret}|2024-01-01|L1\nx|{secret}x|2020-01-01|L1",
    )
    assert len(found.rejected) >= 4
    assert not found.rejected["reason"].str.contains(secret).any()
    assert not found.warnings["sentence"].str.contains(secret).any()


def test_canonical_columns_come_first_then_covariates_then_the_source_row(registry):
    treated = registry(augmentations="note|patient_id|date|level\nx|P1|2020-01-01|L1")["augmentations"]
    assert treated.columns[0] == "augmentation_id"
    assert treated.columns[-2:].tolist() == ["note", "source_row"]


def test_a_rejected_row_moves_no_date_of_the_patient(registry):
    found = registry(
        patients="patient_id,follow_up_end,death_date\nP1,2022-12-31,2021-06\nP2,2022-12-31,",
        fractures="fracture_id,patient_id,date,level\nF,P1,2021-05-18,L3\nF,P1,2021-06-20,L4",
    )
    assert len(found.rejected) == 1
    assert str(found["patients"]["death_date"].iloc[0].date()) == "2021-06-15"


@pytest.mark.parametrize(
    ("date", "clear", "found_on", "clear_on"),
    [
        ("2022-05", "2022", "2022-05-15", "2022-05-14"),
        ("2022-05", "2022-05-20", "2022-05-21", "2022-05-20"),
        ("2022", "2022-08", "2022-08-16", "2022-08-15"),
        ("2022-05-10", "2022", "2022-05-10", "2022-05-09"),
    ],
    ids=["the clear day lies beyond the find's month", "within it", "a month within the find's year", "an exact find"],
)
def test_a_find_moves_after_the_last_clear_film_only_inside_its_own_period(registry, date, clear, found_on, clear_on):
    found = registry(
        patients="patient_id,follow_up_end\nP1,2022-12-31",
        fractures=f"patient_id,date,level,last_clear_date\nP1,{date},L3,{clear}",
    )
    row = found["fractures"].iloc[0]
    assert (str(row["date"].date()), str(row["last_clear_date"].date())) == (found_on, clear_on)
