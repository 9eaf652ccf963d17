"""Dates as written; one that could be read two ways waits for the column or the study to decide."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort.domain.clock import to_dates
from cohort.intake import dates

READ = """
    2021-03-04           | 2021-03-04 | day   | ISO
    2021-3-4             | 2021-03-04 | day   | ISO without zeros
    2021/03/04           | 2021-03-04 | day   | year first
    2021.03.04           | 2021-03-04 | day   | year first, points
    20210304             | 2021-03-04 | day   | ISO basic
    2021-03-04 10:30:00  | 2021-03-04 | day   | with a time
    2021-03-04T10:30:00Z | 2021-03-04 | day   | ISO with a time
    25/03/2021           | 2021-03-25 | day   | only the day can be 25
    03/25/2021           | 2021-03-25 | day   | only the day can be 25
    24.03.2021           | 2021-03-24 | day   | points between the numbers
    05/05/2021           | 2021-05-05 | day   | the same either way
    12-Mar-2021          | 2021-03-12 | day   | month by name
    12 March 2021        | 2021-03-12 | day   | month in full
    March 12, 2021       | 2021-03-12 | day   | American
    12MAR2021            | 2021-03-12 | day   | as SAS writes it
    12. Dezember 2021    | 2021-12-12 | day   | German
    3. März 2021         | 2021-03-03 | day   | German, with its letter
    1er mars 2021        | 2021-03-01 | day   | French
    14 févr. 2021        | 2021-02-14 | day   | French, abbreviated
    5 de mayo de 2021    | 2021-05-05 | day   | Spanish
    5 de septiembre de 2021 | 2021-09-05 | day | the longest name of a month
    1º de mayo de 2021   | 2021-05-01 | day   | Spanish first
    2021-03-04T10:30:00,5Z | 2021-03-04 | day | ISO with a comma
    12 dic 2021          | 2021-12-12 | day   | Spanish, abbreviated
    2021年3月4日         | 2021-03-04 | day   | Chinese
    2021年3月            | 2021-03-15 | month | Chinese month
    2021年               | 2021-07-01 | year  | Chinese year
    ２０２１－０３－０４ | 2021-03-04 | day   | full width
    2021-03-04 00:00:00.000 | 2021-03-04 | day | as databases write it
    marzo de 2021        | 2021-03-15 | month | Spanish month
    March 2021           | 2021-03-15 | month | the 15th stands for the month
    2021-03              | 2021-03-15 | month | ISO month
    03/2021              | 2021-03-15 | month | month and year
    2021                 | 2021-07-01 | year  | 1 July stands for the year
"""
REFUSED = """
    12/03/21     | date_two_digit_year | the century is never guessed
    12-Mar-21    | date_two_digit_year | nor with a month by name
    30/02/2021   | date_unreadable     | no such day
    2021-13-01   | date_unreadable     | no such month
    2021-02-30   | date_unreadable     | no such day
    44197        | date_serial         | the number of a day in a workbook: 2021-01-01, or four years later
    44197.5      | date_serial         | with the time of day
    441970       | date_unreadable     | no day of our time
    2021-03-04 99:99 | date_unreadable | no such time
    soon         | date_unreadable     | no date
    #VALUE!      | date_unreadable     | an error of the spreadsheet
    2021年13月   | date_unreadable     | no such month
    2021-W10     | date_unreadable     | a week is no day
    12 Smarch 2021 | date_unreadable   | no such month
    9999-12-31   | date_implausible    | stands for "never" in some databases
    0021-03-04   | date_implausible    | a lost century
"""


def rows(text):
    return [tuple(cell.strip() for cell in line.split("|")) for line in text.strip().splitlines()]


def column(*texts, order=None):
    return dates.read_column(np.array(texts, dtype=object), order)


def days(read):
    return to_dates(read.used).dt.strftime("%Y-%m-%d").fillna("").tolist()


@pytest.mark.parametrize(("written", "used", "precision", "why"), rows(READ))
def test_a_written_date_is_read(written, used, precision, why):
    read = column(written)
    assert days(read) == [used]
    assert ("day", "month", "year")[read.precision[0]] == precision


@pytest.mark.parametrize(("written", "check", "why"), rows(REFUSED))
def test_what_is_no_date_is_refused(written, check, why):
    assert column(written).fault.tolist() == [check]


MONTHS = """
    January February March April May June July August September October November December
    Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec
    Januar Februar März April Mai Juni Juli August September Oktober November Dezember
    janvier février mars avril mai juin juillet août septembre octobre novembre décembre
    enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
    ene feb mar abr may jun jul ago sep oct nov dic
"""


@pytest.mark.parametrize("names", MONTHS.strip().splitlines())
def test_the_months_of_the_year_are_read_by_name(names):
    for number, name in enumerate(names.split(), start=1):
        assert days(column(f"5 {name} 2021", f"{name.upper()} 2021")) == [
            f"2021-{number:02}-05",
            f"2021-{number:02}-15",
        ]


@pytest.mark.parametrize("written", ["", " ", "n/a", "unknown", "?", "-"])
def test_nothing_recorded_is_no_fault(written):
    read = column(written)
    assert read.fault.tolist() == [""]
    assert not read.known.any()


ORDER = """
    03/04/2021, 25/03/2021             |     | 2021-04-03, 2021-03-25 | the column's other date decides
    03/04/2021, 03/25/2021             |     | 2021-03-04, 2021-03-25 | here for the month first
    03/04/2021                         |     | date_ambiguous         | nothing decides
    03/04/2021, 25/03/2021, 03/25/2021 |     | date_orders_mixed, 2021-03-25, 2021-03-25 | both orders decide nothing
    03/04/2021                         | dmy | 2021-04-03             | declared
    03/04/2021                         | mdy | 2021-03-04             | declared
    03/04/2021, 2021-03-25             |     | date_ambiguous, 2021-03-25 | ISO dates decide nothing
    25/03/2021                         | mdy | date_against_order     | declared, and contradicted
    03.04.2021, 03.25.2021             |     | 2021-03-04, 2021-03-25 | the column's points mean month first
    03-04-2021                         |     | date_ambiguous         | dashes decide nothing
    03.04.2021                         |     | date_ambiguous         | nor do points
"""


@pytest.mark.parametrize(("written", "order", "expected", "why"), rows(ORDER))
def test_the_declared_order_or_the_column_decides(written, order, expected, why):
    read = column(*written.split(", "), order=order or None)
    assert ", ".join(fault or day for fault, day in zip(read.fault, days(read), strict=True)) == expected


PRECISION = """
    2021-03-22 | day   | 2021-03-22 | known to the day
    2021-03-22 | month | 2021-03-15 | the registry says that only the month is known
    2021-03-22 | year  | 2021-07-01 | only the year
    2021-03    | day   | 2021-03-15 | a day that nobody wrote cannot be known
    2021-03    | year  | 2021-07-01 | the coarser prevails
    2021       | month | 2021-07-01 | the coarser prevails
"""


@pytest.mark.parametrize(("written", "precision", "used", "why"), rows(PRECISION))
def test_the_coarser_precision_prevails(written, precision, used, why):
    code = {"day": dates.DAY, "month": dates.MONTH, "year": dates.YEAR}[precision]
    assert days(dates.coarsen(column(written), np.array([code]))) == [used]


def test_a_month_ends_on_its_last_day():
    read = column("2020-02", "2021-12", "2021")
    ends = to_dates(read.high).dt.strftime("%Y-%m-%d").tolist()
    assert ends == ["2020-02-29", "2021-12-31", "2021-12-31"]
    coarse = dates.coarsen(column("2020-02-03", "2021-12-31"), np.array([dates.MONTH, dates.YEAR]))
    assert to_dates(coarse.high).dt.strftime("%Y-%m-%d").tolist() == ["2020-02-29", "2021-12-31"]


@settings(max_examples=100, derandomize=True, database=None)
@given(st.dates(pd.Timestamp("1850-01-01").date(), pd.Timestamp("2199-12-31").date()))
def test_an_iso_date_is_read_as_itself(day):
    assert days(column(day.isoformat())) == [day.isoformat()]


@settings(max_examples=300, derandomize=True, database=None)
@given(st.lists(st.one_of(st.text(max_size=12), st.text("0123456789/-. aMr:T", max_size=12)), max_size=4))
def test_no_text_crashes_the_reader(texts):
    read = column(*texts)
    assert (read.low <= read.used).all()
    assert (read.used <= read.high).all()


def test_a_column_that_shows_both_orders_says_how_often_each(registry):
    found = registry(
        augmentations="patient_id,date,level\nP1,25/03/2021,L1\nP1,26/03/2021,L2\nP1,03/27/2021,L3\nP1,03/04/2021,L4"
    )
    assert found.rejected[["row", "value"]].values.tolist() == [[5, "03/04/2021"]]
    assert "2 rows can only have the day first, 1 only the month" in found.rejected["reason"][0]
