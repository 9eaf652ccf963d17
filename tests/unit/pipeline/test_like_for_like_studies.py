"""A published study counted as it counted is itself: its reconstruction returns its own figures."""

import numpy as np
import pandas as pd
import pytest

from cohort.literature import facts, reconstruct, reconstructed_studies
from cohort.pipeline.like_for_like import like_for_like
from cohort.pipeline.reproduce import registry_of

# What a reconstruction does not return, and why. Everything else it returns.
EXCEPTIONS = {
    (
        "nomo403_2021",
        "new VCF within 2 years, training cohort",
    ): "drawn by chance; no registry records it",
    ("nomo403_2021", "new VCF within 2 years, validation cohort"): "drawn by chance; no registry records it",
    ("komemushi2006", "new fracture after PVP"): "counts those followed four weeks or more, and names no window",
    ("bmc2016_adjcollapse", "adjacent collapse within first month"): "leaves out by selection who broke later",
}


@pytest.fixture(scope="module")
def own_figures():
    """Every reconstruction, written, read, classified and counted for the figures of its study."""
    known, parts = facts(), []
    for study in reconstructed_studies():
        made = reconstruct(study)
        keys = set(zip(made.figures["study_key"], made.figures["quantity"], strict=True))
        mine = known[[key in keys for key in zip(known["study_key"], known["quantity"], strict=True)]]
        if len(mine):
            parts.append(like_for_like(registry_of(made), mine).figures.frame)
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def returned(own_figures):
    """Of each figure: exact (share and printed counts), rounded (the share prints as printed), or neither."""
    exact = np.isclose(own_figures["ratio"], 1, rtol=1e-9)
    for name, count in (("numerator", "n_events"), ("denominator", "n")):
        exact &= own_figures[name].isna() | own_figures[name].eq(own_figures[count])
    decimals = [len(text.partition(".")[2]) for text in own_figures["percent"].map("{:.10g}".format)]
    half = 0.5 * 10.0 ** -np.array(decimals, dtype=np.float64) + 1e-9
    unprinted = own_figures["numerator"].isna() | own_figures["denominator"].isna()
    rounded = ~exact & unprinted & ((100 * own_figures["estimate"] - own_figures["percent"]).abs() <= half)
    return pd.Series(np.select([exact, rounded], ["exact", "rounded"], "no"), own_figures.index)


def test_a_reconstructed_study_returns_its_own_figures_but_for_those_named(own_figures, returned):
    keys = pd.Series(list(zip(own_figures["study_key"], own_figures["quantity"], strict=True)))
    assert set(keys[returned == "no"]) == set(EXCEPTIONS)
    assert returned.value_counts().to_dict() == {"exact": 61, "rounded": 10, "no": 4}


def test_figures_of_every_unit_are_returned(own_figures, returned):
    units = own_figures.loc[returned != "no", "unit"].unique()
    assert set(units) == {"patient", "treated_vertebra", "adjacent_vertebra", "untreated_vertebra", "new_fracture"}


def test_what_is_not_returned_says_in_its_row_what_still_differs(own_figures, returned):
    told = own_figures[returned == "no"].set_index("study_key")["differs"]
    assert told.loc["nomo403_2021"].str.contains("does not record it: cohort").all()
    assert "The study counts only those followed" in told.loc["komemushi2006"]
    assert "The study counts a selection" in told.loc["bmc2016_adjcollapse"]
