"""The page in the order of a study: which words, tables and figures stand in each section."""

from __future__ import annotations

import math

import pandas as pd

from cohort.present import numbers, theme
from cohort.present.figures import flow, gap, incidence, literature, mechanisms, sensitivity, spine
from cohort.present.figures import published_ratios as ratio_figure
from cohort.present.tables import alike, beyond, occurrence, people, published, published_ratios, record, risk
from cohort.present.tables.model import records
from cohort.report import factors, further, methods, quality, reviewed
from cohort.report.blocks import (
    Block,
    Definitions,
    HeadlineNumber,
    Paragraph,
    Section,
)
from cohort.report.page import Page, figure_of, tables_of

HEADLINE_OUTCOMES = ("same", "adjacent", "remote", "deaths")
HEADLINE_LABELS = {
    "same": "same-level refracture",
    "adjacent": "adjacent refracture",
    "remote": "remote refracture",
    "deaths": "death before any refracture",
}


def sections(page: Page) -> list[Section]:
    """Every section after the first screen, in the order of a study."""
    return [
        _question(page),
        _flow(page),
        quality.section(page),
        _people(page),
        _incidence(page),
        _when(page),
        _where(page),
        _why(page),
        factors.section(page),
        further.section(page),
        _sensitivity(page),
        _literature(page),
        reviewed.section(page),
        _methods(page),
        _record(page),
    ]


def headline_numbers(page: Page) -> list[HeadlineNumber]:
    """The numbers of the first screen; a hidden or missing one says so in words."""
    frame, rule = page.results.headline, page.rule
    found = {str(r.key): r for r in records(frame)}
    out: list[HeadlineNumber] = []
    if "patients" in found:
        vertebrae = found.get("vertebrae")
        small = f"{rule.text(float(vertebrae.estimate))} vertebrae treated" if vertebrae is not None else ""
        out.append(HeadlineNumber("patients", rule.text(float(found["patients"].estimate)), "", "", "patients", small))
    for key in HEADLINE_OUTCOMES:
        r = found.get(key)
        if r is None:
            continue
        label = HEADLINE_LABELS[key]
        window = f"within {numbers.days(float(r.window_days))}" if not math.isnan(float(r.window_days)) else ""
        events = f"{rule.text(float(r.n_events))} of {rule.text(float(r.n))} patients"
        if bool(rule.small(r.n_events)):
            out.append(HeadlineNumber(key, f"<{rule.minimum}", "patients", "too few to show", label, window))
            continue
        value = float(r.estimate)
        if math.isnan(value):
            out.append(HeadlineNumber(key, numbers.MISSING, "", "not estimable", label, window))
            continue
        bounds = numbers.bounds(value, float(r.conf_low), float(r.conf_high), "percent")
        text = bounds or "no interval"
        out.append(HeadlineNumber(key, numbers.number(value, "percent"), "%", text, label, f"{window}; {events}"))
    return out


def first_figure(page: Page) -> list[Block]:
    """The spine, or why it is missing."""
    rates, rule = page.results.rates.frame, page.rule
    caption = (
        "Refractures per 1,000 vertebra-years by level and role. Bar: "
        f"{page.level}, cut to a point where it runs off the axis; tick: the rate; depth of colour: the rate "
        "within its "
        "role. Beside each level: events and vertebra-years at risk, over all follow-up."
    )
    return figure_of(
        "figure-spine",
        "Where vertebrae fracture again",
        caption + _hidden_note(page, bool(occurrence.hidden_rates(rates.reset_index(drop=True), rule).any())),
        spine.draw(rates, rule),
        spine.alt(rates, rule),
        "No vertebra has time at risk, so the spine is not drawn.",
    )


def _hidden_note(page: Page, anything: bool) -> str:
    return (
        f" Counts of 1 to {page.rule.minimum - 1} are shown as <{page.rule.minimum} and not drawn." if anything else ""
    )


def _question(page: Page) -> Section:
    study = page.results.registry.study
    return Section(
        "question",
        "Question and definitions",
        [Paragraph(study.output.question), Definitions(methods.definitions(study))],
    )


def _flow(page: Page) -> Section:
    r, rule = page.results, page.rule
    drawn = flow.draw(r.flow_patients, r.flow_sightings, rule)
    blocks = figure_of(
        "figure-flow",
        "From the registry to the study",
        "Patients, treated vertebrae and sightings of fractures after each criterion; to the right, who was "
        "left out and "
        "why. A criterion that left nobody out is in the table only.",
        drawn,
        flow.alt(r.flow_patients, r.flow_sightings, rule),
        "No patient was accepted, so there is no flow to draw.",
    )
    blocks += tables_of(people.flow_patients(r.flow_patients, rule), people.flow_sightings(r.flow_sightings, rule))
    return Section("flow", "Who was studied", blocks)


def _people(page: Page) -> Section:
    table = people.table_one(page.results.table_one, page.rule)
    return Section("people", "Who was treated", tables_of(table) or [Paragraph("Nobody entered the main population.")])


def _incidence(page: Page) -> Section:
    r, rule = page.results, page.rule
    confidence = r.registry.study.models.confidence
    frame = r.incidence.frame
    return Section(
        "incidence",
        "How often",
        tables_of(
            occurrence.headline(r.headline, rule),
            occurrence.incidence(frame, rule, composite=False, confidence=confidence),
            occurrence.incidence(frame, rule, composite=True, confidence=confidence),
            occurrence.proportions(r.proportions.frame, rule),
        ),
    )


def _n_and_events(page: Page, curve: str, outcomes: tuple[str, ...]) -> str:
    """n and the events of each curve by the end of the axis, as the caption gives them."""
    curves, rule = page.results.curves.frame, page.rule
    frame = page.results.incidence.frame
    people_ = frame.loc[frame["curve"] == curve, "n_patients"]
    text = f"n = {rule.text(float(people_.max()))} patients" if len(people_) else ""
    totals = curves[curves["curve"] == curve].groupby("outcome", observed=True)["n_events_total"].max()
    parts = [
        f"{theme.NAMES[name]} {rule.text(float(totals[name]))}"
        for name in outcomes
        if name in totals.index and not math.isnan(float(totals[name]))
    ]
    ticks = page.results.at_risk
    start = ticks.loc[(ticks["time"] == 0) & ticks["curve"].isin([*outcomes, curve]), "n_risk"]
    late = " Some entered after day 0." if len(start) and len(people_) and start.max() < people_.max() else ""
    return f"{text}; events: {', '.join(parts)}.{late} " if parts else f"{text}. " if text else ""


def _when(page: Page) -> Section:
    r, rule = page.results, page.rule
    curves = r.curves.frame
    if curves.empty:
        return Section("when", "When", [Paragraph("Nobody was followed, so there is no curve to draw.")])
    apart = figure_of(
        "figure-curves",
        "Cumulative incidence by relation",
        f"{_n_and_events(page, 'per_relation', ('same', 'adjacent', 'remote'))}Aalen-Johansen, death competing; band: "
        f"{page.level}. Each relation by itself: the curves do not add up. "
        f"{incidence.cut_note(curves, ('per_relation',))}",
        incidence.draw_apart(curves, r.at_risk, rule),
        incidence.alt_apart(curves, rule),
        "No refracture was counted, or too few to draw, in the two years after the first augmentation.",
    )
    together = figure_of(
        "figure-stacked",
        "The first refracture of any kind, and death, stacked",
        f"{_n_and_events(page, 'composite', ('any', 'death'))}Aalen-Johansen; the causes compete and add up to "
        "the upper "
        f"edge; no band, since a stack has none. {_other_note(page)}{incidence.cut_note(curves, ('composite',))}",
        incidence.draw_stacked(curves, r.at_risk, rule),
        incidence.alt_stacked(curves, rule),
        "Nobody had a first refracture or died, or too few to draw, so nothing is stacked.",
    )
    return Section("when", "When", [*apart, *together])


def _other_note(page: Page) -> str:
    hidden = occurrence.hidden_curves(page.results.curves.frame, page.rule)
    if any(("composite", name) in hidden for name in occurrence.CAUSES):
        return "Other refractures: those of relations with too few events to show apart. "
    return ""


def _where(page: Page) -> Section:
    rates, rule = page.results.rates.frame, page.rule
    blocks: list[Block] = [Paragraph("The spine on the first screen (Figure 1) shows these rates by level.")]
    days = page.results.registry.study.relation.cascade_days
    tables = tables_of(
        occurrence.rates_by_level(rates, rule),
        occurrence.rates(rates, rule),
        beyond.cascades(page.results.beyond.cascades, days, rule),
    )
    return Section("where", "Where", [*blocks, *tables] if tables else [Paragraph("No vertebra has time at risk.")])


def _why(page: Page) -> Section:
    r, rule = page.results, page.rule
    total = float(r.mechanisms["n_total"].max()) if len(r.mechanisms) else 0.0
    blocks = figure_of(
        "figure-mechanisms",
        "Mechanisms of same-level refracture",
        f"n = {rule.text(total)} counted same-level refractures of vertebrae treated for fracture; bars: "
        "refractures with "
        "the mechanism (share of all). One refracture may have several. Grey: no mechanism could be named.",
        mechanisms.draw(r.mechanisms, rule),
        mechanisms.alt(r.mechanisms, rule) if total else "",
        "No same-level refracture was counted, or too few to show, so no mechanism is drawn.",
    )
    return Section("why", "Why treated vertebrae failed", [*blocks, *tables_of(risk.mechanisms(r.mechanisms, rule))])


def _sensitivity(page: Page) -> Section:
    frame, rule = page.results.sensitivity.frame, page.rule
    if frame.empty:
        return Section("sensitivity", "Sensitivity", [Paragraph("No variant was run.")])
    patients = float(frame["n_patients"].max())
    blocks = figure_of(
        "figure-sensitivity",
        "One-year incidence under other choices",
        f"n = {rule.text(patients)} patients at most; events of each in the table. Dot: cumulative incidence "
        "at 1 year, "
        f"death competing; line: {page.level}; dashed line and band: the main analysis. Each row repeats the "
        "whole analysis "
        "with one choice changed." + _hidden_note(page, bool(rule.small(frame["n_events"]).any())),
        sensitivity.draw(frame, rule),
        sensitivity.alt(frame, rule),
        "No refracture was counted, or too few to draw, under any choice.",
    )
    other = page.results.beyond
    tables = tables_of(
        risk.sensitivity(frame, rule),
        beyond.definitions(other.definitions, rule),
        beyond.policies(other.policies, rule),
        beyond.misnumbered(other.misnumbered, rule),
    )
    return Section("sensitivity", "Sensitivity", [*blocks, *tables])


def withheld_outcomes(page: Page) -> set[str]:
    """Outcomes with a hidden estimate, which must not come back through the literature."""
    frame = page.results.incidence.frame.reset_index(drop=True)
    per_relation = frame[(frame["curve"] == "per_relation") | (frame["outcome"] == "any")]
    small = per_relation.loc[page.rule.small(per_relation["n_events"]), "outcome"]
    rates = page.results.rates.frame.reset_index(drop=True)
    hidden = rates[occurrence.hidden_rates(rates, page.rule) & (rates["level"].fillna("").astype(str) == "").to_numpy()]
    roles = {"treated": "same", "adjacent": "adjacent", "remote": "remote"}
    return set(small.astype(str)) | {roles[str(role)] for role in hidden.get("role", []) if str(role) in roles}


def _literature(page: Page) -> Section:
    rule, withheld = page.rule, withheld_outcomes(page)
    stated = published.shown_literature(page.results.literature, withheld, rule)
    found = alike.shown(page.results.like_for_like, withheld, rule)
    frame = found.figures.frame
    level = f"{100 * page.results.registry.study.models.confidence:g} %"
    blocks: list[Block] = [
        Paragraph(
            "Published rates differ first by definition: same-level refracture runs from under 1 % (re-treated) to "
            "over 60 % (any loss of height). So this registry is counted again for each published figure, by that "
            "study's definition, unit, window and way of counting; what then still differs is said with each."
        )
    ]
    blocks += figure_of(
        "figure-literature",
        "Published figures, and this registry counted alike",
        f"Upper line: published per cent with its exact {level} interval, made from the printed counts (none where "
        "they are not printed). Lower line, in the colour of the relation: this registry under the same definition, "
        f"unit, window and count, with {level} interval. To the right both per cents, and registry over published. "
        "A point at an end: it runs off the axis. Where there are many, the largest studies of each relation; all, "
        "with n / N, in the table below.",
        literature.draw(frame),
        literature.alt(frame) if len(frame) else "",
        "No published figure can be counted in this registry, so none is drawn.",
    )
    blocks += figure_of(
        "figure-gap",
        "From this registry's main figure to a published one",
        "Largest study of each relation whose gap may be shown, and the highest same-level figure. One thing changes "
        "at a time, in the order given, from the main figure (patients, one year, death competing); hatched: what "
        "remains once both are counted alike. Points without intervals; events of each step are in the CSV.",
        gap.draw(found),
        gap.alt(found) if len(frame) else "",
        "No gap to a published figure is taken apart: there are too few events.",
    )
    ratios = published_ratios.shown(page.results.beside_effects, rule)
    blocks += figure_of(
        "figure-published-ratios",
        "Published ratios, and this registry's own",
        "Upper line: published ratio with its interval as printed (none where none is), in the registry's direction "
        "and step. Lower line, in the colour of the refracture it is of: this registry's own, the nearest it has. "
        "adj.?: not told whether adjusted, or mixed; trial: randomised. r/p: registry over published, only where "
        "refracture, measure, adjustment and contrast are the same. A point at an end: it runs off the axis. Where "
        "there are many, first those that can be divided.",
        ratio_figure.draw(ratios),
        ratio_figure.alt(ratios),
        "No published ratio has one of this registry beside it, so none is drawn.",
    )
    tables = tables_of(
        alike.figures(found, rule),
        alike.gaps(found, rule),
        published_ratios.ratios(ratios, rule),
        published.review(stated, rule),
    )
    return Section("literature", "Beside the literature", [*blocks, *tables])


def _methods(page: Page) -> Section:
    described = Definitions(methods.paragraphs(page.results.registry.study, page.results.further))
    return Section("methods", "Methods", [described, *tables_of(beyond.timing(page.results.beyond.timing))])


def _record(page: Page) -> Section:
    r = page.results
    return Section(
        "record",
        "Settings, versions, inputs",
        tables_of(record.settings(r.settings), record.versions(page.versions), record.inputs(r.registry.inputs)),
    )


def curve_values(page: Page) -> pd.DataFrame:
    """The curves read month by month, for the CSV under the figures."""
    return occurrence.monthly(page.results.curves.frame, page.rule)
