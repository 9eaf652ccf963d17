"""What fuzzing and adversarial reading of the parsers found, kept as examples."""

import math
import time

import pytest

from cohort.domain.spine import CODE
from cohort.intake import dates, leaks, levels, numbers
from cohort.tables.drugs import drug_of


def test_a_number_of_hundreds_of_groups_is_not_infinite():
    value, fault = numbers.read("1" + " 000" * 120)
    assert math.isnan(value)
    assert fault == "number_unreadable"


@pytest.mark.parametrize("written", ["4th", "12th", "5TH", "L4 and 5th"])
def test_the_ending_of_an_ordinal_is_not_a_region(written):
    assert levels.parse(written) == "level_unreadable"


# Long texts of the parts that the patterns repeat: none may make them try every way of taking it apart.
PARTS = ("L1,", "L-", "T1-", "ivx", "4.", "4th ", "lumbar ", "一", "椎", "1 000 ", "1.000", "1,", " ", "-", "20210304 ",
         "12 Mar ", "2021年", "disc ", "leak ", "L3/4 ", "@1@2", "(", "calcium ", "mg ", "a", "é", "\n")  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_no_long_text_keeps_a_parser_busy(part):
    text = part * (20_000 // len(part)) + "!"
    started = time.perf_counter()
    levels.parse(text)
    leaks.at_level(leaks.read(text), CODE["L3"], 12, 5)
    dates.read(text)
    numbers.read(text)
    drug_of(text)
    assert time.perf_counter() - started < 2
