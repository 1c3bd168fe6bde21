"""The report as a PDF: blocks set on A4 pages, plots as vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hil.report.blocks import COLOURS, Block, Cells, Frame, Heading, Plot, Words, framed, thinned, tick_text
from hil.report.pdf import HEIGHT, WIDTH, Pdf, text_width

MARGIN, FOOT = 48.0, 46.0
INSIDE = WIDTH - 2 * MARGIN
SIZE, LEADING = 8.5, 11.5
SIZES = {1: 16.0, 2: 12.0, 3: 9.5}
PLOT_HEIGHT, AXIS = 100.0, 34.0
GOOD, BAD, INK, PALE = "#1b6e3c", "#a51d2d", "#222222", "#cccccc"
GAP, RULE = 8.0, 2.0
KEPT_TOGETHER = 15
"""A table of at most so many rows is not broken."""


def to_pdf(blocks: Sequence[Block]) -> bytes:
    """Set a report; the first heading is its title."""
    title = next(block.text for block in blocks if isinstance(block, Heading))
    sheets = _Sheets(title)
    for number, block in enumerate(blocks):
        follower = blocks[number + 1] if number + 1 < len(blocks) else None
        sheets.set(block, follower)
    return sheets.finished()


class _Sheets:
    """Sets one block below the other and turns the page when it is full."""

    def __init__(self, title: str) -> None:
        self._pdf, self._title, self._y = Pdf(title), title, 0.0

    def set(self, block: Block, follower: Block | None) -> None:
        match block:
            case Heading():
                self._heading(block, follower)
            case Words():
                colour = INK if block.verdict is None else GOOD if block.verdict else BAD
                for line in wrapped(block.text, INSIDE, SIZE, bold=block.verdict is not None):
                    self._need(LEADING)
                    self._pdf.text((MARGIN, self._y), line, SIZE, bold=block.verdict is not None, colour=colour)
                self._y -= 3.0
            case Cells():
                self._table(block)
            case Plot():
                self._plot(block)

    def finished(self) -> bytes:
        for number in range(self._pdf.count):
            words = f"page {number + 1} of {self._pdf.count}"
            self._pdf.footnote(number, (MARGIN, FOOT - 18.0), self._title[:110], 7.0)
            self._pdf.footnote(number, (WIDTH - MARGIN - text_width(words, 7.0), FOOT - 18.0), words, 7.0)
        return self._pdf.to_bytes()

    def _need(self, height: float) -> None:
        """Go down by a height, onto a new page where it does not fit."""
        if not self._pdf.count or self._y - height < FOOT:
            self._pdf.page()
            self._y = HEIGHT - MARGIN
        self._y -= height

    def _heading(self, block: Heading, follower: Block | None) -> None:
        """Set a heading, never alone at the foot of a page."""
        size = SIZES[block.level]
        after = 3 * LEADING
        if isinstance(follower, Plot):
            after = PLOT_HEIGHT + AXIS
        elif isinstance(follower, Cells) and len(follower.rows) <= KEPT_TOGETHER:
            widths = column_widths(follower)
            after = sum(_height(cells, widths) for cells in (follower.head, *follower.rows))
        lines = wrapped(block.text, INSIDE, size, bold=True)
        room = self._y - (1.9 * size * len(lines) + after)
        if self._pdf.count and room < FOOT:
            self._y = 0.0
        for number, line in enumerate(lines):
            self._need((1.25 if number or block.level == 1 else 2.0) * size)
            self._pdf.text((MARGIN, self._y), line, size, bold=True)
        self._y -= 3.0

    def _table(self, table: Cells) -> None:
        widths = column_widths(table)
        if self._pdf.count and len(table.rows) <= KEPT_TOGETHER:
            height = sum(_height(cells, widths) for cells in (table.head, *table.rows))
            self._y = self._y if self._y - height > FOOT else 0.0
        if any(table.head):
            self._row(table, table.head, widths, bold=True)
        for number, cells in enumerate(table.rows):
            self._row(table, cells, widths, colour=BAD if number in table.bad else INK)
        self._y -= 4.0

    def _row(
        self, table: Cells, cells: Sequence[str], widths: Sequence[float], *, bold: bool = False, colour: str = INK
    ) -> None:
        lines = [wrapped(c, w - GAP, SIZE, bold=bold) for c, w in zip(cells, widths, strict=True)]
        height = max(map(len, lines)) * LEADING
        self._need(height + RULE)
        x = MARGIN
        for place, (cell, width) in enumerate(zip(lines, widths, strict=True)):
            for number, line in enumerate(cell):
                right = width - GAP - text_width(line, SIZE, bold=bold) if place in table.right else 0.0
                y = self._y + height - LEADING * number - SIZE
                self._pdf.text((x + right, y), line, SIZE, bold=bold, colour=colour)
            x += width
        self._pdf.line([(MARGIN, self._y - 1.0), (MARGIN + INSIDE, self._y - 1.0)], PALE, 0.4)

    def _plot(self, plot: Plot) -> None:
        frame = framed(plot)
        keys = list(_keys(plot))
        self._need(PLOT_HEIGHT + AXIS + LEADING * len(keys))
        top = self._y + PLOT_HEIGHT + AXIS + LEADING * len(keys)
        self._pdf.text((MARGIN, top - 12.0), plot.title, SIZES[3], bold=True)
        for row, names in enumerate(keys):
            self._key(names, top - 12.0 - LEADING * (row + 1))
        self._axes(frame)
        for at_s, word in plot.marks:
            x, low = self._place(frame, at_s, frame.low)
            self._pdf.line([(x, low), (x, low + PLOT_HEIGHT)], BAD, 0.5, (2.0, 2.0))
            self._pdf.text((x + 2.0, low + PLOT_HEIGHT - 7.0), word, 6.5)
        for (_, line), colour in zip(plot.lines.items(), COLOURS, strict=False):
            self._pdf.line([self._place(frame, t, v) for t, v in thinned(line)], colour, 0.8)

    def _key(self, names: Sequence[tuple[str, str]], y: float) -> None:
        x = MARGIN
        for name, colour in names:
            self._pdf.line([(x, y + 2.5), (x + 14.0, y + 2.5)], colour, 1.6)
            self._pdf.text((x + 18.0, y), name, 7.5)
            x += _key_width(name)

    def _axes(self, frame: Frame) -> None:
        for tick in frame.ticks:
            x, y = self._place(frame, 0.0, tick)
            self._pdf.line([(x, y), (WIDTH - MARGIN, y)], PALE, 0.4)
            words = tick_text(tick, frame)
            self._pdf.text((x - 4.0 - text_width(words, 7.0), y - 2.5), words, 7.0)
        for time_s in frame.times_s:
            x, y = self._place(frame, time_s, frame.low)
            words = frame.hours(time_s)
            x = min(x - text_width(words, 7.0) / 2.0, WIDTH - MARGIN - text_width(words, 7.0))
            self._pdf.text((x, y - 10.0), words, 7.0)

    def _place(self, frame: Frame, seconds: float, value: float) -> tuple[float, float]:
        across, up = frame.at(seconds, value)
        return MARGIN + AXIS + (INSIDE - AXIS) * across, self._y + 16.0 + PLOT_HEIGHT * up


def wrapped(text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
    """Break a text into lines of a width [pt]; a word that is too long is cut."""
    lines, width = [""], width + 0.01
    for word in text.split():
        rest = word
        candidate = f"{lines[-1]} {rest}".strip()
        if text_width(candidate, size, bold=bold) <= width:
            lines[-1] = candidate
            continue
        if lines[-1]:
            lines.append("")
        while text_width(rest, size, bold=bold) > width:
            fits = max(1, next(n for n in range(len(rest), 0, -1) if n == 1 or text_width(rest[:n], size) <= width))
            lines[-1], rest = rest[:fits], rest[fits:]
            lines.append("")
        lines[-1] = rest
    return lines


def _height(cells: Sequence[str], widths: Sequence[float]) -> float:
    """Give the height of a row [pt]."""
    return max(len(wrapped(c, w - GAP, SIZE)) for c, w in zip(cells, widths, strict=True)) * LEADING + RULE


def column_widths(table: Cells) -> list[float]:
    """Share the width of the page: what is narrow gets what it needs, the rest is shared by need."""
    columns = list(zip(table.head, *table.rows, strict=True))
    needs = [max(text_width(cell, SIZE, bold=i == 0) for i, cell in enumerate(cells)) + GAP for cells in columns]
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


def _keys(plot: Plot) -> Iterator[list[tuple[str, str]]]:
    """Break the key of a plot into rows; a single line needs none."""
    row: list[tuple[str, str]] = []
    used = 0.0
    if len(plot.lines) < 2:
        return
    for name, colour in zip(plot.lines, COLOURS, strict=False):
        if row and used + _key_width(name) > INSIDE:
            yield row
            row, used = [], 0.0
        row.append((name, colour))
        used += _key_width(name)
    yield row


def _key_width(name: str) -> float:
    return 18.0 + text_width(name, 7.5) + 14.0
