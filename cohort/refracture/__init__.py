"""What each sighting of a fracture is: relation to the treated vertebrae, repeat, judged kind, mechanism, counted."""

from cohort.refracture.beyond import pairs
from cohort.refracture.classify import SIGHTING_COLUMNS, Classified, classify

__all__ = ["SIGHTING_COLUMNS", "Classified", "classify", "pairs"]
