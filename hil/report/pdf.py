"""A PDF file: pages of text, lines and shapes in the viewer's own Helvetica. The same pages give the same bytes.

Nothing is compressed and no date is written, so that bytes depend on neither a library nor a clock. Source of the
format: ISO 32000-1; of the widths: the font metrics of the 14 standard fonts (Adobe, Core 14 AFM).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

WIDTH, HEIGHT = 595.0, 842.0
"""A4 upright [pt]."""
_WIDTHS = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
)  # fmt: skip
"""Of the characters 32 to 126 in Helvetica [thousandths of the size]."""
_OTHER = 600
_BOLDER = 1.07
Point = tuple[float, float]


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Give the width of a text [pt]; bold letters are taken as a fourteenth wider."""
    raw = sum(_WIDTHS[ord(c) - 32] if 32 <= ord(c) <= 126 else _OTHER for c in text)
    return raw * size / 1000.0 * (_BOLDER if bold else 1.0)


class Pdf:
    """Pages, filled from the lower left corner [pt]."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._pages: list[list[str]] = []

    @property
    def count(self) -> int:
        """Number of pages."""
        return len(self._pages)

    def page(self) -> None:
        """Begin a new page."""
        self._pages.append([])

    def text(self, at: Point, text: str, size: float, *, bold: bool = False, colour: str = "#222222") -> None:
        """Write a text from its left end on."""
        font = "F2" if bold else "F1"
        place = f"{at[0]:.2f} {at[1]:.2f} Td"
        self._add(f"BT {_rgb(colour)} rg /{font} {size:g} Tf {place} ({_escaped(text)}) Tj ET")

    def line(self, points: Iterable[Point], colour: str, width: float = 0.6, dash: Sequence[float] = ()) -> None:
        """Draw a line through points."""
        path = [f"{x:.2f} {y:.2f}" for x, y in points]
        if len(path) > 1:
            dashes = " ".join(f"{d:g}" for d in dash)
            self._add(f"{_rgb(colour)} RG {width:g} w [{dashes}] 0 d {path[0]} m {' l '.join(path[1:])} l S")

    def footnote(self, number: int, at: Point, text: str, size: float) -> None:
        """Write on a page by its number, counted from 0: what only the end knows."""
        place = f"{at[0]:.2f} {at[1]:.2f} Td"
        self._pages[number].append(f"BT {_rgb('#666666')} rg /F1 {size:g} Tf {place} ({_escaped(text)}) Tj ET")

    def to_bytes(self) -> bytes:
        """Write the file."""
        kids = " ".join(f"{5 + 2 * i} 0 R" for i in range(len(self._pages)))
        objects = [
            "<< /Type /Catalog /Pages 2 0 R >>",
            f"<< /Type /Pages /Kids [{kids}] /Count {len(self._pages)} >>",
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
        ]
        for number, page in enumerate(self._pages):
            content = "\n".join(page)
            fonts = "/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >>"
            box = f"/MediaBox [0 0 {WIDTH:g} {HEIGHT:g}]"
            objects.append(f"<< /Type /Page /Parent 2 0 R {box} {fonts} /Contents {6 + 2 * number} 0 R >>")
            objects.append(f"<< /Length {len(_encoded(content))} >>\nstream\n{content}\nendstream")
        objects.append(f"<< /Title ({_escaped(self._title)}) >>")
        return _file(objects)

    def _add(self, operators: str) -> None:
        self._pages[-1].append(operators)


def _file(objects: Sequence[str]) -> bytes:
    """Number the objects and tell where each begins; the last one is the file's information."""
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + _encoded(body) + b"\nendobj\n"
    begins = len(out)
    rows = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = len(objects) + 1
    out += f"xref\n0 {size}\n0000000000 65535 f \n{rows}".encode()
    out += f"trailer\n<< /Size {size} /Root 1 0 R /Info {len(objects)} 0 R >>\nstartxref\n{begins}\n%%EOF\n".encode()
    return bytes(out)


def _encoded(text: str) -> bytes:
    return text.encode("cp1252", "replace")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)").replace("\n", " ")


def _rgb(colour: str) -> str:
    return " ".join(f"{int(colour[i : i + 2], 16) / 255.0:.3f}" for i in (1, 3, 5))
