"""Drugs of the field: class and duration of action, kept as data in `drugs.csv`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd


@cache
def drug_list() -> pd.DataFrame:
    """One row per drug: drug, atc, drug_class, action_days (days one dose protects; missing = taken daily), names."""
    return pd.read_csv(Path(__file__).with_name("drugs.csv"))


@cache
def known_names() -> pd.DataFrame:
    """One row per written name or ATC code (lower case), with drug, drug_class and action_days; indexed by the name."""
    drugs = drug_list()
    names = drugs.assign(written=(drugs["names"] + ";" + drugs["atc"].str.lower()).str.split(";")).explode("written")
    return names.set_index("written")[["drug", "drug_class", "action_days"]]
