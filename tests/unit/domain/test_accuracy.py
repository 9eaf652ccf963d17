"""Accuracies are those of the published figures, and where no figure was read there is none."""

import pytest

from cohort.domain.accuracy import CLEFT_ON_FILM, LEAK_IN_PROCEDURE_REPORT, LEAK_ON_FILM, PUBLISHED
from cohort.literature.tables import figures

# accuracy | study of literature/data/figures.csv | its quantity
SAME = [
    ("cleft, standing lateral film", "mckiernan2003", "cleft detected on standing lateral radiograph"),
    ("cleft, supine cross-table film", "mckiernan2003", "cleft detected on supine cross-table radiograph"),
    ("cleft, MRI", "mckiernan2003", "cleft detected on MRI"),
    ("leak, lateral film", "schmidt2005", "leak detection rate, lateral X-ray vs CT"),
    ("leak, lateral and AP film", "schmidt2005", "leak detection rate, lateral + AP vs CT"),
    ("leak into the canal, film", "yeom2003", "canal leaks correctly identified on radiograph"),
    ("leak, plain film", "martin2012", "leak detected on plain radiography among CT leaks"),
    ("leak, procedure report", "martin2012", "leak recorded in procedural dictation among CT leaks"),
]


@pytest.mark.parametrize(("name", "study", "quantity"), SAME)
def test_every_sensitivity_is_a_published_figure(name, study, quantity):
    known = figures()
    (row,) = known[(known["study_key"] == study) & (known["quantity"] == quantity)].to_dict("records")
    ours = PUBLISHED[name]
    if ours.of is None:
        assert row["percent"] == pytest.approx(100 * ours.sensitivity)
    else:
        assert (ours.found, ours.of) == (row["numerator"], row["denominator"])
        assert ours.sensitivity == ours.found / ours.of
    assert row["confidence"] == "read in abstract"
    assert ours.read == "abstract"
    assert ours.doi == (row["doi"] if isinstance(row["doi"], str) else "")


def test_the_table_holds_no_accuracy_beside_those():
    assert [name for name, _, _ in SAME] == list(PUBLISHED)


def test_no_specificity_and_no_spread_without_counts():
    assert all(one.specificity is None for one in PUBLISHED.values())
    assert {name for name, one in PUBLISHED.items() if one.distribution is None} == {
        name for name, one in PUBLISHED.items() if one.of is None
    }


def test_ranges_end_at_published_figures():
    assert (CLEFT_ON_FILM.low, CLEFT_ON_FILM.high) == (
        PUBLISHED["cleft, standing lateral film"].sensitivity,
        PUBLISHED["cleft, supine cross-table film"].sensitivity,
    )
    assert (LEAK_ON_FILM.low, LEAK_ON_FILM.high) == (
        PUBLISHED["leak, lateral film"].sensitivity,
        PUBLISHED["leak, lateral and AP film"].sensitivity,
    )
    assert PUBLISHED["leak, procedure report"].distribution == LEAK_IN_PROCEDURE_REPORT
