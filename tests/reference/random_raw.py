"""Random raw tables as many hands would have written them: levels and dates in every form, and every kind of row that
must be rejected.

Days lie around each patient's death and last clear films, so that a check read one day wrong shows. In one column
dates are written in one style, or in one that leaves the order of day and month open, or in both orders.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

Row = dict[str, str]
FIRST_DAY = date(2020, 1, 1)
ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII")
DATE_STYLES = ("iso", "iso", "iso", "dmy", "mdy", "open", "both")
NO_DATES = ("2021-02-30", "31/02/2021", "44257", "soon", "01/03/21", "9999-12-31", "2021-13")
NO_LEVELS = ("L7", "S2", "sacrum", "T14", "C8", "T0", "low back", "L1, L9", "T12-L7", "", "XQ", "LVIII", "LV1", "4")
ODD_COUNTS = ("10", "14", "3", "7", "many", "12.5", "0", "-5")


class Hand:
    """Writes values the way one of many people would."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def one(self, values: Sequence[Any]) -> Any:
        return self.rng.choice(values)

    def day(self) -> date:
        return FIRST_DAY + timedelta(days=self.rng.randrange(900))

    def spaced(self, text: str) -> str:
        return self.one((text, text, text, text.lower(), text.upper(), f" {text} "))

    # ---------------- dates

    def date(self, day: date, style: str, *, rough: float = 0.12, wrong: float = 0.03) -> str:
        """A date in the style of its column, sometimes known to the month or year only, sometimes no date."""
        if self.chance(wrong):
            return self.one(NO_DATES)
        if self.chance(rough):
            return self.one((f"{day:%Y-%m}", f"{day:%Y-%m}", f"{day:%Y}"))
        if style == "iso" or self.chance(0.1):
            return day.isoformat()
        if style == "open":
            day = day.replace(day=self.rng.randint(1, 12))
        if style == "both":
            style = self.one(("dmy", "mdy"))
        first, second = (day.month, day.day) if style == "mdy" else (day.day, day.month)
        return f"{first}/{second}/{day.year}" if self.chance(0.3) else f"{first:02}/{second:02}/{day.year}"

    # ---------------- levels

    def vertebra(self, letter: str, number: int) -> str:
        region = {"T": "thoracic", "L": "lumbar"}[letter]
        forms = [f"{letter}{number}"] * 5
        forms += [f"{letter}-{number}", f"{letter} {number}", f"{letter}{number:02}"]
        forms += [
            f"{letter}{ROMAN[number]}",
            f"{region} {number}",
            f"{region} vertebra {number}",
            f"{number}th {region}",
        ]
        if letter == "T":
            forms += [f"Th{number}", f"TH {number}", f"D{number}", f"Th{ROMAN[number]}", f"dorsal {number}"]
        return self.spaced(self.one(forms))

    def range(self, letter: str, number: int) -> str:
        mark = self.one(("-", "-", "–", " - ", " to ", " through "))
        top = f"{letter}{number}"
        if letter == "T" and number >= 10 and self.chance(0.8):
            return self.spaced(f"{top}{mark}L{self.rng.randint(1, 2)}")
        bottom = number + self.rng.randint(1, 3)
        if letter == "L" and self.chance(0.2):
            return self.spaced(f"{top}{mark}S1")
        return self.spaced(f"{top}{mark}{self.one((letter, ''))}{bottom}")

    def level(self) -> str:
        """A cell of one vertebra, a list, a range or nonsense, near the thoracolumbar junction."""
        if self.chance(0.05):
            return self.one(NO_LEVELS)
        letter, number = self.one([("T", n) for n in range(8, 14)] + [("L", n) for n in range(1, 7)] * 2)
        if self.chance(0.12):
            return self.range(letter, number)
        if self.chance(0.12):
            mark = self.one((",", ", ", ";", "; ", "/", " / ", "+", " & ", " and "))
            following = self.one((f"{letter}{number + 1}", str(number + 1), f"L{self.rng.randint(1, 5)}"))
            third = self.one(("", "", f"{mark}S1", f"{mark}T12-L1", f"{mark}L1"))
            return self.spaced(f"{letter}{number}{mark}{following}{third}")
        return self.one(("S1", "s 1")) if self.chance(0.04) else self.vertebra(letter, number)


def _patients(hand: Hand, patient_ids: list[str], deaths: dict[str, date]) -> list[Row]:
    styles = {name: hand.one(DATE_STYLES) for name in ("birth_date", "enrolled_on", "follow_up_end", "death_date")}
    styles["follow_up_end"] = hand.one(("iso", "iso", "iso", styles["follow_up_end"]))  # else nobody is left
    rows = []
    for patient_id in patient_ids:
        end = deaths.get(patient_id, FIRST_DAY + timedelta(days=hand.rng.randint(600, 1200)))
        born, enrolled = hand.day().replace(year=hand.rng.randint(1930, 1960), day=hand.rng.randint(1, 28)), hand.day()
        died = deaths.get(patient_id)
        row = {
            "patient_id": patient_id,
            "birth_date": hand.date(born, styles["birth_date"], wrong=0.01) if hand.chance(0.3) else "",
            "n_thoracic": hand.one(("", "", "12", "12", "11", "13")),
            "n_lumbar": hand.one(("", "", "5", "5", "4", "6")),
            "t_score": hand.one(("", "-2.5", "low", "40")),
            "enrolled_on": hand.date(enrolled, styles["enrolled_on"], wrong=0.01) if hand.chance(0.2) else "",
            "follow_up_end": hand.date(end, styles["follow_up_end"]) if hand.chance(0.97) else "",
            "death_date": hand.date(died, styles["death_date"], rough=0.3) if died else "",
        }
        if hand.chance(0.06):
            row[hand.one(("n_thoracic", "n_lumbar"))] = hand.one(ODD_COUNTS)
        rows.append(row)
        if hand.chance(0.06):
            rows.append(dict(row))
        if hand.chance(0.06):
            rows.append({**row, "follow_up_end": hand.date(hand.day(), "iso"), "n_lumbar": hand.one(("4", "5", "6"))})
    return rows


def _events(hand: Hand, table: str, patient_ids: list[str], deaths: dict[str, date]) -> list[Row]:
    key = {"augmentations": "augmentation_id", "fractures": "fracture_id"}[table]
    precisions = ("",) * 12 + ("day", "month", "year", "about", "before_index")
    style, clear_style = hand.one(DATE_STYLES), hand.one(DATE_STYLES)
    with_ids, with_precision = hand.chance(0.6), hand.chance(0.6)
    rows: list[Row] = []
    for n in range(hand.rng.randint(25, 40)):
        patient_id = hand.one(patient_ids) if hand.chance(0.95) else hand.one(("", "P99", "nobody"))
        day = hand.day()
        if patient_id in deaths and hand.chance(0.6):
            day = deaths[patient_id] + timedelta(days=hand.rng.choice((-40, -12, -1, 0, 0, 1, 5, 30, 200)))
        row = {
            "patient_id": hand.one((patient_id, patient_id, f" {patient_id}")),
            "date": hand.date(day, style) if hand.chance(0.97) else "",
            "level": hand.level(),
        }
        if with_ids:
            row[key] = hand.one((f"{key[0]}{n}", f"{key[0]}{n}", f"{key[0]}{hand.rng.randint(0, n)}", ""))
            if hand.chance(0.04):
                row[key] += hand.one((":T12", ":L1", ":L2"))
        if with_precision:
            row["date_precision"] = hand.one(precisions)
            if row["date_precision"] == "before_index":
                row["date"] = hand.one(("", "", "long ago", "2018-05-05"))
        if table == "fractures":
            clear = day - timedelta(days=hand.rng.choice((-30, -1, 0, 1, 1, 2, 9, 20, 100, 300)))
            row["last_clear_date"] = hand.date(clear, clear_style, rough=0.25) if hand.chance(0.4) else ""
            row["kind"] = hand.one(("", "", "new", "old", "perhaps"))
        rows.append(row)
        if hand.chance(0.06):
            rows.append(dict(hand.one(rows)))
        if hand.chance(0.03):
            again = dict(hand.one(rows))
            rows.append({**again, "level": again["level"].swapcase()})
    return rows


def random_raw(seed: int) -> dict[str, list[Row]]:
    """Written tables of about 12 patients; the same seed gives the same tables."""
    hand = Hand(seed)
    patient_ids = [*(f"P{n}" for n in range(1, hand.rng.randint(9, 13))), "7", "007"]
    deaths = {patient_id: hand.day() for patient_id in patient_ids if hand.chance(0.45)}
    return {
        "patients": _patients(hand, patient_ids, deaths),
        "augmentations": _events(hand, "augmentations", patient_ids, deaths),
        "fractures": _events(hand, "fractures", patient_ids, deaths),
    }
