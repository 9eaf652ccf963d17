"""From a recipe to raw tables: every set of rows is laid over its patients at once, in order and without chance."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from cohort.domain.clock import IntArray
from cohort.domain.errors import DefinitionError
from cohort.literature.reconstruct_recipes import Item, Numbers, Recipe

INDEX_DATE: Final = np.datetime64("2000-01-01")
HEIGHT_AFTER_MM: Final = 20.0  # on the first film after treatment, where a recipe speaks of height lost
_FOLLOW_UP: Final = {
    "printed": "the printed window",
    "mean": "the printed mean (or median) follow-up",
    "minimum": "the printed minimum",
    "maximum": "the end of the printed period",
    "none": "since no window is printed",
}


@dataclass(frozen=True)
class Laid:
    """The rows of one item: the patient of each (place in the registry), its level and its day after treatment."""

    patient: IntArray
    level: np.ndarray
    day: IntArray

    def __len__(self) -> int:
        return len(self.patient)


@dataclass
class _Arms:
    """Patients in order: where each arm begins, how many it has, how long it is followed."""

    start: dict[str, int] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)
    follow: dict[str, int] = field(default_factory=dict)

    @property
    def names(self) -> np.ndarray:
        return np.repeat(np.array(list(self.size), dtype=object), list(self.size.values()))

    @property
    def ids(self) -> np.ndarray:
        width = len(str(max(self.size.values())))
        texts = [f"{arm}-{k:0{width}d}" for arm, n in self.size.items() for k in range(1, n + 1)]
        return np.array(texts, dtype=object)

    @property
    def follow_up(self) -> IntArray:
        return np.repeat(np.array(list(self.follow.values()), dtype=np.int64), list(self.size.values()))


def build(recipe: Recipe) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """The raw tables of a recipe, every cell text and "" where empty, and what was assumed to fill them.

    Tables without rows are left out, except the three that a registry must have.
    """
    arms = _arms(recipe)
    ids = arms.ids
    patients = _patients(recipe, arms)
    rows: dict[str, list[pd.DataFrame]] = {
        name: [] for name in ("augmentations", "fractures", "imaging", "medications")
    }
    laid: list[tuple[Item, Laid]] = []
    for item, numbers in _with_numbers(recipe, arms):
        place = lay(item, numbers, arms.start[item.arm], arms.size[item.arm])
        laid.append((item, place))
        at = {"patient_id": ids[place.patient], "date": dates(place.day), "level": place.level}
        match item.kind:
            case "treated":
                rows["augmentations"].append(_frame(at, item.values))
            case "fracture":
                rows["fractures"].append(_frame(at, item.values))
            case "film":
                rows["imaging"].append(_frame(at, _film_values(item.values, numbers)))
            case "medication":
                rows["medications"].append(_frame({"patient_id": at["patient_id"], "start": at["date"]}, item.values))
            case "patient":
                for name, value in item.values.items():
                    patients.loc[place.patient, name] = value
            case "lost":
                patients.loc[place.patient, "follow_up_end"] = at["date"]
            case "death":
                patients.loc[place.patient, "death_date"] = at["date"]
    tables = {"patients": patients.fillna("")}
    for name, parts in rows.items():
        if parts:
            tables[name] = pd.concat(parts, ignore_index=True).fillna("")
        elif name == "fractures":
            tables[name] = pd.DataFrame(columns=["patient_id", "date", "level"], dtype=object)
    for item, place in laid:
        if item.kind == "finding":
            _find(tables["augmentations"], ids[place.patient], place.level, item.values)
    return tables, tuple(dict.fromkeys(_assumed(recipe, arms, laid)))


def lay(item: Item, numbers: Numbers, start: int, size: int) -> Laid:
    """Lay the rows of an item over an arm that begins at patient `start` and has `size` patients.

    Raises DefinitionError where the patients or levels do not suffice.
    """
    n = numbers.count(item.items)
    over = numbers.count(item.over) if item.over else n
    first = numbers.count(item.first) if item.first else 0
    turn = numbers.count(item.turn) if item.turn else 0
    needed = max(len(item.levels), 1)
    if n < 0 or first < 0 or first + over > size or n > over * needed:
        raise DefinitionError(
            f"{n} rows of {item.kind} cannot be laid over {over} patients from number {first + 1} of the {size} of "
            f"arm {item.arm!r} at {needed} levels; correct the recipe."
        )
    i = np.arange(n, dtype=np.int64)
    patient = start + first + (turn + i) % max(over, 1)
    levels = np.array(item.levels or ("",), dtype=object)
    return Laid(patient, levels[i // max(over, 1)], days(item.days, n, numbers, kind=item.kind))


def days(text: str, n: int, numbers: Numbers, *, kind: str = "fracture") -> IntArray:
    """The days of n rows after treatment, in order.

    text : "at D"; "within A B" (evenly over (A, B], the last on B); "from A to B" (evenly, first and last included);
    "mean M" (evenly about M, within half of it on either side and within follow-up); "mean M from A to B" (one on A,
    one on B, the rest together). Empty: treatments and drugs on day 0, anything else evenly within follow-up. The mean
    is M exactly.

    >>> few = Numbers({"follow": 100.0})
    >>> days("within 0 90", 3, few).tolist(), days("mean 68", 5, few).tolist()
    ([30, 60, 90], [36, 52, 68, 84, 100])
    >>> days("mean 84 from 7 to 294", 6, few).tolist()
    [7, 50, 51, 51, 51, 294]
    """
    if not text:
        text = "at 0" if kind in ("treated", "finding", "patient", "medication") else "within 0 follow"
    i = np.arange(n, dtype=np.int64)
    if said := re.fullmatch(r"at (.+)", text):
        at = -1 if said[1] == "-1" else numbers.count(said[1])
        return np.full(n, at, dtype=np.int64)
    if said := re.fullmatch(r"within (\S+) (\S+)", text):
        low, high = numbers.count(said[1]), numbers.count(said[2])
        return low - (-(i + 1) * (high - low) // max(n, 1))
    if said := re.fullmatch(r"from (\S+) to (\S+)", text):
        low, high = numbers.count(said[1]), numbers.count(said[2])
        return low + i * (high - low) // max(n - 1, 1)
    if said := re.fullmatch(r"mean (\S+)", text):
        mean = numbers.count(said[1])
        reach = min(mean // 2, numbers.count("follow") - mean)
        above = np.rint(np.linspace(reach, 0, n // 2, endpoint=False)).astype(np.int64)
        return mean + np.concatenate([-above, np.zeros(n % 2, dtype=np.int64), above[::-1]])
    if said := re.fullmatch(r"mean (\S+) from (\S+) to (\S+)", text):
        mean, low, high = (numbers.count(word) for word in said.groups())
        each, over = divmod(mean * n - low - high, n - 2)
        return np.array([low, *[each] * (n - 2 - over), *[each + 1] * over, high], dtype=np.int64)
    raise DefinitionError(f"The recipe gives days as {text!r}, which is no way of laying them.")


def dates(day: IntArray) -> np.ndarray:
    """Days after treatment as ISO dates.

    >>> dates(np.array([0, 31])).tolist()
    ['2000-01-01', '2000-02-01']
    """
    return np.datetime_as_string(INDEX_DATE + day.astype("timedelta64[D]"), unit="D").astype(object)


def _arms(recipe: Recipe) -> _Arms:
    arms, begun = _Arms(), 0
    for item in recipe.items:
        if item.kind == "patients":
            arms.start[item.arm], arms.size[item.arm] = begun, recipe.numbers.count(item.items)
            arms.follow[item.arm] = recipe.numbers.count(item.days)
            begun += arms.size[item.arm]
    return arms


def _with_numbers(recipe: Recipe, arms: _Arms) -> Iterator[tuple[Item, Numbers]]:
    """The items that lay rows, each with the study's numbers and the follow-up of its arm."""
    for item in recipe.items:
        if item.kind != "patients":
            yield item, recipe.numbers.also(follow=arms.follow[item.arm])


def _patients(recipe: Recipe, arms: _Arms) -> pd.DataFrame:
    frame = pd.DataFrame({"patient_id": arms.ids, "follow_up_end": dates(arms.follow_up)})
    if recipe.settings["arm_timing"]:
        frame["arm"] = arms.names
    kinds = {item.kind for item in recipe.items}
    if "death" in kinds:
        frame["death_date"] = ""
    for item in recipe.items:
        if item.kind == "patients":
            for name, value in item.values.items():
                frame.loc[arms.names == item.arm, name] = value
    return frame


def _frame(columns: Mapping[str, np.ndarray], values: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(dict(columns)).assign(**values)


def _film_values(values: Mapping[str, str], numbers: Numbers) -> dict[str, str]:
    """`loss`, a per cent of the height after treatment, as the height that is left."""
    found = dict(values)
    if "loss" in found:
        left = HEIGHT_AFTER_MM * (1 - numbers.value(found.pop("loss")) / 100)
        found["anterior_mm"] = f"{left:.10g}"
    return found


def _find(augmentations: pd.DataFrame, patient: np.ndarray, level: np.ndarray, values: Mapping[str, str]) -> None:
    """Write findings into the rows of these vertebrae; leaks of one vertebra make a set."""
    keys = pd.MultiIndex.from_arrays([augmentations["patient_id"], augmentations["level"]])
    first = ~keys.duplicated()
    at = np.flatnonzero(first)[keys[first].get_indexer(pd.MultiIndex.from_arrays([patient, level]))]
    for name, value in values.items():
        if name not in augmentations:
            augmentations[name] = ""
        column = augmentations[name].to_numpy(dtype=object).copy()
        if name == "leak":
            before = column[at]
            column[at] = np.where(np.isin(before, ("", "none")), value, before + (";" + value))
        else:
            column[at] = value
        augmentations[name] = column


def _assumed(recipe: Recipe, arms: _Arms, laid: list[tuple[Item, Laid]]) -> Iterator[str]:
    """Sentences on everything that the source does not print."""
    yield (
        "Age, sex and dates are not printed: age and sex are left empty, and everybody is first treated on "
        f"{INDEX_DATE}."
    )
    why = _FOLLOW_UP[recipe.settings["follow_up"]]
    for follow in dict.fromkeys(arms.follow.values()):
        yield f"Everybody is followed for {follow} days, {why}."
    for kind, what in (("treated", "treated"), ("fracture", "fractured")):
        level = [
            place.level[place.day == 0] if kind == "treated" else place.level
            for item, place in laid
            if item.kind == kind
        ]
        if level:
            counts = pd.Series(np.concatenate(level)).value_counts(sort=False)
            listed = ", ".join(f"{name} ({n})" for name, n in counts.items())
            yield f"Which vertebrae were {what} is not printed: {listed}."
    for item, _ in laid:
        if item.kind in ("fracture", "film") and not item.days.startswith("at"):
            yield _days_in_words(item)
    yield from _derived(recipe)
    yield from (text for text in recipe.settings["assumed"].split("|") if text)
    yield from (item.assumed for item in recipe.items if item.assumed)


def _days_in_words(item: Item) -> str:
    if item.days.startswith("mean"):
        return "The days of events are spread about the printed mean, which they keep exactly."
    if item.days.startswith("from"):
        return "The days of events are spread evenly from the first to the last day printed."
    return "The days of events are not printed: they are spread evenly over the time in which they were counted."


def _derived(recipe: Recipe) -> Iterator[str]:
    used = " ".join(text for item in recipe.items for text in (item.items, item.over, item.first, item.turn))
    for row in recipe.figures[recipe.figures["name"] != ""].to_dict("records"):
        name = row["name"]
        for short, what, of in (("nearest", "numerator", "of"), ("nearest_of", "denominator", "n")):
            if re.search(rf"\b{re.escape(name)}\.{short}\b", used):
                found, given = recipe.numbers.count(f"{name}.{short}"), recipe.numbers.count(f"{name}.{of}")
                yield (
                    f"The {what} of '{row['quantity']}' is not printed: {found} is taken, which with the printed "
                    f"{given} gives the printed per cent."
                )
