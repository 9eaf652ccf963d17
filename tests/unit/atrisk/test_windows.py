"""Windows (start, stop] as sets of days: whatever is done to them, the days must come out right."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cohort.atrisk.windows import Windows, split

SPANS = st.lists(st.tuples(st.integers(0, 2), st.integers(-5, 15), st.integers(-5, 15)), max_size=8)


def columns(spans):
    return tuple(np.array([span[i] for span in spans], dtype=np.int64) for i in range(3))


def days(key, start, stop):
    return [(k, d) for k, a, b in zip(key, start, stop, strict=True) for d in range(a + 1, b + 1)]


@given(SPANS)
def test_a_union_covers_each_day_once(spans):
    united = Windows.union(*columns(spans))
    laid_out = days(united.key, united.start, united.stop)
    assert sorted(laid_out) == sorted(set(days(*columns(spans))))
    assert all(
        k != k2 or b < a2
        for k, b, k2, a2 in zip(united.key, united.stop, united.key[1:], united.start[1:], strict=False)
    )


@given(SPANS, SPANS)
def test_what_is_cut_out_and_what_overlaps_add_up_to_the_row(rows, off):
    key, start, stop = columns([span for span in rows if span[2] > span[1]])
    windows = Windows.union(*columns(off))
    covered = set(days(windows.key, windows.start, windows.stop))
    source, begin, end = windows.cut_out(key, start, stop)
    assert days(key[source], begin, end) == [day for day in days(key, start, stop) if day not in covered]
    inside, _, begin, end = windows.overlaps(key, start, stop)
    assert days(key[inside], begin, end) == [day for day in days(key, start, stop) if day in covered]


@given(SPANS, st.lists(st.tuples(st.integers(0, 2), st.integers(-5, 15)), max_size=6))
def test_splitting_keeps_the_days_and_ends_a_row_at_each_point(rows, points):
    key, start, stop = columns([span for span in rows if span[2] > span[1]])
    at = [np.array([point[i] for point in points], dtype=np.int64) for i in range(2)]
    source, begin, end = split(key, start, stop, *at)
    assert days(key[source], begin, end) == days(key, start, stop)
    assert (end > begin).all()
    assert not any(
        k == owner and a < day < b for k, a, b in zip(key[source], begin, end, strict=True) for owner, day in points
    )


@given(SPANS, st.integers(0, 2), st.integers(-6, 16))
def test_a_window_holds_after_its_start_up_to_its_stop(spans, key, day):
    windows = Windows.union(*columns(spans))
    assert windows.covers(np.array([key]), np.array([day]))[0] == ((key, day) in days(*columns(spans)))
