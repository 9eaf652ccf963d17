"""Every check has the smallest registry that it speaks about: what becomes of the row, and where it is said."""

import re
import tomllib
from pathlib import Path

import pytest

from cohort.domain.study import StudyDefinition
from cohort.intake import read
from cohort.intake.checks import CHECKS

CASES = tomllib.loads(Path(__file__).with_name("checks.toml").read_text(encoding="utf-8"))["case"]
USUAL = {
    "patients": "patient_id,follow_up_end\nP1,2022-12-31\nP2,2022-12-31",
    "augmentations": "patient_id,date,level\nP1,2020-01-01,L1",
    "fractures": "patient_id,date,level",
}


def test_every_check_has_a_case_and_every_case_a_check():
    assert {case["check"] for case in CASES} == set(CHECKS)


@pytest.mark.parametrize("case", [c for c in CASES if "csv" in c], ids=lambda c: f"{c['check']}: {c['why']}")
def test_a_check_does_what_it_says_and_says_where(case, tmp_path):
    check = CHECKS[case["check"]]
    for name, text in (USUAL | {case["table"]: case["csv"]}).items():
        encoding = case.get("encoding", "utf-8") if name == case["table"] else "utf-8"
        (tmp_path / f"{name}.csv").write_text(text, encoding=encoding)
    found = read(tmp_path, StudyDefinition.model_validate({"tables": case.get("study", {})}))

    account = found.accounting
    assert (account["rows_read"] == account["rows_accepted"] + account["rows_rejected"]).all()
    table, row = case.get("at", case["table"]), case.get("row", 0)
    pattern = re.sub(r"\\\{\w+(?::g)?\\\}", ".*", re.escape(check.sentence))
    if check.outcome == "reject":
        said = found.rejected[(found.rejected["table"] == table) & (found.rejected["row"] == row)]
        assert len(said) == 1
        sentence = said["reason"].iloc[0]
        assert row not in found[table]["source_row"].tolist()
    else:
        said = found.warnings[(found.warnings["check"] == check.id) & (found.warnings["row"] == row)]
        assert len(said) == 1
        assert said["outcome"].iloc[0] == check.outcome
        sentence = said["sentence"].iloc[0]
    assert re.fullmatch(pattern, sentence)
    assert sentence.endswith((".", "?"))
    assert not re.search(r"\bP[129]\b", sentence)
    if "column" in case:
        assert said["column"].iloc[0] == case["column"]
    if check.outcome == "blank":
        kept = found[table][found[table]["source_row"] == row]
        assert len(kept) == 1
        assert kept[case["column"]].isna().all()


@pytest.mark.parametrize("case", [c for c in CASES if "proved_by" in c], ids=lambda c: c["check"])
def test_a_check_that_a_text_table_cannot_show_is_proved_where_it_says(case):
    path, name = case["proved_by"].split("::")
    text = (Path(__file__).parents[2] / path).read_text(encoding="utf-8")
    assert f"def {name}(" in text
    assert case["check"] in text
