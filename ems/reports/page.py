"""The page that people read: what is stated, how good it is, what it rests on. Plain HTML, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from ems.reports.grades import WORDS
from ems.reports.tables import Kind, Table

SHOWN = ("summary", "connections", "scope2_by_meter", "meters", "factors", "register_steps")
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 110rem; padding: 0 1rem; color: #1a1a1a; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #ccc; text-align: left; vertical-align: top; }
th, td { white-space: nowrap; } th { font-weight: 600; } td { min-width: 4.5rem; }
td.number { text-align: right; white-space: nowrap; }
.simulated { border: 2px solid #b00; padding: .6rem 1rem; font-weight: 600; }
"""
RULES = (
    "Hours are UTC; local time with its offset stands beside. A register's energy is the difference of its readings; "
    "over a gap of up to 24 hours the difference is spread evenly and called substituted; beyond that, and where a "
    "register stepped, an hour is missing. Missing is never zero: a total leaves it out and says so.",
    "Unaccounted = import - export + PV + wind + generating sets + discharges - battery charge - EV - heat pumps - "
    "electric boilers - deferrable and metered loads: fixed loads without a meter, losses of lines and errors of "
    "meters. It is shown with its sign.",
    "Scope 1 is what the site burns: its fuel times the factor of that fuel. Where no register counts fuel, it is "
    "computed from a mean power, or from the curve of a generating set, and the figure's grade says so.",
    "Scope 2 is location-based: grid import times the factor of the hour. It is attributed to meters by their share in "
    "the end uses of the hour, a negative remainder taking none; an hour without end uses is not attributed.",
    "A factor issued after its hour is actual, one issued before is a forecast. Zones of the privacy class "
    "`personal` are told as sums only.",
)


def to_page(tables: Iterable[Table], manifest: Mapping[str, Any]) -> bytes:
    """Write the page.

    Args:
        tables: all tables of the report; the long ones are only named.
        manifest: what the report is and rests on, as far as it is known before the outputs.
    """
    every = list(tables)
    site, period = manifest["site"], manifest["period"]
    title = f"Carbon report: {site['name']}, {period['text']}"
    parts = [f"<h1>{escape(title)}</h1>", *_about(manifest)]
    parts += [_section(table) for table in every if table.name in SHOWN]
    parts.append(
        "<h2>Grades</h2><dl>" + "".join(f"<dt>{g}</dt><dd>{escape(w)}</dd>" for g, w in WORDS.items()) + "</dl>"
    )
    parts.append("<h2>Rules</h2>" + "".join(f"<p>{escape(rule)}</p>" for rule in RULES))
    parts.append("<h2>Inputs</h2>" + _inputs(manifest))
    long = ", ".join(f"{table.name} ({len(table.rows)} rows)" for table in every if table.name not in SHOWN)
    parts.append(f"<h2>Further tables</h2><p>{escape(long)}: as CSV, as Parquet and in report.xlsx.</p>")
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{"".join(parts)}\n</body></html>\n'.encode()


def _about(manifest: Mapping[str, Any]) -> list[str]:
    period, tool = manifest["period"], manifest["tool"]
    found = []
    if manifest["simulated"]:
        found.append(
            '<p class="simulated">Simulated: the readings come from a pretend world. Nobody measured this.</p>'
        )
    words = f"{period['hours']} hours from {period['start']} to {period['end']} (UTC, end excluded), "
    words += f"local time {manifest['site']['timezone']}."
    made = (
        f"Made by {escape(tool['name'])} {escape(tool['version'])}; <code>ems report verify</code> checks this folder "
    )
    return [*found, f"<p>{escape(words)}</p>", f"<p>{made}and makes it again.</p>"]


def _section(table: Table) -> str:
    if not table.rows:
        return f"<h2>{escape(table.title)}</h2><p>None.</p>"
    kinds = ["number" if c.kind in {Kind.NUMBER, Kind.WHOLE} else "text" for c in table.columns]
    head = "".join(f"<th>{escape(column.name)}</th>" for column in table.columns)
    rows = "".join(
        "<tr>" + "".join(f'<td class="{k}">{escape(v)}</td>' for k, v in zip(kinds, row, strict=True)) + "</tr>\n"
        for row in table.texts()
    )
    return f"<h2>{escape(table.title)}</h2><table><tr>{head}</tr>\n{rows}</table>"


def _inputs(manifest: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(i['name'])}</td><td><code>{i['sha256']}</code></td></tr>\n" for i in manifest["inputs"]
    )
    return f"<table><tr><th>file</th><th>SHA-256</th></tr>\n{rows}</table>"
