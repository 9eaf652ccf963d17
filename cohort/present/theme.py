"""One look for every figure: colours that mean one thing, text that stays text, and the same bytes every time."""

from __future__ import annotations

import colorsys
import functools
import io
import logging
import re
import textwrap
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

# Colour means one thing everywhere; the three relations also differ by line style, for grey print.
COLOURS: Final = {
    "same": "#C8442B",
    "adjacent": "#E39A1F",
    "remote": "#2F6FA8",
    "several": "#7B5C8E",
    "any": "#222222",
    "death": "#7A7A7A",
    "treated": "#3B3B3B",
}
# The amber is too light for words on white; words take a darker amber of the same hue.
INKS: Final = {**COLOURS, "adjacent": "#98610A", "death": "#5F5F5F"}
LINES: Final[dict[str, Any]] = {
    "same": "-",
    "adjacent": (0, (7, 1.6)),
    "remote": (0, (3, 1.4)),
    "several": "-.",
    "any": "-",
    "death": (0, (1, 1.5)),
}
NAMES: Final = {
    "same": "same level",
    "adjacent": "adjacent",
    "remote": "remote",
    "several": "several at once",
    "any": "any refracture",
    "death": "death",
    "deaths": "death",
}
INK: Final = "#222222"
MUTED: Final = "#5C6066"
RULE: Final = "#C9CCD1"
PALE: Final = "#F1F2F4"
BAND: Final = 0.18
WIDTH: Final = 7.2
SMALL: Final = 8.0
FONT_STACK: Final = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"
)

_STYLE: Final[dict[str, Any]] = {
    # DejaVu Sans ships with matplotlib and is wider than system fonts: what fits here fits on every reader's screen.
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": SMALL,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": SMALL,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "lines.linewidth": 1.5,
    "hatch.linewidth": 0.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "cohort",
    "path.simplify": False,
}

F = TypeVar("F", bound=Callable[..., Any])


def styled(function: F) -> F:
    """Draw under the theme, whatever the caller's own matplotlib settings."""

    @functools.wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)  # type: ignore[arg-type]
            return function(*args, **kwargs)

    return inside  # type: ignore[return-value]


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure in inches, apart from pyplot's global state."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def page_axes(figure: Figure) -> Axes:
    """An axis over the whole figure in inches, origin bottom left: for drawings that place everything themselves."""
    width, height = figure.get_size_inches()
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_xlim(0, float(width))
    ax.set_ylim(0, float(height))
    ax.axis("off")
    return ax


def write(ax: Axes, x: float, y: float, text: str, *, role: str, **look: Any) -> None:
    """Put words on an axis, centred on `y` and starting at `x` unless told otherwise; `role` says what they are."""
    ax.text(x, y, text, gid=role, **{"ha": "left", "va": "center", **look})


def depth(colour: str, share: float) -> str:
    """The hue at a depth: 0 is a pale tint, 1 the full colour.

    >>> depth("#C8442B", 1.0), depth("#C8442B", 0.0)
    ('#c8442b', '#f6e1dd')
    """
    share = float(np.clip(share, 0.0, 1.0))
    weight = 0.16 + 0.84 * share
    red, green, blue = (1 - weight * (1 - part) for part in to_rgb(colour))
    return to_hex((red, green, blue))


def is_dark(colour: str) -> bool:
    """Whether white words read better on it."""
    red, green, blue = to_rgb(colour)
    return colorsys.rgb_to_yiq(red, green, blue)[0] < 0.55


def plain(text: object) -> str:
    """Data as text that XML can hold: control characters become spaces.

    >>> plain("a\\x00b")
    'a b'
    """
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]", " ", str(text))


def wrap(text: object, width: int, lines: int = 2) -> str:
    """Text in at most so many lines of so many characters; what does not fit ends in an ellipsis.

    >>> wrap("one two three four", 9, 2)
    'one two\\nthree…'
    """
    broken = textwrap.wrap(plain(text), width, break_long_words=True) or [""]
    if len(broken) > lines:
        last = broken[lines - 1]
        kept = last[: width - 1].rstrip() if len(last) >= width else last
        broken = [*broken[: lines - 1], f"{kept}…"]
    return "\n".join(broken)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places for labels near where they are wanted, at least `gap` apart, within [low, high] where there is room.

    >>> spread([1.0, 1.1, 5.0], 1.0, 0.0, 10.0)
    [0.55, 1.55, 5.0]
    """
    order = np.argsort(np.asarray(wanted), kind="stable")
    blocks: list[tuple[float, list[int]]] = []  # each block: lower edge of its first label, and its labels
    for index in order.tolist():
        blocks.append((float(wanted[index]), [index]))
        while len(blocks) > 1 and blocks[-2][0] + gap * len(blocks[-2][1]) > blocks[-1][0] + 1e-12:
            (_, upper), (_, lower) = blocks.pop(), blocks.pop()
            members = lower + upper
            mean = sum(wanted[m] - gap * place for place, m in enumerate(members)) / len(members)
            blocks.append((float(np.clip(mean, low, max(low, high - gap * (len(members) - 1)))), members))
    placed = [0.0] * len(wanted)
    for start, members in blocks:
        start = float(np.clip(start, low, max(low, high - gap * (len(members) - 1))))
        for place, index in enumerate(members):
            placed[index] = start + gap * place
    return placed


def svg(figure: Figure, key: str, alt: str) -> str:
    """The figure as one `<svg>` element for a page: text as text, ids of its own, no date, no address of any kind.

    key : starts every id in it, so that many figures share a page. alt : the finding in words, for who cannot see it.
    """
    raw = io.StringIO()
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcParams.update(_STYLE)  # type: ignore[arg-type]
        # A glyph that DejaVu lacks is drawn by the reader's own font: the text stays text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        figure.savefig(raw, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ET.fromstring(raw.getvalue())
    _tidy(root, key)
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    root.attrib.pop("version", None)
    root.attrib.update(
        {
            "width": f"{width:g}pt",
            "height": f"{height:g}pt",
            "role": "img",
            "aria-label": plain(alt),
            "style": f"stroke-linejoin: round; stroke-linecap: butt; font-family: {FONT_STACK}",
        }
    )
    return ET.tostring(root, encoding="unicode", short_empty_elements=True)


def standalone(element: str) -> str:
    """The same picture as a file of its own."""
    return '<?xml version="1.0" encoding="utf-8"?>\n' + element.replace(
        "<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1
    )


def _tidy(root: ET.Element, key: str) -> None:
    """Drop namespaces, metadata, page-wide style and unused ids; prefix the ids that are used."""
    for parent in root.iter():
        for child in list(parent):
            if child.tag.split("}")[-1] in ("metadata", "style"):
                parent.remove(child)
    text = ET.tostring(root, encoding="unicode")
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
    for element in root.iter():
        element.tag = element.tag.split("}")[-1]
        element.attrib = {name.split("}")[-1]: value for name, value in element.attrib.items()}
        if "id" in element.attrib:
            if element.attrib["id"] in used:
                element.attrib["id"] = f"{key}-{element.attrib['id']}"
            else:
                del element.attrib["id"]
        for name, value in element.attrib.items():
            if name == "href" and value.startswith("#"):
                element.attrib[name] = f"#{key}-{value[1:]}"
            elif "url(#" in value:
                element.attrib[name] = value.replace("url(#", f"url(#{key}-")
        if element.tag == "text" and "style" in element.attrib:
            # The family is inherited from the root, so that the reader's own fonts are used.
            element.attrib["style"] = re.sub(r"font-family:[^;]*;?\s*", "", element.attrib["style"])
