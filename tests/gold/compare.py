"""Write comparisons.json, the table of docs/validation.md: for every value of R where ours differs most.

python tests/gold/compare.py && python docs/build.py
"""

from __future__ import annotations

import json

import numpy as np
from comparisons import COMPARISONS, HERE, Comparison, difference


def row(one: Comparison) -> dict[str, object]:
    """The largest difference of one comparison, relative to what was asked of its quantity."""
    found = []
    for quantity, (ours, theirs) in one.both().items():
        apart = difference(ours, theirs)
        known = np.flatnonzero(~np.isnan(theirs))
        scale = np.where(theirs[known] == 0, 1.0, np.abs(theirs[known]))
        worst = int(known[np.argmax(np.abs(ours[known] - theirs[known]) / scale)]) if len(known) else 0
        found.append(
            (apart / one.tolerance(quantity), quantity, len(known), float(theirs[worst]), float(ours[worst]), apart)
        )
    _, quantity, _, theirs_, ours_, apart = max(found)
    return {
        "key": one.key,
        "data": one.data,
        "method": one.method,
        "r_call": one.r_call,
        "values": sum(n for _, _, n, _, _, _ in found),
        "quantity": quantity,
        "r": theirs_,
        "ours": ours_,
        "difference": apart,
        "tolerance": one.tolerance(quantity),
        "why": one.looser.get(quantity, (0, ""))[1],
    }


if __name__ == "__main__":
    rows = [row(one) for one in COMPARISONS]
    lines = ",\n".join(json.dumps(one) for one in rows)
    (HERE / "comparisons.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(rows)} comparisons, {sum(int(str(one['values'])) for one in rows):,} values")
