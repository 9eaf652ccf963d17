"""Ids made where absent: `<patient_id>:<date>:<level>`, the same whatever the order of the file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from cohort.domain.clock import IntArray
from cohort.intake.ledger import ObjectArray


def of_list(written: ObjectArray, source_row: IntArray, level: ObjectArray) -> ObjectArray:
    """`<written id>:<level>` where one source row gives its id to several vertebrae. All shape (n,).

    >>> of_list(np.array(["A", "A", "B"], object), np.array([0, 0, 1]), np.array(["L1", "L2", "L1"], object))
    array(['A:L1', 'A:L2', 'B'], dtype=object)
    """
    ids: ObjectArray = written.copy()
    # A row that stands alone shares its id with none: only the others are looked at.
    split = np.flatnonzero(pd.Series(source_row).duplicated(keep=False).to_numpy() & (written != ""))
    frame = pd.DataFrame({"row": source_row[split], "id": written[split], "level": level[split]})
    shared = frame.duplicated(["row", "id"], keep=False).to_numpy()
    several = split[shared]
    if len(several):
        # Two columns of one row may name the same vertebra.
        again = frame[shared].groupby(["row", "id", "level"], sort=False).cumcount().to_numpy() + 1
        suffix = np.array(["" if k == 1 else f"#{k}" for k in again], dtype=object)
        ids[several] = written[several] + ":" + level[several] + suffix
    return ids


def made(
    written: ObjectArray,
    patient_id: ObjectArray,
    date_text: ObjectArray,
    level: ObjectArray,
    remaining: Callable[[IntArray], pd.DataFrame],
) -> ObjectArray:
    """The id of every vertebra. All shape (n,); one element per vertebra.

    written : the id in the source, "" where absent; `of_list` has given the vertebrae of one row their own.
    date_text : the day used in ISO form, "" for before_index.
    remaining : gives every other column of the asked elements as text; they decide which of several equal ids is
        `#2`, `#3`.

    >>> text = np.array(["b", "", "a"], object)
    >>> made(np.array(["", "A", ""], object), np.array(["p"] * 3, object),
    ...      np.array(["2020-01-01"] * 3, object), np.array(["L1"] * 3, object), lambda i: pd.DataFrame({"x": text[i]}))
    array(['p:2020-01-01:L1#2', 'A', 'p:2020-01-01:L1'], dtype=object)
    """
    ids: ObjectArray = written.copy()
    absent = np.flatnonzero(written == "")
    if not len(absent):
        return ids
    base = pd.Series((patient_id + ":" + date_text + ":" + level)[absent])
    rank = np.ones(len(absent), dtype=np.int64)
    several = np.flatnonzero(base.duplicated(keep=False))
    if len(several):
        frame = remaining(absent[several]).reset_index(drop=True)
        frame.columns = pd.RangeIndex(1, frame.shape[1] + 1)
        frame.insert(0, 0, base.to_numpy()[several])
        order = frame.sort_values(list(frame.columns), kind="stable").index.to_numpy()
        rank[several[order]] = frame.loc[order].groupby(0, sort=False).cumcount().to_numpy() + 1
    taken = pd.Index(ids[written != ""]).unique()
    while True:
        suffix = pd.Series(rank).map(lambda k: "" if k == 1 else f"#{k}")
        candidates = base + suffix
        # An id that somebody wrote is theirs: the whole group moves up one number.
        clash = candidates.isin(taken)
        if not clash.any():
            break
        rank = rank + base.isin(base[clash]).to_numpy()
    ids[absent] = candidates.to_numpy(dtype=object)
    return ids
