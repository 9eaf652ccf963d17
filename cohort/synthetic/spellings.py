"""How hospitals write tables down: their own headers, words, levels, dates and decimal marks, as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd

from cohort.domain.clock import IntArray
from cohort.domain.spine import CERVICAL, CODE, FIRST_LUMBAR_CODE, SACRUM_CODE, position
from cohort.synthetic.people import SITES
from cohort.tables.schema import CANONICAL

_ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII")
_ENGLISH_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Layout:
    """How one table is exported.

    rename : written header = canonical column; columns that are not named keep their canonical name.
    recode : canonical column: written word = canonical word. dates : canonical column = style (a key of DATE_STYLES).
    order : canonical column = the order of day and month that study.toml declares.
    """

    table: str
    file: str
    sheet: str | None = None
    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."
    rename: Mapping[str, str] = field(default_factory=dict)
    recode: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    dates: Mapping[str, str] = field(default_factory=dict)
    order: Mapping[str, str] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()

    def written(self, column: str) -> str:
        """The header under which a canonical column is written."""
        return next((header for header, name in self.rename.items() if name == column), column)


LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "patients", "patients.csv", encoding="latin-1", delimiter=";", decimal=",",
        rename={"PatNr": "patient_id", "Geschlecht": "sex", "Geburtsdatum": "birth_date", "Alter": "age_at_index",
                "T-Score": "t_score", "Steroide": "corticosteroids", "Vorfrakturen": "prior_fractures",
                "BWK": "n_thoracic", "LWK": "n_lumbar", "Klinik": "site", "Einschluss": "enrolled_on",
                "Beobachtet bis": "follow_up_end", "Verstorben am": "death_date",
                "Vitalstatus bis": "vital_status_end"},
        recode={"sex": {"1": "male", "2": "female"}},
        dates=dict.fromkeys(("birth_date", "enrolled_on", "follow_up_end", "death_date", "vital_status_end"), "dotted"),
        leave_out=("incomplete",),
    ),
    Layout(
        "augmentations", "procedures.csv",
        rename={"proc_id": "augmentation_id", "pat": "patient_id", "op_date": "date", "levels": "level",
                "method": "technique", "ml": "volume_ml", "reason": "indication", "surgeon": "operator",
                "cleft": "cleft_before", "leakage": "leak", "ant_pre": "anterior_mm_before",
                "ant_post": "anterior_mm_after", "ant_ref": "anterior_mm_reference",
                "vas_pre": "pain_before", "vas_post": "pain_after"},
        recode={"indication": {"osteoporotic fx": "fracture", "met": "tumour"}},
        dates={"date": "iso"},
    ),
    Layout(
        "fractures", "fractures.csv", encoding="utf-8-sig",
        rename={"finding": "fracture_id", "patient": "patient_id", "found": "date", "vertebra": "level",
                "painful": "symptomatic", "injury": "trauma", "seen_on": "modality", "last_clear": "last_clear_date",
                "judgement": "kind"},
        recode={"kind": {"fresh": "new", "progressive": "progression", "chronic": "old"}},
        dates={"date": "month_first", "last_clear_date": "iso"},
        order={"date": "mdy"},
    ),
    Layout(
        "imaging", "followup.xlsx", sheet="films",
        rename={"patient": "patient_id", "film_date": "date", "vertebra": "level", "anterior": "anterior_mm",
                "middle": "middle_mm", "posterior": "posterior_mm", "cobb": "kyphosis_deg"},
        dates={"date": "iso"},
    ),
    Layout("imaging_studies", "imaging_studies.csv", dates={"date": "iso"}),
    Layout(
        "assessments", "followup.xlsx", sheet="visits",
        rename={"patient": "patient_id", "visit": "date", "vas": "pain"},
        dates={"date": "iso"},
    ),
    Layout(
        "medications", "medications.csv", delimiter="\t",
        rename={"pid": "patient_id", "agent": "drug", "from": "start", "until": "stop", "class": "drug_class"},
        dates={"start": "day_first", "stop": "named"},
        order={"start": "dmy"},
    ),
    Layout("excluded_levels", "excluded_levels.csv", dates={"from": "iso", "to": "iso"}),
)  # fmt: skip
LAYOUT = {layout.table: layout for layout in LAYOUTS}

DATE_STYLES: dict[str, Callable[[int, int, int], str]] = {
    "iso": lambda y, m, d: f"{y:04d}-{m:02d}-{d:02d}",
    "dotted": lambda y, m, d: f"{d:02d}.{m:02d}.{y:04d}",
    "month_first": lambda y, m, d: f"{m:02d}/{d:02d}/{y:04d}",
    "day_first": lambda y, m, d: f"{d:02d}/{m:02d}/{y:04d}",
    "named": lambda y, m, d: f"{d} {_ENGLISH_MONTHS[m - 1]} {y:04d}",
}
_STATES = (
    {"yes": "Y", "no": "N", "not_assessable": "not assessable", "": "unk"},
    {"yes": "yes", "no": "no", "not_assessable": "not_assessable", "": ""},
    {"yes": "1", "no": "0", "not_assessable": "unclear", "": "unk"},
    {"yes": "y", "no": "n", "not_assessable": "not evaluable", "": "?"},
)
_BRANDS = {
    "alendronate": ("Alendronate", "Fosamax", "M05BA04", "alendronic acid"),
    "risedronate": ("risedronate", "Actonel", "M05BA07"),
    "raloxifene": ("Raloxifene", "EVISTA"),
    "teriparatide": ("teriparatide", "Forsteo", "H05AA02"),
    "zoledronate": ("Zoledronic acid", "Aclasta", "M05BA08"),
    "denosumab": ("denosumab", "Prolia", "M05BX04"),
    "calcium": ("calcium", "Calcium carbonate"),
    "cholecalciferol": ("vitamin D3", "cholecalciferol"),
}
_TECHNIQUES = {"vertebroplasty": ("PVP", "vertebroplasty", "VP"), "kyphoplasty": ("BKP", "kyphoplasty", "PKP")}
_WORDS = {
    "mri": ("MRI", "MR"),
    "radiograph": ("X-ray", "radiograph"),
    "pmma": ("PMMA", "pmma"),
    "bioactive": ("Cortoss",),
}


def written_tables(tables: Mapping[str, pd.DataFrame], rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Every table as text under its written headers; vertebrae share a line where nothing else differs."""
    patients = tables["patients"].set_index("patient_id")
    site = patients["site"].map({name: place for place, name in enumerate(SITES)})
    return {layout.table: _written(tables[layout.table], layout, patients, site, rng) for layout in LAYOUTS}


def _written(
    frame: pd.DataFrame, layout: Layout, patients: pd.DataFrame, site: pd.Series, rng: np.random.Generator
) -> pd.DataFrame:
    table = CANONICAL[layout.table]
    style = site.loc[frame["patient_id"]].to_numpy(dtype=np.int64) % len(_STATES)
    text: dict[str, np.ndarray] = {}
    for column in table:
        if column.name in layout.leave_out:
            continue
        values = frame[column.name]
        if column.kind == "date":
            precision = frame["date_precision"] if column.name == "date" and "date_precision" in frame else None
            text[column.name] = dates_as_text(values, layout.dates[column.name], precision)
        elif column.kind in ("number", "integer"):
            text[column.name] = numbers_as_text(values, layout.decimal)
        elif column.kind in ("yes_no", "finding"):
            text[column.name] = _states_as_text(values, style)
        else:
            text[column.name] = values.astype("object").where(values.notna(), "").to_numpy(dtype=object)
    raw = pd.DataFrame(text)
    if "level" in raw:
        raw["level"] = [f"{CODE[label]:02d}" for label in raw["level"]]
        if layout.table in ("augmentations", "fractures"):
            raw = _one_line(raw, table.key or "")
        spine = patients.loc[raw["patient_id"], ["n_thoracic", "n_lumbar"]].fillna({"n_thoracic": 12, "n_lumbar": 5})
        raw["level"] = [
            levels_as_text([int(code) for code in cell.split()], int(nt), int(nl), rng)
            for cell, nt, nl in zip(raw["level"], spine["n_thoracic"], spine["n_lumbar"], strict=True)
        ]
    _use_own_words(layout.table, raw, rng)
    for name in ("first_level", "last_level"):
        if name in raw:
            raw[name] = [level_as_text(CODE[label], rng) for label in raw[name]]
    return raw.rename(columns={name: layout.written(name) for name in raw.columns})


def _one_line(raw: pd.DataFrame, key: str) -> pd.DataFrame:
    """Lines of one patient and day that differ only in the vertebra become one line, under the first id."""
    same = [name for name in raw.columns if name not in (key, "level")]
    groups = raw.groupby(same, sort=False, dropna=False)
    first = raw.index.to_series().groupby([raw[name] for name in same], sort=False).transform("first")
    level = groups["level"].agg(" ".join)
    joined = raw.loc[raw.index == first].copy()
    joined["level"] = level.to_numpy()
    return joined.reset_index(drop=True)


def dates_as_text(values: pd.Series, style: str, precision: pd.Series | None = None) -> np.ndarray:
    """Dates in one style; those known to the month read 2013-05 (or 05/2013), to the year 2013; missing is empty.

    >>> dates_as_text(pd.Series(pd.to_datetime(["2013-05-09", None])), "dotted").tolist()
    ['09.05.2013', '']
    """
    known = values.notna().to_numpy()
    year, month, day = (getattr(values.dt, part).fillna(1).astype(int).to_numpy() for part in ("year", "month", "day"))
    render = DATE_STYLES[style]
    text = np.array([render(y, m, d) for y, m, d in zip(year, month, day, strict=True)], dtype=object)
    if precision is not None:
        by_month = [
            f"{y:04d}-{m:02d}" if style == "iso" else f"{m:02d}/{y:04d}" for y, m in zip(year, month, strict=True)
        ]
        text = np.where(precision.eq("month").to_numpy(), np.array(by_month, dtype=object), text)
        text = np.where(precision.eq("year").to_numpy(), year.astype(str).astype(object), text)
    return np.where(known, text, "")


def numbers_as_text(values: pd.Series, decimal: str) -> np.ndarray:
    """Numbers without needless zeros and with the decimal mark; missing is empty.

    >>> numbers_as_text(pd.Series([-2.5, 3.0, None]), ",").tolist()
    ['-2,5', '3', '']
    """
    text = ["" if np.isnan(value) else f"{value:.6g}".replace(".", decimal) for value in values.to_numpy(dtype=float)]
    return np.array(text, dtype=object)


def _states_as_text(values: pd.Series, style: IntArray) -> np.ndarray:
    state = values.astype("object").where(values.notna(), "").to_numpy(dtype=object)
    return np.array([_STATES[k][word] for k, word in zip(style, state, strict=True)], dtype=object)


def _use_own_words(table: str, raw: pd.DataFrame, rng: np.random.Generator) -> None:
    """Brand names, abbreviations and local codes, chosen line by line."""

    def vary(name: str, words: Mapping[str, tuple[str, ...]]) -> None:
        pick = rng.random(len(raw))
        raw[name] = [
            words[cell][int(share * len(words[cell]))] if cell in words else cell
            for cell, share in zip(raw[name], pick, strict=True)
        ]

    match table:
        case "patients":
            vary("sex", {"female": ("F", "w", "female", "2"), "male": ("M", "m", "male", "1")})
        case "augmentations":
            vary("technique", _TECHNIQUES)
            vary("cement", _WORDS)
            vary(
                "indication",
                {"fracture": ("fracture", "VCF", "osteoporotic fx"), "tumour": ("tumor", "met", "myeloma")},
            )
            vary("cleft_modality", _WORDS)
        case "fractures":
            vary(
                "kind",
                {"new": ("new", "fresh"), "progression": ("progression", "progressive"), "old": ("old", "chronic")},
            )
            vary("modality", _WORDS)
        case "medications":
            vary("drug", _BRANDS)


def level_as_text(code: int, rng: np.random.Generator) -> str:
    """One vertebra in one of the ways it is written.

    >>> [level_as_text(CODE["L4"], np.random.default_rng(seed)) for seed in range(4)]
    ['L 4', 'L4', 'L4', 'L4']
    """
    if code == SACRUM_CODE:
        return "S1"
    if code < CERVICAL:
        return f"C{code + 1}"
    thoracic = code < FIRST_LUMBAR_CODE
    number = code - (CERVICAL if thoracic else FIRST_LUMBAR_CODE) + 1
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number, "th")
    if thoracic:
        forms = [f"T{number}", f"Th{number}", f"T {number}", f"t{number}", f"D{number}", f"Th {number}",
                 f"T{_ROMAN[number]}", f"T{number:02d}", f"thoracic {number}",
                 f"{number}{suffix} thoracic"]  # fmt: skip
    else:
        forms = [f"L{number}", f"L {number}", f"L-{number}", f"l{number}", f"L{number:02d}", f"lumbar {number}",
                 f"{number}{suffix} lumbar", f"lumbar vertebra {number}"]  # fmt: skip
    usual = 0.62
    share = (1 - usual) / (len(forms) - 1)
    return str(rng.choice(forms, p=[usual] + [share] * (len(forms) - 1)))


def levels_as_text(codes: list[int], n_thoracic: int, n_lumbar: int, rng: np.random.Generator) -> str:
    """A cell of vertebrae: a range where they follow one another in the patient's own spine, else a list.

    >>> levels_as_text([CODE["T11"], CODE["T12"], CODE["L2"]], 12, 5, np.random.default_rng(1))
    'T11 and T12 and L2'
    """
    if len(codes) == 1:
        return level_as_text(codes[0], rng)
    codes = sorted(set(codes))
    labels = [label for label, code in CODE.items() if code in codes]
    places = position(np.array(codes), np.full(len(codes), n_thoracic), np.full(len(codes), n_lumbar))
    roll = rng.random()
    if (np.diff(places) == 1).all() and roll < 0.7:
        link = (" - ", "-", "–", " to ")[int(rng.integers(0, 4))]
        return f"{labels[0]}{link}{labels[-1]}"
    if roll < 0.85:
        link = ("+", " & ", ", ", " and ")[int(rng.integers(0, 4))]
        return link.join(labels)
    short = [labels[0]] + [label[1:] if label[0] == earlier[0] else label for earlier, label in pairwise(labels)]
    return ",".join(short)
