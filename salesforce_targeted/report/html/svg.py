"""Make a drawing by matplotlib a part of the page: it takes the page's colours, in the dark too.

Matplotlib is given colours that stand for the page's own, and what it writes is then rid of all
that belongs to a file of its own: ids, metadata, fonts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from typing import Any
from xml.etree import ElementTree as ET

from salesforce_targeted.report.html.markup import Html, plain

# The page's colours (style.py) and what stands for each while matplotlib draws.
COLOURS = {
    name: f"#0a0b{number:02x}"
    for number, name in enumerate(
        ("ink", "muted", "line", "card", "accent", "accent-2", "empty", "good", "warn", "bad",
         "other")
    )
}  # fmt: skip
_POINTS = 72  # in matplotlib's inch; one of them is a unit of the drawing
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text that can be selected, in the page's font, and a tenth the size
    "text.parse_math": False,  # a dollar is a dollar
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 13,
    "text.color": COLOURS["ink"],
    "axes.labelcolor": COLOURS["muted"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.edgecolor": COLOURS["line"],
    "grid.color": COLOURS["line"],
    "axes.axisbelow": True,
}
_NUMBER = re.compile(r"\d+\.\d+")


def available() -> bool:
    """Tell whether there can be drawings: matplotlib is installed and can be imported."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        return False
    return True


class Drawing:
    """Hold a figure that is being drawn; ``axes`` is one of matplotlib, or an array of them."""

    def __init__(self, width: int, height: int, rows: int) -> None:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        self.figure = Figure(
            figsize=(width / _POINTS, height / _POINTS),
            layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.04),
        )
        self.axes: Any = self.figure.subplots(rows)

    def svg(
        self, description: str, titles: Mapping[str, str] | None = None, kind: str = ""
    ) -> Html:
        """Return the drawing as an element.

        Args:
            description: What it shows, for those who don't see it.
            titles: Name that a part was given (gid) to what it says when it is pointed at.
            kind: The element's class.
        """
        drawn = StringIO()
        self.figure.savefig(drawn, format="svg", transparent=True)
        root = ET.fromstring(drawn.getvalue())  # noqa: S314  # matplotlib's, made just now
        for element in list(root.iter()):
            element.tag = _local(element.tag)
            for child in list(element):
                if _local(child.tag) in {"metadata", "defs", "style"}:
                    element.remove(child)
            element.text, element.tail = (element.text or "").strip() or None, None
            _restyle(element)
            if title := (titles or {}).get(element.attrib.pop("id", "")):
                ET.SubElement(element, "title").text = title
        root.attrib = {
            "class": kind or "plot", "viewBox": root.attrib["viewBox"], "role": "img",
            "aria-label": plain(description, 2_000),
        }  # fmt: skip
        return Html(ET.tostring(root, encoding="unicode"))


@contextmanager
def drawing(width: int, height: int, rows: int = 1) -> Iterator[Drawing]:
    """Draw with the page's font size and colours.

    Args:
        width: In units of the drawing; as many pixels where the page shows it in full size.
        height: Likewise.
        rows: Plots below each other.
    """
    from matplotlib import rc_context, rcdefaults, rcParams

    with rc_context():
        rcdefaults()  # whatever style the user has made the rule
        rcParams.update(_SETTINGS)
        yield Drawing(width, height, rows)


def _restyle(element: ET.Element) -> None:
    """Replace placeholder colours by the page's, shorten numbers, drop clipping."""
    element.attrib.pop("clip-path", None)
    if element.attrib.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    for name in set(element.attrib) & {"d", "x", "y", "transform"}:
        short = _NUMBER.sub(lambda found: f"{float(found[0]):.1f}", element.attrib[name])
        element.attrib[name] = " ".join(short.split())
    if style := element.attrib.get("style"):
        for name, stand_in in COLOURS.items():
            style = style.replace(stand_in, f"var(--{name})")
        element.attrib["style"] = style


def _local(name: str) -> str:
    return name.rpartition("}")[2]
