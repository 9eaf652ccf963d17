"""Columns of text told apart once, and the quick ways of reading and writing them: the same as the plain ones."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cohort.intake import dates, text_files
from cohort.intake.words import Words
from cohort.tables.safe_csv import guard, write_unquoted

cells = st.lists(st.text(alphabet="ab ", max_size=2), max_size=8).map(lambda texts: np.array(texts, dtype=object))


def texts_of(words):
    assert len(set(words.texts)) == len(words.texts)
    assert set(words.texts) == set(words.cells)
    return words.cells.tolist()


@given(cells, cells, st.data())
def test_words_hold_what_their_cells_hold(one, other, data):
    words = Words.of(one)
    places = np.array(data.draw(st.lists(st.integers(0, len(one) - 1), max_size=6) if len(one) else st.just([])), int)
    assert texts_of(words) == one.tolist()
    assert texts_of(words.at(places)) == words[places].tolist() == one[places].tolist()
    assert texts_of(words.changed(str.strip)) == [text.strip() for text in one]
    assert texts_of(words.followed_by(Words.of(other))) == [*one, *other]
    assert texts_of(Words.of(pd.Series(words.categorical()))) == one.tolist()
    assert words.holds("a").tolist() == [text == "a" for text in one]


def test_dates_of_rows_that_are_gone_say_nothing_of_the_order():
    words = Words.of(np.array(["13/01/2020", "01/02/2020"], dtype=object))
    assert dates.read_column(words).fault.tolist() == ["", ""]
    assert dates.read_column(words.at(np.array([1]))).fault.tolist() == ["date_ambiguous"]
    rest = pd.Series(words.categorical())[1:]
    assert dates.read_column(Words.of(rest)).fault.tolist() == ["date_ambiguous"]


@pytest.mark.parametrize("text", ["NA", "null", "NaN", "None", "", " ", "#N/A", "true", "1e5", "2020-01-01", "\ufeff"])
def test_no_text_is_taken_for_a_missing_value(text):
    grid = text_files.read(f"a;b\nx;{text}\ny;z\n".encode(), "a.csv")
    assert grid.cells[1].tolist() == [text, "z"]


@pytest.mark.parametrize("commas", [1, 255, 256, 257, 65_537])
def test_a_line_that_is_far_too_long_is_ragged_and_no_other(commas):
    grid = text_files.read(f"a,b\n1,2\n{',' * commas}\n3,4\n".encode(), "a.csv")
    assert grid.cells[0].tolist() == (["1", "", "3"] if commas == 1 else ["1", "3"])
    assert [(row.row, len(row.cells)) for row in grid.ragged] == ([] if commas == 1 else [(3, commas + 1)])


@pytest.mark.parametrize("length", [100_000, 1 << 19, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_cell_may_be_longer_than_what_is_read_in_one_go(length):
    long = "é" * length
    grid = text_files.read(f"a,b\n1,2\n{long},3\n4,5".encode(), "a.csv")
    assert grid.cells[0].tolist() == ["1", long, "4"]


odd = st.text(alphabet="ab,\"\n\r ;'=-+@\té腰", max_size=3)


@settings(max_examples=300, deadline=None)
@example([("\r", "a", 1, None)], "a")
@example([("", None, None, "")], "=a")
@given(st.lists(st.tuples(odd, st.none() | odd, st.none() | st.integers(-9, 9), st.none() | odd), max_size=4), odd)
def test_a_table_is_written_without_quotes_as_pandas_writes_it_or_not_at_all(tmp_path_factory, rows, name):
    folder = tmp_path_factory.mktemp("out")
    frame = pd.DataFrame(rows, columns=["a", "b", "c", name or "d"])
    frame = guard(frame.astype({"a": object, "b": object, "c": "Int64"}))
    frame.isetitem(3, pd.Categorical(frame.iloc[:, 3]))
    frame.to_csv(folder / "slow.csv", index=False, lineterminator="\n")
    if write_unquoted(frame, folder / "quick.csv"):
        assert (folder / "quick.csv").read_bytes() == (folder / "slow.csv").read_bytes()
    else:
        assert any(mark in (folder / "slow.csv").read_bytes() for mark in (b'"', b"\r"))


@pytest.mark.parametrize(
    "column", [[1.5, 2.0], [True, False], [b"x", None], [1, "x"], pd.to_datetime(["2020-01-01", None])], ids=str
)
def test_what_arrow_would_write_otherwise_is_left_to_pandas(tmp_path, column):
    assert not write_unquoted(pd.DataFrame({"a": ["x", "y"], "b": column}), tmp_path / "a.csv")
