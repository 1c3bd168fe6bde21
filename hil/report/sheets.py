"""The report as a PDF: blocks set on A4 pages, plots as vectors, the letters in the file.

ReportLab's `invariant` writes the same date and the same names into every file, so that the same blocks give the same
bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import reportlab
from reportlab.graphics.shapes import Drawing, Line, PolyLine, String
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_LEFT, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase.pdfmetrics import registerFont, stringWidth
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import CondPageBreak, Flowable, Paragraph, SimpleDocTemplate, Table

from hil.report.blocks import COLOURS, Block, Cells, Heading, Plot, Words, framed, thinned, tick_text

MARGIN, PADDING = 48.0, 6.0
"""Of a page, and what of it ReportLab's own frame keeps free [pt]."""
INSIDE = A4[0] - 2 * MARGIN
FONT, BOLD, SIZE = "Vera", "VeraBd", 7.5
PLOT_HEIGHT, AXIS, FOOT, TOP = 100.0, 34.0, 14.0, 6.0
GOOD, BAD, INK, PALE = "#1b6e3c", "#a51d2d", "#222222", "#cccccc"
GAP = 8.0
NBSP = "\u00a0"
KEPT_TOGETHER = 15
"""A table of at most so many rows is not broken."""

for font in (FONT, BOLD):
    registerFont(TTFont(font, str(Path(reportlab.__file__).parent / "fonts" / f"{font}.ttf")))

TEXT = ParagraphStyle("text", fontName=FONT, fontSize=SIZE, leading=1.35 * SIZE)
SIZES = {1: 15.0, 2: 11.0, 3: 8.5}


RULED = [
    ("FONTNAME", (0, 0), (-1, -1), FONT),
    ("LEFTPADDING", (0, 0), (-1, -1), 0.0),
    ("RIGHTPADDING", (0, 0), (-1, -1), GAP),
    ("TOPPADDING", (0, 0), (-1, -1), 1.5),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 2.0),
    ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor(PALE)),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
]


def to_pdf(blocks: Sequence[Block]) -> bytes:
    """Set a report; the first heading is its title."""
    count, _ = _set(blocks, 0)
    return _set(blocks, count)[1]


def _set(blocks: Sequence[Block], count: int) -> tuple[int, bytes]:
    """Set a report whose pages are `count`; gives how many there are, and the file."""
    title = next(block.text for block in blocks if isinstance(block, Heading))
    file = BytesIO()
    edges = {f"{side}Margin": MARGIN - PADDING for side in ("left", "right", "top", "bottom")}
    about = {"title": title, "author": "District EMS", "subject": "HIL run", "creator": "ems hil report", "lang": "en"}
    document = SimpleDocTemplate(file, pagesize=A4, invariant=1, initialFontName=FONT, **about, **edges)

    def foot(canvas: Any, _document: Any) -> None:
        canvas.setFont(FONT, 6.5)
        canvas.drawString(MARGIN, 28.0, title[:100])
        canvas.drawRightString(A4[0] - MARGIN, 28.0, f"page {canvas.getPageNumber()} of {count}")

    followed = zip(blocks, [*blocks[1:], None], strict=True)
    document.build([each for block, follower in followed for each in _flowables(block, follower)], foot, foot)
    return document.page, file.getvalue()


def _flowables(block: Block, follower: Block | None) -> Iterator[Flowable]:
    match block:
        case Heading():
            yield from _heading(block, follower)
        case Words():
            colour = INK if block.verdict is None else GOOD if block.verdict else BAD
            yield _words(block.text, colour, bold=block.verdict is not None)
        case Cells():
            yield _table(block)
        case Plot():
            yield from _plot(block)


def _heading(block: Heading, follower: Block | None) -> Iterator[Flowable]:
    """Set a heading, never alone at the foot of a page: what follows stays with it, but for a table that may break."""
    size, breaks = SIZES[block.level], isinstance(follower, Cells) and len(follower.rows) > KEPT_TOGETHER
    if breaks:
        yield CondPageBreak(2.0 * size + 4 * TEXT.leading)
    yield _words(
        block.text, bold=True, fontSize=size, leading=1.25 * size, spaceBefore=0.8 * size, spaceAfter=3.0,
        keepWithNext=not breaks,
    )  # fmt: skip


def _words(text: str, colour: str = INK, *, bold: bool = False, **style: Any) -> Paragraph:
    own = ParagraphStyle("own", TEXT, fontName=BOLD if bold else FONT, textColor=HexColor(colour), **style)
    return Paragraph(escape(text), own)


def _table(table: Cells) -> Table:
    def row(cells: Sequence[str], colour: str = INK, *, bold: bool = False) -> list[Paragraph]:
        sides = (TA_RIGHT if i in table.right else TA_LEFT for i in range(len(cells)))
        return [_words(cell, colour, bold=bold, alignment=side) for cell, side in zip(cells, sides, strict=True)]

    head = [row(table.head, bold=True)] if any(table.head) else []
    rows = [row(cells, BAD if number in table.bad else INK) for number, cells in enumerate(table.rows)]
    return Table(head + rows, column_widths(table), style=RULED, repeatRows=len(head), splitInRow=1, hAlign="LEFT")


def column_widths(table: Cells) -> list[float]:
    """Share the width of the page [pt]: what is narrow gets what it needs, the rest is shared by need."""
    columns = list(zip(table.head, *table.rows, strict=True))
    needs = [
        max(stringWidth(cell, FONT if i else BOLD, SIZE) for i, cell in enumerate(cells)) + GAP + 0.1
        for cells in columns
    ]
    widths, room, open_columns = [0.0] * len(needs), INSIDE, list(range(len(needs)))
    while open_columns:
        fair = room / len(open_columns)
        narrow = [i for i in open_columns if needs[i] <= fair]
        if not narrow:
            total = sum(needs[i] for i in open_columns)
            for i in open_columns:
                widths[i] = max(0.5 * fair, room * needs[i] / total)
            break
        for i in narrow:
            widths[i], room = needs[i], room - needs[i]
            open_columns.remove(i)
    scale = min(1.0, INSIDE / sum(widths))
    return [width * scale for width in widths]


def _plot(plot: Plot) -> Iterator[Flowable]:
    """Set a title, the key where there are several lines, and the picture: all on one page."""
    yield from _heading(Heading(plot.title, 3), plot)
    if len(plot.lines) > 1:
        lines = zip(plot.lines, COLOURS, strict=False)
        keys = (f'<font color="{c}">\u2014\u2014</font>{escape(f" {name}".replace(" ", NBSP))}' for name, c in lines)
        yield Paragraph(f"{NBSP * 3} ".join(keys), ParagraphStyle("key", TEXT, keepWithNext=True))
    yield _drawing(plot)


def _drawing(plot: Plot) -> Drawing:
    frame = framed(plot)
    drawing = Drawing(INSIDE, FOOT + PLOT_HEIGHT + TOP, initialFontName=FONT)

    def place(seconds: float, value: float) -> tuple[float, float]:
        across, up = frame.at(seconds, value)
        return AXIS + (INSIDE - AXIS) * across, FOOT + PLOT_HEIGHT * up

    def write(x: float, y: float, text: str, anchor: str) -> None:
        drawing.add(String(x, y, text, fontName=FONT, fontSize=6.5, fillColor=HexColor(INK), textAnchor=anchor))

    for tick in frame.ticks:
        x, y = place(0.0, tick)
        drawing.add(Line(x, y, INSIDE, y, strokeColor=HexColor(PALE), strokeWidth=0.4))
        write(x - 4.0, y - 2.5, tick_text(tick, frame), "end")
    for time_s in frame.times_s:
        x, _ = place(time_s, frame.low)
        write(x, FOOT - 10.0, frame.hours(time_s), "end" if x > INSIDE - 10.0 else "middle")
    for at_s, word in plot.marks:
        x, _ = place(at_s, frame.low)
        drawing.add(
            Line(x, FOOT, x, FOOT + PLOT_HEIGHT, strokeColor=HexColor(BAD), strokeWidth=0.5, strokeDashArray=[2, 2])
        )
        write(x + 2.0, FOOT + PLOT_HEIGHT - 7.0, word, "start")
    for (_, line), colour in zip(plot.lines.items(), COLOURS, strict=False):
        points = [pt for t, v in thinned(line) for pt in place(t, v)]
        drawing.add(PolyLine(points, strokeColor=HexColor(colour), strokeWidth=0.8))
    return drawing
