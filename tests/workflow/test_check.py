"""`cohort check`: one screen, nothing written, no value and no patient named, and the exit code a script relies on."""

import re
from pathlib import Path

SYNTHETIC = Path(__file__).parents[2] / "data" / "synthetic"


def test_a_clean_registry_has_nothing_to_say_and_exits_0(registry, tables, command):
    code, said, _ = command("check", registry(**tables))
    assert code == 0
    assert re.search(r"patients +3 +3 +0", said)
    assert "No problem was found." in said
    assert "No imaging at follow-up is recorded." in said


def test_rejected_rows_are_told_with_their_numbers_and_exit_3(registry, tables, command):
    tables["fractures"] += "    P1,2021-05-01,SECRETLEVEL,new,yes\n    SECRETPATIENT,2021-05-01,L2,new,yes\n"
    code, said, errors = command("check", registry(**tables))
    assert code == 3
    assert "rejected: fractures.level, 1 rows (row 5)" in said
    assert "rejected: fractures.patient_id, 1 rows (row 6)" in said
    assert "SECRET" not in said + errors
    assert "1 patients are incomplete" in said


def test_the_screen_is_plain_text_of_eighty_columns_and_names_nobody(command, tmp_path):
    before = sorted(path.name for path in SYNTHETIC.iterdir())
    code, said, _ = command("check", SYNTHETIC)
    assert code == 3
    assert max(map(len, said.splitlines())) <= 80
    assert "\x1b" not in said
    assert not re.search(r"\bP\d{6}\b", said)
    assert "Imaged after the first procedure: 27.4 % by 30 days" in said
    assert sorted(path.name for path in SYNTHETIC.iterdir()) == before


def test_a_registry_without_one_usable_patient_still_gets_its_account(registry, tables, command):
    tables["patients"] = "patient_id,follow_up_end\n,2022-12-31\n"
    code, said, _ = command("check", registry(**tables))
    assert code == 3
    assert re.search(r"patients +1 +0 +1", said)
