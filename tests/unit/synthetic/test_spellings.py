"""How vertebrae, dates, numbers and findings are written; what intake must read back as it was meant."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort.domain.spine import CODE, LEVELS
from cohort.intake.levels import expand, parse
from cohort.synthetic.mess import recorded
from cohort.synthetic.simulate import simulate
from cohort.synthetic.spellings import (
    LAYOUT,
    LAYOUTS,
    dates_as_text,
    level_as_text,
    levels_as_text,
    numbers_as_text,
    written_tables,
)
from cohort.tables.schema import CANONICAL


@pytest.mark.parametrize("label", [label for label in LEVELS if label != "S1"])
def test_every_way_of_writing_a_vertebra_reads_back_as_that_vertebra(label):
    rng = np.random.default_rng(1)
    for _ in range(60):
        assert parse(level_as_text(CODE[label], rng)) == ((CODE[label], CODE[label]),)


CELLS = [
    (("T11", "T12", "L1"), 12, 5),
    (("T12", "T13", "L1"), 13, 5),
    (("T11", "L1"), 11, 5),
    (("T8", "T12", "L4"), 12, 5),
    (("L5", "L6"), 12, 6),
]


@pytest.mark.parametrize(("labels", "n_thoracic", "n_lumbar"), CELLS)
def test_every_way_of_writing_several_vertebrae_reads_back_along_the_patients_spine(labels, n_thoracic, n_lumbar):
    codes = [CODE[label] for label in labels]
    rng = np.random.default_rng(1)
    for _ in range(60):
        items = parse(levels_as_text(codes, n_thoracic, n_lumbar, rng))
        assert expand(items, n_thoracic, n_lumbar) == tuple(codes)


DATES = [
    ("iso", "2013-05-09"),
    ("dotted", "09.05.2013"),
    ("month_first", "05/09/2013"),
    ("day_first", "09/05/2013"),
    ("named", "9 May 2013"),
]


@pytest.mark.parametrize(("style", "text"), DATES)
def test_each_column_has_its_own_way_of_writing_dates(style, text):
    assert dates_as_text(pd.Series(pd.to_datetime(["2013-05-09"])), style).tolist() == [text]


def test_a_date_known_to_the_month_or_year_shows_no_day():
    days = pd.Series(pd.to_datetime(["2013-05-09"] * 3))
    precision = pd.Series(["month", "year", "day"])
    assert dates_as_text(days, "iso", precision).tolist() == ["2013-05", "2013", "2013-05-09"]
    assert dates_as_text(days, "month_first", precision).tolist() == ["05/2013", "2013", "05/09/2013"]


def test_numbers_have_the_decimal_mark_of_their_file():
    assert numbers_as_text(pd.Series([-2.5, 3.0, np.nan]), ",").tolist() == ["-2,5", "3", ""]


@pytest.fixture(scope="module")
def written():
    kept = recorded(simulate(1500, seed=2), np.random.default_rng(1))
    return written_tables(kept, np.random.default_rng(2))


def test_every_written_header_leads_to_a_canonical_column(written):
    for layout in LAYOUTS:
        names = [layout.rename.get(header, header) for header in written[layout.table].columns]
        assert set(names) == set(CANONICAL[layout.table].names) - set(layout.leave_out)


def test_findings_are_written_in_many_ways(written):
    cells = set(written["augmentations"][LAYOUT["augmentations"].written("cleft_before")])
    assert {"Y", "N", "unk", "1", "0", "yes", "no", "not assessable"} <= cells


def test_sessions_of_one_site_share_a_line(written):
    cells = written["augmentations"]["levels"]
    assert (cells.str.findall(r"[0-9]+").str.len() > 1).sum() > 10
