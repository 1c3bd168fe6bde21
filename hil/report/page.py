"""The report as a page: one file without scripts, plots as inline SVG, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from hil.report.blocks import COLOURS, Block, Cells, Frame, Heading, Plot, Words, framed, thinned, tick_text

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 960, 210, 56, 14, 24
STYLE = """
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --grid: #ddd; --good: #1b6e3c; --bad: #a51d2d; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ddd; --paper: #16181b; --grid: #3a3d42; --good: #6fcf97; --bad: #ff8a80; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; } h3 { font-size: 1rem; margin-bottom: .2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem 1.2rem .25rem 0; border-bottom: 1px solid var(--grid); vertical-align: top;
  white-space: nowrap; }
th:last-child, td:last-child { white-space: normal; overflow-wrap: anywhere; }
.right { text-align: right; }
.good { color: var(--good); font-weight: 600; } .bad, .bad td { color: var(--bad); font-weight: 600; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 11px; }
.grid { stroke: var(--grid); } .mark { stroke: var(--bad); stroke-dasharray: 3 3; }
polyline { fill: none; stroke-width: 1.3; }
.key { margin: 0; } .key span { margin-right: 1.4em; white-space: nowrap; }
.key i { display: inline-block; width: 1.4em; height: 3px; margin-right: .4em; vertical-align: middle; }
"""


def to_page(blocks: Sequence[Block]) -> bytes:
    """Write a report; the first heading is its title."""
    title = next(block.text for block in blocks if isinstance(block, Heading))
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    body = "\n".join(line for block in blocks for line in _block(block))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'.encode()


def _block(block: Block) -> Iterator[str]:
    match block:
        case Heading():
            yield f"<h{block.level}>{escape(block.text)}</h{block.level}>"
        case Words():
            kind = "" if block.verdict is None else f' class="{"good" if block.verdict else "bad"}"'
            yield f"<p{kind}>{escape(block.text)}</p>"
        case Cells():
            yield from _table(block)
        case Plot():
            yield from _plot(block)


def _table(table: Cells) -> Iterator[str]:
    def row(cells: Sequence[str], tag: str) -> str:
        kinds = (' class="right"' if i in table.right else "" for i in range(len(cells)))
        return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))

    yield "<table>"
    if any(table.head):
        yield f"<tr>{row(table.head, 'th')}</tr>"
    for number, cells in enumerate(table.rows):
        kind = ' class="bad"' if number in table.bad else ""
        yield f"<tr{kind}>{row(cells, 'td')}</tr>"
    yield "</table>"


def _plot(plot: Plot) -> Iterator[str]:
    frame = framed(plot)
    yield f"<h3>{escape(plot.title)}</h3>"
    keys = (
        f'<span><i style="background:{c}"></i>{escape(n)}</span>' for n, c in zip(plot.lines, COLOURS, strict=False)
    )
    if len(plot.lines) > 1:
        yield f'<p class="key">{"".join(keys)}</p>'
    yield f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(plot.title)}">'
    for tick in frame.ticks:
        _, y = _place(frame, 0.0, tick)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick_text(tick, frame)}</text>'
    for time_s in frame.times_s:
        x, _ = _place(frame, time_s, frame.low)
        anchor = "end" if x > WIDTH - 20 else "middle"
        yield f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{frame.hours(time_s)}</text>'
    for at_s, word in plot.marks:
        x, _ = _place(frame, at_s, frame.low)
        yield f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        yield f'<text x="{x + 3:.1f}" y="{TOP + 9}">{escape(word)}</text>'
    for (_, line), colour in zip(plot.lines.items(), COLOURS, strict=False):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_place(frame, t, v) for t, v in thinned(line)))
        yield f'<polyline stroke="{colour}" points="{points}"/>'
    yield "</svg>"


def _place(frame: Frame, seconds: float, value: float) -> tuple[float, float]:
    across, up = frame.at(seconds, value)
    return LEFT + (WIDTH - LEFT) * across, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * up
