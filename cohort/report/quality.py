"""How good the data are: the account of rows, what was wrong and missing where, and how patients were looked at."""

from __future__ import annotations

from cohort.present import numbers
from cohort.present.figures import quality as figures
from cohort.present.tables import beyond, gaps, quality, risk
from cohort.report.blocks import Block, Bullets, Paragraph, Section
from cohort.report.page import Page, figure_of, tables_of


def quality_sentence(page: Page) -> str:
    """One sentence on the data, for the first screen."""
    r = page.results
    read, rejected = (float(r.accounting[name].sum()) for name in ("rows_read", "rows_rejected"))
    if not read:
        return "No row was read."
    blanked = float(r.problems.loc[r.problems["outcome"] == "blank", "n_rows"].sum())
    text = (
        f"Of {numbers.count(read)} rows read, {numbers.count(rejected)} "
        f"({numbers.number(rejected / read, 'percent')} %) were rejected"
        if rejected
        else f"All {numbers.count(read)} rows read were accepted"
    )
    text += f" and {numbers.count(blanked)} values left empty" if blanked else ""
    known = r.missingness[r.missingness["n_rows"] > 0]
    score = known[known["column"] == "t_score"]
    if len(score):
        share = float(score["n_missing"].iloc[0]) / float(score["n_rows"].iloc[0])
        text += f"; the T-score is missing in {numbers.number(share, 'percent')} % of patients"
    return text + "."


def section(page: Page) -> Section:
    """The section: the sentence first, then tables in the order in which somebody would ask for them."""
    r, rule = page.results, page.rule
    found = r.quality
    blocks: list[Block] = [Paragraph(quality_sentence(page))]
    heaped = gaps.heaped(found.heaping, found.digits)
    if r.notes:
        blocks.append(Bullets([risk.sentence_case(rule.sentence(str(note))) for note in r.notes]))
    blocks += tables_of(
        quality.accounting(r.accounting),
        quality.problems(r.problems),
        quality.row_numbers(r.registry.rejected) if rule.internal else None,
    )
    blocks.append(Paragraph(gaps.lost_sentence(found.incomplete, rule)))
    blocks += tables_of(
        gaps.incomplete(found.incomplete, r.sensitivity.frame, rule),
        quality.missingness(r.missingness),
        gaps.missing_by_site(found.missing_by_site, rule),
    )
    blocks += _imaging(page)
    if len(found.levels):
        blocks += figure_of(
            "figure-levels",
            "Which vertebrae were treated and found fractured",
            "Bars: share of all treated vertebrae (left) and of all sightings of fractures, repeats included (right). "
            "No published distribution of levels is at hand to set beside them; sites are compared with each other.",
            figures.draw_levels(found.levels, rule),
            figures.alt_levels(found.levels, rule),
            "No vertebra was treated.",
        )
    if flags := gaps.flags_sentence(heaped, found.shifts):
        blocks.append(Paragraph(flags))
    blocks += tables_of(gaps.shifts(found.shifts, rule), gaps.heaping(heaped))
    blocks += tables_of(quality.judged(r.judged, rule), quality.onset(r.onset, rule))
    return Section("quality", "Data quality", blocks)


def _imaging(page: Page) -> list[Block]:
    """Who was imaged by when; a fracture that nobody looked for is not found."""
    found, rule = page.results.quality, page.rule
    if found.imaged.empty:
        return [
            Paragraph("The registry records no imaging at follow-up, so it cannot be told who was looked at and when.")
        ]
    n = float(found.imaged.loc[found.imaged["site"] == "", "n_patients"].max())
    events = float(found.imaged_curve["n_events_total"].max()) if len(found.imaged_curve) else 0.0
    blocks = figure_of(
        "figure-imaged",
        "Who was imaged by when",
        f"n = {rule.text(n)} patients, {rule.text(events)} imaged by 2 years. Aalen-Johansen, death competing, cut "
        f"off at the end of follow-up; band: {page.level}. A fracture that nobody looked for is not found.",
        figures.draw_imaged(found.imaged_curve, found.imaged_at_risk, rule),
        figures.alt_imaged(found.imaged),
        "Too few patients were imaged to draw when.",
    )
    other = page.results.beyond
    return [
        *blocks,
        *tables_of(
            gaps.imaged(found.imaged, rule),
            beyond.ascertained(other.ascertained, rule),
            beyond.looks(other.looks, rule),
        ),
    ]
