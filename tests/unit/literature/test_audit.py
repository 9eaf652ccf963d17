"""Every statement of the review has a verdict, and no number in a reason was typed."""

from __future__ import annotations

import re
import string

import pandas as pd
import pytest

from cohort.domain.errors import DefinitionError
from cohort.literature import audit, references, review_statements, verdicts
from cohort.literature import tables as shipped
from cohort.literature.audit import CHECKS, COLUMNS, all_verdicts
from cohort.literature.audit_words import MISMATCH, VERDICTS
from cohort.literature.evidence import SURENESS, Evidence

NUMBER = re.compile(r"(?<![A-Za-z\d.,])-?\d[\d,]*(?:\.\d+)?")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return audit()


def one(table: pd.DataFrame, statement: str) -> pd.Series:
    return table.set_index("id").loc[statement]


def test_every_statement_has_one_row_in_the_order_of_the_review(table):
    assert tuple(table.columns) == COLUMNS
    assert table["id"].tolist() == review_statements()["id"].tolist()
    assert len(table) == 43


def test_verdicts_are_of_the_closed_vocabulary_and_each_is_used(table):
    assert set(table["verdict"]) == set(VERDICTS)
    for found in all_verdicts(table):
        assert set(found) <= set(VERDICTS)
        assert len(found) == len(set(found))


def test_every_verdict_has_a_reason_a_source_and_how_surely_it_was_read(table):
    assert (table[["reason", "source", "confidence"]] != "").all(axis=None)
    assert table["confidence"].isin(SURENESS).all()
    assert table["reason"].str.endswith(".").all()
    assert table["reason"].str.count(r"\. [A-Z\[0-9]").max() <= 2


def test_no_template_holds_a_number_of_its_own():
    for row in verdicts().itertuples():
        words = "".join(text for text, *_ in string.Formatter().parse(row.reason))
        # Statements (S17) and vertebrae (L4) are names; "95 % interval" is what the interval is called.
        assert NUMBER.findall(words.replace("95 % interval", "")) == [], row.id


def test_every_number_in_a_reason_is_one_that_was_computed(table):
    checked = 0
    for row in table.itertuples():
        at_fault = " ".join(verdicts().set_index("id").loc[row.id, ["refs_at_fault"]])
        words = Evidence().in_words(tuple(int(ref) for ref in at_fault.split())) if at_fault else ""
        known = [float(text.replace(",", "")) for text in NUMBER.findall(row.computed)]
        for text in NUMBER.findall(row.reason.replace("95 % interval", "").replace(words, "")):
            decimals = len(text.partition(".")[2])
            value = float(text.replace(",", ""))
            assert any(abs(value - number) <= 0.5 * 10.0**-decimals + 1e-9 for number in known), (row.id, text)
            checked += 1
    assert checked > 150


def test_what_a_check_bears_out_is_what_the_file_says(table):
    stated = dict(zip(table["id"], all_verdicts(table), strict=True))
    by_reading = {"not checkable"}
    faulted = set(verdicts().loc[verdicts()["refs_at_fault"] != "", "id"])
    for statement, check in CHECKS.items():
        found = set(check(Evidence()).verdicts) | ({MISMATCH} if statement in faulted else set())
        assert set(stated[statement]) - by_reading == found, statement


def test_a_reference_is_at_fault_only_where_it_is_cited():
    for row in verdicts().itertuples():
        for ref in row.refs_at_fault.split():
            assert int(ref) in Evidence().cited(row.id), row.id


def test_statements_without_a_check_rest_on_reading(table):
    reading = table[table["rests_on"] == "reading"]
    assert not reading["verdict"].isin(["reproduced", "units mixed"]).any()
    assert (table.loc[table["rests_on"] == "arithmetic", "computed"] != "").all()


def values(table: pd.DataFrame, statement: str) -> dict[str, str]:
    return dict(part.split(" = ", 1) for part in one(table, statement)["computed"].split("; "))


def test_ten_of_1800_is_reproduced_but_stands_under_two_references(table):
    found = one(table, "S19")
    assert (found["verdict"], found["also"]) == ("reproduced", "reference does not match")
    assert (values(table, "S19")["here"], values(table, "S19")["there"]) == ("[11]", "[9]")
    assert float(values(table, "S19")["percent"]) == pytest.approx(100 * 10 / 1800)


def test_six_of_104_lies_outside_the_range_it_is_cited_for(table):
    found = values(table, "S17")
    assert float(found["small_percent"]) == pytest.approx(100 * 6 / 104)
    assert float(found["low"]) < float(found["high"]) < float(found["small_percent"])
    assert one(table, "S17")["verdict"] == "inconsistent"


def test_twelve_twenty_three_and_nineteen_per_cent_have_three_units(table):
    counts = {"S07": (14, 116), "S08": (6, 26), "S09": (11, 58)}
    for statement, (events, n) in counts.items():
        found = values(table, statement)
        assert (float(found["events"]), float(found["n"])) == (events, n)
        assert (found["matching"], found["cited"]) == ("[13]", "[11]")
    assert [one(table, statement)["verdict"] for statement in counts] == [
        "units mixed", "reference does not match", "units mixed",
    ]  # fmt: skip
    assert float(values(table, "S07")["implied"]) == 116


def test_settling_is_given_three_ways(table):
    found = values(table, "S11")
    assert [found[name] for name in ("first", "second", "third_low", "third_high")] == ["30", "20", "10", "15"]
    assert one(table, "S34")["verdict"] == "units mixed"


def test_a_share_of_clefts_among_refractures_is_no_risk(table):
    assert one(table, "S29")["verdict"] == "units mixed"
    found = values(table, "S29")
    assert float(found["large_exact_low"]) == pytest.approx(55.5, abs=0.05)
    assert float(found["large_exact_high"]) == pytest.approx(99.7, abs=0.05)
    assert float(found["small_exact_low"]) == pytest.approx(54.1, abs=0.05)


def test_both_series_together_lie_below_one_per_cent(table):
    found = values(table, "S35")
    assert (float(found["events"]), float(found["n"])) == (16, 1904)
    assert float(found["percent"]) == pytest.approx(0.84, abs=0.005)


def test_three_references_are_wrong_and_two_more_probably(table):
    found = values(table, "S42")
    assert (found["refs_verified"], found["refs_probable"]) == ("[12], [14], [19]", "[6], [11]")


def test_patients_of_a_reference_are_those_the_remarks_give():
    remarks = " ".join(review_statements()["consistency_remark"])
    for row in references().dropna(subset=["n_patients"]).itertuples():
        assert re.search(rf"\b{row.n_patients:.0f} (IVC patients|single-level)", remarks), row.ref
    assert references()["ref"].tolist() == list(range(1, 32))
    assert (references()["confidence"] != "").all()


def test_a_verdict_that_the_numbers_contradict_is_refused(monkeypatch):
    changed = verdicts()
    changed.loc[changed["id"] == "S17", ["verdict", "also"]] = ["reproduced", "reference does not match"]
    monkeypatch.setattr(shipped, "verdicts", lambda: changed)
    with pytest.raises(DefinitionError, match="S17: the numbers say 'inconsistent'"):
        audit()


@pytest.mark.parametrize(
    ("column", "text", "complaint"),
    [
        ("verdict", "wrong", "'wrong' is no verdict"),
        ("refs_at_fault", "30", "reference 30 is at fault but not cited"),
        ("reason", "It is {nothing:.0f}.", "no check works out 'nothing'"),
    ],
)
def test_a_mistake_in_the_file_is_a_sentence(monkeypatch, column, text, complaint):
    changed = verdicts()
    changed.loc[changed["id"] == "S01", column] = text
    monkeypatch.setattr(shipped, "verdicts", lambda: changed)
    with pytest.raises(DefinitionError, match=complaint):
        audit()


def test_evidence_that_is_not_there_is_refused():
    with pytest.raises(DefinitionError, match="not among the published figures"):
        Evidence().figure("lin2008", "nothing")
    with pytest.raises(DefinitionError, match="no numerator and denominator"):
        Evidence().share("alali", "any refracture within 1 year")


def test_the_least_sure_source_decides_how_sure_a_verdict_is():
    evidence = Evidence()
    evidence.read_review()
    assert evidence.confidence == "read in source"
    evidence.figure("komemushi2006", "new fracture after PVP")
    assert evidence.confidence == "read in abstract"
    evidence.reference(17)
    assert evidence.confidence == "title only"
