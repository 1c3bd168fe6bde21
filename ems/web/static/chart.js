// Today and the plan ahead: power, state of charge and price on one time axis, and the same as a table.

import { DASH, isNumber, number } from "./format.js";
import { columns, merge, ofKind } from "./series.js";
import { html, useEffect, useLayoutEffect, useRef } from "./ui.js";
import uPlot from "./vendor/uPlot.js";

const TABLE_STEP_S = 900;
const PANES = [
  { name: "chart.power", unit: "kW", height: 190, curves: ["import", "import_plan", "pv", "pv_plan"] },
  { name: "chart.charge", unit: "%", height: 110, curves: ["soc", "soc_plan"], range: [0, 100] },
  { name: "chart.price", unit: "", height: 120, curves: ["price"], axis: true },
];
const SPANS = ["6", "24", "48"];
const HEADS = ["import", "import_plan", "pv", "pv_plan", "soc", "soc_plan"];

export function Outlook({ day, snapshot, topology, site, clock, place, onPlace, theme, t, language }) {
  const merged = merge({ day, snapshot, topology, span_h: Number(place.span) });
  return html`<section class="panel outlook" aria-labelledby="outlook-title">
    <div class="head"><h2 id="outlook-title">${t("chart.title")}</h2>
      <p class="legend"><${Key} name="measured" /> ${t("chart.measured")} <${Key} name="planned" /> ${t("chart.planned")}
        <${Key} name="pv" /> ${t(hidesPv(topology) ? "chart.pv_shown" : "chart.pv")} <span class="soft">${t("chart.zone", { zone: site.timezone })}</span></p>
      <fieldset class="spans"><legend class="unseen">${t("chart.span")}</legend>
        ${SPANS.map((span) => html`<button type="button" aria-pressed=${place.span === span ? "true" : "false"} onClick=${() => onPlace({ span })}>${t("chart.hours", { hours: span })}</button>`)}
      </fieldset></div>
    ${panesOf(topology).map((pane) => html`<${Pane} key=${`${pane.name} ${language} ${theme}`} pane=${pane} merged=${merged} site=${site} t=${t} language=${language} limits=${topology?.limits} />`)}
    <${Table} merged=${merged} heads=${headsOf(topology)} site=${site} clock=${clock} t=${t} language=${language} />
  </section>`;
}

const stores = (topology) => ofKind(topology, "battery").length > 0;

// A site without a battery has no chart of batteries.
export const panesOf = (topology) => PANES.filter(({ name }) => name !== "chart.charge" || stores(topology));
export const headsOf = (topology) => HEADS.filter((key) => !key.startsWith("soc") || stores(topology));

const hidesPv = (topology) => Object.values(topology?.assets ?? {}).some(({ kind, private: secret }) => kind === "pv" && secret);

const Key = ({ name }) => html`<svg class=${`key ${name}`} viewBox="0 0 24 8" aria-hidden="true"><path d="M0 4H24" /></svg>`;

function Pane({ pane, merged, site, t, language, limits }) {
  const box = useRef(null);
  const plot = useRef(null);
  const kept = useRef(null);
  const data = columns(merged.rows, pane.curves);
  kept.current = { merged, limits };
  useLayoutEffect(() => {
    const options = optionsOf({ pane, site, t, language, kept, width: box.current.clientWidth });
    plot.current = new uPlot(options, data, box.current);
    const watch = new ResizeObserver(([entry]) => plot.current.setSize({ width: Math.floor(entry.contentRect.width), height: pane.height }));
    watch.observe(box.current);
    return () => {
      watch.disconnect();
      plot.current.destroy();
    };
  }, []);
  useEffect(() => plot.current.setData(data), [signature(data)]);
  const unit = pane.unit || `${site.currency}/kWh`;
  return html`<figure class="pane"><figcaption>${t(pane.name)} <span class="soft">${unit}</span></figcaption><div ref=${box} role="img" aria-label=${t("chart.see_table", { name: t(pane.name) })}></div></figure>`;
}

// Redrawing twice a second what has not changed is a waste: the chart follows its data only.
const signature = (data) => data.map((column) => `${column.length}:${column.at(-1)}:${column.find(isNumber)}:${column.reduce((sum, value) => sum + (value ?? 0), 0)}`).join("|");

function optionsOf({ pane, site, t, language, kept, width }) {
  const style = getComputedStyle(document.documentElement);
  const ink = (name) => style.getPropertyValue(name).trim();
  const time = new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, { timeZone: site.timezone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, { timeZone: site.timezone, weekday: "short" });
  const tick = (at) => (time.format(at) === "00:00" ? day.format(at) : time.format(at));
  const stepped = uPlot.paths.stepped({ align: 1 });
  const curve = (key) => ({
    label: t(`curve.${key}`),
    stroke: ink(key.startsWith("pv") ? "--curve-pv" : "--curve"),
    width: key.endsWith("_plan") ? 1.5 : 2,
    dash: key.endsWith("_plan") ? [6, 4] : undefined,
    paths: key === "price" || key === "import_plan" || key === "pv_plan" ? stepped : undefined,
    points: { show: false },
  });
  const axis = { stroke: ink("--soft"), font: "12px system-ui, sans-serif", grid: { stroke: ink("--line"), width: 1 }, ticks: { stroke: ink("--line"), width: 1, size: 4 } };
  return {
    width,
    height: pane.height,
    legend: { show: false },
    cursor: { sync: { key: "outlook" }, drag: { x: false, y: false }, points: { show: false } },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), site.timezone),
    scales: { x: { time: true, range: () => [firstOf(kept.current.merged), kept.current.merged.end] }, y: { range: pane.range ?? rangeOf(pane, kept) } },
    series: [{}, ...pane.curves.map(curve)],
    axes: [
      { ...axis, size: 28, values: (_, ticks) => ticks.map((at) => tick(new Date(at * 1000))) },
      { ...axis, size: 52, splits: pane.range ? () => [0, 50, 100] : undefined, values: (_, ticks) => ticks.map((value) => number(value, "", language, pane.axis ? 2 : 0)) },
    ],
    hooks: { draw: [(plot) => drawMarks(plot, kept.current, { ink, pane, t })] },
  };
}

const firstOf = ({ rows, now }) => Math.min(rows.find((row) => isNumber(row.import))?.at ?? now, now - 3600);

function rangeOf(pane, kept) {
  return (_, low, high) => {
    if (!isNumber(low) || !isNumber(high)) return [0, 1];
    const { limits } = kept.current;
    const bottom = Math.min(0, low);
    const top = Math.max(0, high);
    const room = Math.max(0.08 * (top - bottom), 0.02);
    if (pane.unit !== "kW") return [bottom < 0 ? bottom - room : 0, top + room];
    // Limits come into the picture where the curves come near them.
    const roof = limits && top > 0.6 * limits.import_kw ? Math.max(top, limits.import_kw) : top;
    const floor = limits && -bottom > 0.6 * limits.export_kw ? Math.min(bottom, -limits.export_kw) : bottom;
    return [floor - room, roof + room];
  };
}

// Now, zero and the limits of the connection.
function drawMarks(plot, { merged, limits }, { ink, pane, t }) {
  const { ctx, bbox } = plot;
  const rule = (colour, dash, path) => {
    ctx.strokeStyle = ink(colour);
    ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    path();
    ctx.stroke();
  };
  const level = (value, name = "") => () => {
    const y = Math.round(plot.valToPos(value, "y", true)) + 0.5;
    if (y < bbox.top || y > bbox.top + bbox.height) return;
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.fillText(name, bbox.left + bbox.width - 4 * devicePixelRatio, y + (value > 0 ? -4 : 13) * devicePixelRatio);
  };
  ctx.save();
  ctx.fillStyle = ink("--soft");
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "right";
  rule("--text", [2, 3], () => {
    const x = Math.round(plot.valToPos(merged.now, "x", true)) + 0.5;
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
  });
  if (!pane.range) rule("--soft", [], level(0));
  if (pane.unit === "kW" && limits) {
    rule("--limit", [8, 3], level(limits.import_kw, t("chart.import_limit")));
    rule("--limit", [8, 3], level(-limits.export_kw, t("chart.export_limit")));
  }
  ctx.restore();
}

function Table({ merged, heads, site, clock, t, language }) {
  const rows = merged.rows.filter(({ at }) => at % TABLE_STEP_S === 0 || at === merged.now);
  const cells = (row) => heads.map((key) => number(row[key], "kW", language, 1));
  return html`<details class="numbers"><summary>${t("chart.table")}</summary><div class="scroll" tabindex="0" role="region" aria-label=${t("chart.table")}>
    <table><thead><tr><th scope="col">${t("chart.time", { zone: site.timezone })}</th>${heads.map((key) => html`<th scope="col" class="number">${t(`curve.${key}`)} [${key.startsWith("soc") ? "%" : "kW"}]</th>`)}
      <th scope="col" class="number">${t("curve.price")} [${site.currency}/kWh]</th></tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${row.at}><th scope="row">${clock.day(new Date(row.at * 1000))} ${clock.time(new Date(row.at * 1000))}</th>
      ${cells(row).map((text) => html`<td class="number">${text}</td>`)}<td class="number">${isNumber(row.price) ? number(row.price, "", language, 3) : DASH}</td></tr>`)}</tbody></table></div></details>`;
}
