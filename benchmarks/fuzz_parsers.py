"""Fuzz the parsers of levels, leaks, dates, numbers, findings and drugs, and say what broke them.

python benchmarks/fuzz_parsers.py --minutes 10

Texts are written forms taken apart and put together again, changed letter by letter, and arbitrary Unicode. Nothing may
be raised; what is read must be in range, must not depend on case or outer spaces, and must read as itself once it is
written in the canonical form; no text may take long. What this found is kept in tests/unit/intake/test_fuzz_found.py.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable

import numpy as np

from cohort.domain.outcomes import LEAKS
from cohort.domain.spine import CODE, LEVELS
from cohort.intake import dates, findings, leaks, levels, numbers
from cohort.tables.drugs import drug_of
from cohort.tables.schema import CANONICAL

SLOW_S = 0.5
FORMS = {
    "level": (
        "L4|L-4|th12|D12|TXII|lumbar 4|4th lumbar|LWK 4|4. LWK|第四腰椎|腰4|胸十二|L1-L3|"
        "T11,12,L1|T12/L1|vertèbre|à|bis|y|e|to|and|sacrum|S1|S2|C7|T13|L6|Ｌ４|Ⅳ|椎体|,|;|"
        "-|–|/|&|+|~|、"
    ),
    "leak": (
        "none|disc|disc_superior|L3/4|T12-L1|venous|epidural|upper disc|"
        "disque supérieur|椎间盘|静脉|keine|und|and|y|;|,|/|@12@13|L3-L4 disc|no leak|"
        "foraminal|paravertebral"
    ),
    "date": (
        "2021-03-04|04.03.2021|03/04/2021|3/4/21|12-Mar-2021|March 2021|2021|2021年3月4日|"
        "1er mars 2021|5 de mayo de 2021|20210304|T10:30:00Z|00:00|+01:00|29/02/2020|"
        "9999-12-31|00|31|.|/|-|déc|März"
    ),
    "number": ("3|3,5|3.5|1,234|1.234,5|1 234,5|1'234|-2,5|−2|+3|1e5|1e999|ml|mm|cm|°|Jahre|岁|<|~|ca.|%|inf|nan|.|,"),
    "finding": ("yes|no|1|0|+|-|ja|nein|oui|sí|是|无|not assessable|n/a|unk|?|X|complete|upper|PKP|f|w|骨折|#N/A"),
    "drug": (
        "zoledronic acid|5 mg i.v.|Fosamax|M05BA08|h02ab|calcium|vitamin d3|+|/|"
        "prednisolone|methyl|唑来膦酸|钙|cream|inhal|(|)"
    ),
}


def texts(kind: str, rng: random.Random) -> str:
    """One text: forms joined, then changed."""
    pieces = FORMS[kind].split("|")
    text = rng.choice(("", " ", "  ")).join(rng.choice(pieces) for _ in range(rng.choice((1, 1, 2, 2, 3, 4, 7))))
    for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
        at = rng.randrange(len(text) + 1)
        some = rng.choice(
            (chr(rng.randrange(32, 127)), chr(rng.randrange(0x20, 0x2FFF)), chr(rng.randrange(0x4E00, 0x9FFF)), "")
        )
        text = text[:at] + some + text[at + rng.choice((0, 1)) :]
    if rng.random() < 0.03:
        text = "".join(chr(rng.choice((rng.randrange(1, 0xD800), rng.randrange(0xE000, 0x110000)))) for _ in range(9))
    if rng.random() < 0.01:
        text = (text or "1") * rng.choice((50, 400))
    return text


def check_level(text: str) -> bool:
    found = levels.parse(text)
    if isinstance(found, str):
        assert found in ("level_unreadable", "level_sacral"), found
        return False
    assert all(0 <= first <= last < len(LEVELS) for first, last in found)
    assert levels.parse(f"  {text.swapcase() if text.isascii() else text} ") == found
    for n_thoracic, n_lumbar in ((12, 5), (13, 6), (11, 4)):
        codes = levels.expand(found, n_thoracic, n_lumbar)
        if isinstance(codes, str):
            assert codes == "level_not_in_spine"
            continue
        assert len(set(codes)) == len(codes)
        written = ", ".join(LEVELS[code] for code in codes)
        assert levels.expand(levels.parse(written), n_thoracic, n_lumbar) == codes
    return bool(found)


def check_leak(text: str) -> bool:
    leak = leaks.read(text)
    assert leak.fault in ("", "word_unknown", "leak_contradicts")
    for level in ("L3", "T12", "C1", "S1"):
        written, fault = leaks.at_level(leak, CODE[level], 12, 5)
        assert fault in ("", "leak_elsewhere")
        words = written.split(";") if written else []
        assert set(words) <= set(LEAKS)
        assert "none" not in words or words == ["none"]
        if not fault:
            assert leaks.at_level(leaks.read(written), CODE[level], 12, 5) == (written, "")
    return bool(leak.words or leak.discs)


def check_date(text: str) -> bool:
    for order in (None, "dmy", "mdy"):
        column = dates.read_column(np.array([text, "2021-01-02"], dtype=object), order)  # type: ignore[arg-type]
        assert bool(column.known[0]) != bool(column.fault[0]) or not (column.known[0] or column.fault[0])
        if column.known[0]:
            assert column.low[0] <= column.used[0] <= column.high[0]
            year = 1970 + column.used[0] / 365.2425
            assert dates.FIRST_YEAR - 1 < year < dates.LAST_YEAR + 2
            iso = str(column.used[:1].astype("datetime64[D]")[0])
            again = dates.read_column(np.array([iso], dtype=object))
            assert again.used[0] == column.used[0]
            spaced = dates.read_column(np.array([f" {text.upper() if text.isascii() else text} "], dtype=object), order)  # type: ignore[arg-type]
            assert spaced.used[0] == column.used[0]
    return bool(column.known[0])


def check_number(text: str) -> bool:
    is_read = False
    for decimal in (None, ".", ","):
        for unit in ("", "mm", "ml", "years"):
            value, fault = numbers.read(text, decimal, unit)  # type: ignore[arg-type]
            assert fault in ("", "number_unreadable", "number_ambiguous")
            assert not np.isinf(value)
            assert np.isnan(value) or not fault
            if not np.isnan(value):
                is_read = True
                again, _ = numbers.read(repr(value), ".", unit)
                assert again == value or abs(again - value) <= 1e-12 * abs(value)
    return is_read


def check_finding(text: str) -> bool:
    is_read = False
    for table in CANONICAL.values():
        for column in table:
            if column.kind in ("yes_no", "finding"):
                assert -2 <= findings.read_state(text, column) < 3
            elif column.kind == "vocabulary":
                code = findings.read_word(text, column)
                assert -2 <= code < len(column.vocabulary)
                if code >= 0:
                    is_read = True
                    assert findings.read_word(column.vocabulary[code], column) == code
    return is_read


def check_drug(text: str) -> bool:
    drug = drug_of(text)
    assert drug_of(f" {text.upper() if text.isascii() else text} ").drug_class == drug.drug_class
    if drug.name:
        assert drug_of(drug.name).drug_class == drug.drug_class
    return bool(drug.drug_class)


CHECKS: dict[str, Callable[[str], bool]] = {
    "level": check_level,
    "leak": check_leak,
    "date": check_date,
    "number": check_number,
    "finding": check_finding,
    "drug": check_drug,
}


def fuzz(seconds: float, seed: int, report: Callable[[str], None] = print) -> Counter[str]:
    """Try texts on every parser for so long; returns how many were tried and how many failed."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for kind, check in CHECKS.items():
            for _ in range(50):
                text = texts(kind, rng)
                counts[kind] += 1
                start = time.perf_counter()
                try:
                    counts[f"{kind} read"] += check(text)
                except Exception as fault:
                    counts[f"{kind} failed"] += 1
                    if counts[f"{kind} failed"] <= 20:
                        report(f"{kind}: {text!r}: {type(fault).__name__} {str(fault)[:200]}")
                if time.perf_counter() - start > SLOW_S:
                    counts[f"{kind} slow"] += 1
                    report(f"{kind}: {text[:60]!r} ({len(text)} characters) took {time.perf_counter() - start:.1f} s")
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    counts = fuzz(args.minutes * 60, args.seed)
    for kind in CHECKS:
        tried, read, failed, slow = (counts[f"{kind}{what}"] for what in ("", " read", " failed", " slow"))
        print(f"{kind:8}{tried:>12,} texts {read / tried:>6.0%} read {failed:>6} failed {slow:>6} slow")
    return int(any(name.endswith(("failed", "slow")) for name in counts))


if __name__ == "__main__":
    sys.exit(main())
