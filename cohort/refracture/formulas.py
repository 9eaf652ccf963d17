"""The formula, unit and source of every measure of a treated vertebra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cohort.refracture import leak_routes
from cohort.refracture.body import COLUMNS_OF_BODY


@dataclass(frozen=True)
class Formula:
    """One column of `measures`: its formula in words, its unit, and the source with how it was read."""

    column: str
    formula: str
    unit: str
    source: str


# fmt: off
def _formulas() -> tuple[Formula, ...]:
    """The columns of `measures` beyond its keys, in their order."""
    common = "common use [unconfirmed]"
    neighbours = "Hsu 2019 [abs]: the same column of the levels above and below; their mean: " + common
    restored = "McKiernan 2003 [abs], relative to lost height; AVHRR: PMC7427078 [abs], its formula " + common
    wall = ("wedge ratio: J Orthop Surg Res 2023, s13018-023-03758-w [src, table 1]; as Beck index: " + common,
            "Hc/Hp: three European centres, ndorms.ox.ac.uk/publications/125986 [abs]")
    wedge = "geometry of a symmetric body; wedge angle: JOSR 2022 [abs]"
    judged = "docs/definitions.md, section 5; change since the first post-operative film: Yu W 2017 [abs]"
    grading = "Genant 1993 [sec], as in Wang 2019, 10.21037/qims.2019.02.04 [src]"
    rows = []
    for name in COLUMNS_OF_BODY:
        mean = f"mean {name} height of the intact vertebrae directly above and below, on one film"
        rows += [
            (f"{name}_expected_mm", "anterior_mm_reference, as recorded" if name == "anterior" else mean, "mm",
             neighbours),
            (f"{name}_compression_before", "(expected - before) / expected", "fraction", neighbours),
            (f"{name}_compression_after", "(expected - after) / expected", "fraction", neighbours),
            (f"{name}_restoration_ratio", "(after - before) / (expected - before), where expected > before", "fraction",
             restored),
            (f"{name}_gain_mm", "after - before", "mm", "McKiernan 2003 [abs], absolute restoration"),
        ]
    for when in ("before", "after"):
        rows += [
            (f"anterior_posterior_ratio_{when}", f"anterior / posterior height {when} treatment", "ratio", wall[0]),
            (f"middle_posterior_ratio_{when}", f"middle / posterior height {when} treatment", "ratio", wall[1]),
        ]
    rows += [
        *((f"wedge_angle_deg_{when}", f"wedge_deg_{when} as carried, else 2 atan((posterior - anterior) / (2 depth)) "
           "with depth_mm as carried; positive is kyphotic", "degrees", wedge) for when in ("before", "after")),
        *((f"kyphosis_deg_{when}", "as recorded", "degrees", "docs/definitions.md, section 1; Cobb [sec]")
          for when in ("before", "after")),
        ("kyphosis_change_deg", "after - before; negative is corrected", "degrees", "reduction angle: Yu 2017 [abs]"),
        ("anterior_loss_last", "(first post-operative height - height) / first post-operative height, at the last film",
         "fraction", judged),
        ("anterior_loss_mm_last", "first post-operative height - height, at that film", "mm",
         judged + "; in mm: Yamada 2023 [abs]"),
        ("days_to_anterior_loss_last", "days from treatment to that film", "days", judged),
        ("anterior_loss_worst", "the greatest such loss on any film, as a fraction", "fraction", judged),
        ("anterior_loss_mm_worst", "the greatest such loss on any film", "mm", judged),
        ("kyphosis_change_last_deg", "kyphosis at the last film - first post-operative kyphosis", "degrees", judged),
        ("days_to_kyphosis_change_last", "days from treatment to that film", "days", judged),
        ("kyphosis_change_worst_deg", "the greatest such change on any film", "degrees", judged),
        ("days_to_last_film", "days from treatment to the last film of the level up to its next treatment", "days",
         judged),
        ("n_films", "days with a film of the level after treatment and up to its next one", "count", judged),
    ]
    for when, at in (("before", "before treatment"), ("last", "at the last film that tells it")):
        rows += [
            (f"genant_grade_{when}", f"of the greatest loss of a column, {at}: 0 below 20 %, 1 to 25 %, 2 to 40 %, "
             "3 above 40 %", "grade", grading),
            (f"genant_shape_{when}", f"of the column that has lost most, {at}: anterior wedge, middle biconcave, "
             "posterior crush; none for grade 0", "shape", grading),
        ]
    rows += [
        ("days_to_genant_last", "days from treatment to that film", "days", grading),
        *leak_routes.FORMULAS,
        ("thoracolumbar", "level within the junction, T11-L2 unless said otherwise, in the patient's own spine",
         "yes/no", "T10-L2 in sarcop2022, T12-L1 in Lin 2007 [abs]"),
    ]
    return tuple(Formula(*row) for row in rows)
# fmt: on


FORMULAS: Final = _formulas()
