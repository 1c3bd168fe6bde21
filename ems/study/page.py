"""The page of a backtest: one file without scripts, the table and plots as inline SVG, light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ems.store.encoding import to_json

WIDTH, HEIGHT, LEFT, BOTTOM = 1080, 170, 56, 22
DAY_S = 86400.0
TICKS = 4
MOST_POINTS = 2200

Track = Mapping[str, Sequence[float]]
Rows = Sequence[Sequence[str]]

STYLE = """
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --grid: #ddd; }
@media (prefers-color-scheme: dark) { :root { --ink: #ddd; --paper: #16181b; --grid: #3a3d42; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 1120px; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .9rem; border-bottom: 1px solid var(--grid); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--ink); font-size: 11px; }
.grid { stroke: var(--grid); stroke-width: 1; }
polyline { fill: none; stroke-width: 1.1; }
.plan { stroke: #2f7fd0; } .rules { stroke: #b36b00; } .none { stroke: #8a8d91; } .oracle { stroke: #2a9158; }
.key { margin-right: 1.4em; }
.key::before { content: ""; display: inline-block; width: 1.4em; height: 3px; margin-right: .4em;
  vertical-align: middle; background: currentColor; }
"""
KEY_COLOURS = {"plan": "#2f7fd0", "rules": "#b36b00", "none": "#8a8d91", "oracle": "#2a9158"}


def write_page(path: Path, result: Mapping[str, Any], tracks: Mapping[str, Track], rows: Rows) -> None:
    """Write the page of a backtest.

    Args:
        path: the file.
        result: as `ems.study.backtest.table` gives it.
        tracks: by arm, every 15 minutes.
        rows: the table for people, the head first.

    Raises:
        OSError: the file cannot be written.
    """
    path.write_text("\n".join(_page(result, tracks, rows)) + "\n", encoding="utf-8")


def _page(result: Mapping[str, Any], tracks: Mapping[str, Track], rows: Rows) -> Iterator[str]:
    title = f"Backtest of {result['site']}, {result['from'][:10]} to {result['to'][:10]}"
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
    yield f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
    yield from _table(rows)
    share = result["captured_share"]
    if share is not None:
        yield f"<p>The plan captures {share:.1%} of what perfect foresight saves.</p>"
    keys = "".join(
        f'<span class="key" style="color:{KEY_COLOURS[name]}"><span style="color:var(--ink)">{name}</span></span>'
        for name in tracks
    )
    yield f"<h2>Power at the connection, import positive [kW]</h2><p>{keys}</p>"
    yield from _plot({name: (track["elapsed_s"], track["import_kw"]) for name, track in tracks.items()})
    for name, track in tracks.items():
        for column in (c for c in track if c.endswith(":kw")):
            yield f"<h3>{escape(column.removesuffix(':kw'))}, {name} [kW into it]</h3>"
            yield from _plot({name: (track["elapsed_s"], track[column])})
    yield f"<details><summary>All figures</summary><pre>{escape(to_json(dict(result)))}</pre></details></body></html>"


def _table(rows: Rows) -> Iterator[str]:
    yield "<table>"
    for i, row in enumerate(rows):
        tag = "td" if i else "th"
        yield "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + "</tr>"
    yield "</table>"


def _plot(lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Iterator[str]:
    """Draw lines over the days of the period, with zero always in sight."""
    values = [v for _, line in lines.values() for v in line]
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    end_s = max(times[-1] for times, _ in lines.values())

    def x(seconds: float) -> float:
        return LEFT + (WIDTH - LEFT) * seconds / end_s

    def y(value: float) -> float:
        return 8.0 + (HEIGHT - BOTTOM - 8.0) * (high - value) / span

    yield f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
    for tick in range(TICKS + 1):
        value = low + span * tick / TICKS
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        yield f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.1f}</text>'
    for day in range(int(end_s // DAY_S) + 1):
        yield f'<text x="{x(day * DAY_S):.1f}" y="{HEIGHT - 6}">{day}</text>'
    for name, (times, line) in lines.items():
        thin = max(1, len(line) // MOST_POINTS)
        points = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in zip(times[::thin], line[::thin], strict=True))
        yield f'<polyline class="{escape(name)}" points="{points}"/>'
    yield "</svg>"
