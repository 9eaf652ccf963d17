"""The shape of a vertebral body: ratios of its heights, the angle of its endplates, and Genant's grade.

Heights are millimetres, angles degrees, ratios and losses fractions (0.25 is 25 %). What cannot be told is NaN: a
height that is not recorded, a reference that is not above zero. A height of 0 is a value like any other.

References, and how each was read ([src] beyond the abstract, [abs] abstract, [sec] a secondary text, [unconfirmed]
common use, not confirmed by a source read):

1. McKiernan 2003, Reporting height restoration in vertebral compression fractures, Spine 28:2517-21 [abs]: four ways
   of reporting one restoration (mm; of the height before; of the lost height; of the reference) differ almost fourfold,
   and all three columns should be given.
2. Hsu 2019, Appl Bionics Biomech 4021640 [abs]: height compression in percent against the same column of the levels
   above and below, and a "vertebral compression ratio" that shows less: the word alone does not fix the reference.
3. Wang 2019, Quant Imaging Med Surg, 10.21037/qims.2019.02.04 [src], on Genant 1993 [sec]: grade 0 below 20 %, grade 1
   20-25 %, grade 2 25-40 %, grade 3 above 40 %. ACR/RSNA common data element RDES150 [sec]: grade 3 "40 % or greater".
4. J Orthop Surg Res 2023, s13018-023-03758-w, table 1 [src]: wedge ratio = anterior / posterior height, by grade.
5. Vertebral height ratios in three European centres, ndorms.ox.ac.uk/publications/125986 [abs]: Ha/Hp for wedge, Hc/Hp
   for biconcavity, Hp against the posterior heights of the vertebrae above and below for compression.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from cohort.domain.clock import FloatArray, IntArray

COLUMNS_OF_BODY: Final = ("anterior", "middle", "posterior")
GRADES: Final = ("0", "1", "2", "3")
SHAPES: Final = ("wedge", "biconcave", "crush")
WEDGE, BICONCAVE, CRUSH = range(len(SHAPES))

# Heights are written to a tenth of a millimetre; in binary 16.0 to 12.8 is a hair less than 20 %, and is 20 % on paper.
_HAIR: Final = 1e-9


@dataclass(frozen=True)
class Heights:
    """Heights of the three columns of vertebral bodies, mm, float64, shape (n,); NaN where unknown."""

    anterior: FloatArray
    middle: FloatArray
    posterior: FloatArray

    def of(self, rows: IntArray) -> Heights:
        """The heights of these rows."""
        return Heights(*(values[rows] for values in self.__dict__.values()))


def share(part: FloatArray, whole: FloatArray) -> FloatArray:
    """part / whole, NaN where the whole is unknown or not above zero.

    >>> share(np.array([18.0, 18.0]), np.array([24.0, 0.0])).tolist()
    [0.75, nan]
    """
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def compression(height: FloatArray, expected: FloatArray) -> FloatArray:
    """Share of the expected height that is lost, (expected - height) / expected; negative where the body is taller.

    The field also writes height / expected, which is 1 less this; grades go by the share lost.

    >>> compression(np.array([18.0, 25.0]), np.array([24.0, 20.0])).tolist()
    [0.25, -0.25]
    """
    return share(expected - height, expected)


def restoration(before: FloatArray, after: FloatArray, expected: FloatArray) -> FloatArray:
    """Share of the lost height won back, (after - before) / (expected - before); NaN unless expected > before.

    The third of the four ways of reference 1. Negative where height was lost, above 1 where over-corrected.

    >>> restoration(np.array([18.0, 24.0]), np.array([21.0, 25.0]), np.array([24.0, 24.0])).tolist()
    [0.5, nan]
    """
    lost = expected - before
    return share(after - before, np.where(lost > _HAIR, lost, np.nan))


def wedge_angle_deg(anterior: FloatArray, posterior: FloatArray, depth: FloatArray) -> FloatArray:
    """Angle between the endplates, 2 atan((posterior - anterior) / (2 depth)), degrees; positive is kyphotic.

    depth : between the two heights, mm, for a body that is symmetric about its middle. NaN unless depth > 0.

    >>> wedge_angle_deg(np.array([18.0]), np.array([28.0]), np.array([30.0])).round(2).tolist()
    [18.92]
    """
    return np.degrees(2 * np.arctan(share(posterior - anterior, 2 * depth)))


def genant(height: Heights, expected: Heights) -> tuple[IntArray, IntArray]:
    """Genant's grade by height lost and the shape of the deformity; codes in GRADES and SHAPES, -1 where untold.

    *Grade*: of the greatest loss among the columns: 0 below 20 %, 1 from 20 to 25 %, 2 above 25 to 40 %, 3 above 40 %,
    each within 1e-9. The published ranges share their ends; since grade 3 is *above* 40 % (reference 3), the upper end
    belongs to the lower grade at 25 % too. Anterior and middle are compared with their expected heights, else with the
    posterior wall of the same body, the classical internal reference; the posterior wall with its expected height only.
    A grade is told where anterior and middle both are, or where one column has lost more than 40 %, which nothing
    raises. Grade 0 also needs an expected height of some column, since a crushed body keeps its proportions.

    *Shape*: of the column that has lost most: anterior wedge, middle biconcave, posterior crush. Columns are comparable
    against one kind of reference only: expected heights where all three columns have them; else the posterior wall,
    which tells wedge from biconcave where it shows a loss of 20 % or more, and otherwise leaves the shape untold (low
    against its neighbours and not against its own posterior wall may be a crush). Equal losses of all columns are a
    crush, equal anterior and middle ones a wedge: a biconcave body is lowest in the middle. Grade 0 has no shape.

    >>> height = Heights(np.array([18.0, 18.0]), np.array([20.0, 18.0]), np.array([27.0, 18.0]))
    >>> expected = Heights(np.array([24.0, 24.0]), np.array([24.0, 24.0]), np.array([27.0, 24.0]))
    >>> grade, shape = genant(height, expected)
    >>> [(GRADES[g], SHAPES[s]) for g, s in zip(grade, shape)]
    [('1', 'wedge'), ('1', 'crush')]
    """
    own = {name: compression(getattr(height, name), getattr(expected, name)) for name in COLUMNS_OF_BODY}
    wall = {name: compression(getattr(height, name), height.posterior) for name in ("anterior", "middle")}
    used = {name: np.where(np.isnan(own[name]), wall[name], own[name]) for name in wall}
    greatest = np.fmax(np.fmax(used["anterior"], used["middle"]), own["posterior"])
    grade = np.select([greatest > 0.40 + _HAIR, greatest > 0.25 + _HAIR, greatest >= 0.20 - _HAIR], [3, 2, 1], 0)
    both = ~np.isnan(used["anterior"]) & ~np.isnan(used["middle"])
    by_neighbours = ~np.isnan([own[name] for name in COLUMNS_OF_BODY])
    told = (grade == 3) | (both & ((grade > 0) | by_neighbours.any(axis=0)))

    most = np.maximum(np.maximum(own["anterior"], own["middle"]), own["posterior"])  # NaN unless all three are told
    deepest = np.maximum(wall["anterior"], wall["middle"])
    shape = np.select(
        [
            own["posterior"] >= most - _HAIR,
            own["anterior"] >= most - _HAIR,
            by_neighbours.all(axis=0),
            (deepest >= 0.20 - _HAIR) & (wall["anterior"] >= deepest - _HAIR),
            deepest >= 0.20 - _HAIR,
        ],
        [CRUSH, WEDGE, BICONCAVE, WEDGE, BICONCAVE],
        -1,
    )
    grade = np.where(told, grade, -1).astype(np.int64)
    return grade, np.where(grade > 0, shape, -1).astype(np.int64)
