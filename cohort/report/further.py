"""Beyond the first event: where patients stand, how many refractures to expect, and whether the ratios hold."""

from __future__ import annotations

import pandas as pd

from cohort.present.figures import recurrence, shape, states
from cohort.present.tables import further, ratios
from cohort.report.blocks import Block, Paragraph, Section
from cohort.report.page import Page, figure_of, tables_of

KEY, TITLE = "beyond-first", "Beyond the first event"


def section(page: Page) -> Section:
    """The section: courses and counts first, then the ratios asked in other ways."""
    blocks = [*_courses(page), *_counts(page), *_ratios(page)]
    if not blocks:
        return Section(KEY, TITLE, [Paragraph("There are too few patients to follow beyond the first event.")])
    opening = Paragraph(
        "Incidence and the hazard ratios before ask for the first refracture of a kind, or for one hazard over all "
        "follow-up. Patients go on: they are treated again, fracture again, and die. These figures take every event."
    )
    return Section(KEY, TITLE, [opening, *blocks])


def _courses(page: Page) -> list[Block]:
    found, rule = page.results.further, page.rule
    shares = found.state_curves.frame
    blocks: list[Block] = []
    if len(shares):
        n = float(shares["n_patients"].max())
        blocks += figure_of(
            "figure-states",
            "Where patients stand, month by month",
            f"n = {rule.text(n)} patients; each layer is the share whose last event was of that kind; no band, since a "
            "stack has none. Unlike incidence, a layer shrinks when patients move on to another."
            + _late(found.in_states, n)
            + states.cut_note(shares, rule),
            states.draw(shares, found.in_states, rule),
            states.alt(shares, rule),
            "Nobody moved between states, or too few to draw.",
        )
    return [
        *blocks,
        *tables_of(further.states(found.states.frame, rule), further.transitions(found.transitions.frame, rule)),
    ]


def _counts(page: Page) -> list[Block]:
    found, rule = page.results.further, page.rule
    curves = found.count_curves.frame
    blocks: list[Block] = []
    if len(curves):
        n = float(curves["n_patients"].max())
        blocks += figure_of(
            "figure-counts",
            "How many refractures to expect",
            f"n = {rule.text(n)} patients; mean number of refracture episodes per 100 patients treated (Ghosh-Lin), "
            f"repeats included, the dead staying in the mean; band: {page.level}."
            + _late(found.followed, n)
            + recurrence.cut(curves),
            recurrence.draw(curves, found.followed, rule),
            recurrence.alt(curves, rule),
            "No refracture was counted, or too few to draw, in the two years after the first augmentation.",
        )
    return [
        *blocks,
        *tables_of(further.mean_counts(found.counts.frame, rule), further.days_lost(found.lost.frame, rule)),
    ]


def _late(followed: pd.DataFrame, n: float) -> str:
    """A sentence where not all were followed from the first day."""
    return " Some entered after day 0. " if followed.loc[followed["time"] == 0, "n_risk"].sum() < n else " "


def _ratios(page: Page) -> list[Block]:
    found, rule = page.results.further, page.rule
    frame, clocks = found.by_interval.frame, found.recurrent.settings
    blocks = tables_of(
        ratios.recurrent(found.recurrent.frame, clocks.get("reads", {}), str(clocks.get("death", "")), rule),
        ratios.within(found.within.frame, found.within.settings, rule),
    )
    if len(frame):
        concealed = bool(ratios.ratios_by_interval(frame, rule)["concealed"].any())
        blocks += figure_of(
            "figure-intervals",
            "Hazard ratios by time since treatment",
            f"Adjusted cause-specific hazard ratios on vertebrae at risk; line: {page.level}, with an arrow where it "
            "runs off the axis. Where the marks of an exposure stand at one place, its ratio holds. Events of each are "
            "in the table." + (" Ratios of too few events are not drawn." if concealed else ""),
            shape.draw(frame, rule),
            shape.alt(frame, rule),
            "No hazard ratio by time since treatment can be shown: there are too few events.",
        )
    return [
        *blocks,
        *tables_of(
            ratios.by_interval(frame, found.proportionality.frame, rule),
            ratios.onset(found.onset.frame, found.onset.settings, rule),
        ),
    ]
