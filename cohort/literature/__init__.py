"""Published figures, beside the registry's own."""

from cohort.literature.beside import beside
from cohort.literature.tables import (
    codes,
    definitions,
    effects,
    figure_readings,
    figures,
    headlines,
    review_statements,
)
from cohort.literature.write import write_literature

__all__ = [
    "beside",
    "codes",
    "definitions",
    "effects",
    "figure_readings",
    "figures",
    "headlines",
    "review_statements",
    "write_literature",
]
