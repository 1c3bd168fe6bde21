// The one-line diagram: source, transformer, busbar, feeders, and on each bus what hangs there, live.

import { DASH, isNumber, number, withUnit } from "./format.js";
import { SYMBOLS } from "./icons.js";
import { layOut, SIZE } from "./layout.js";
import { assetState, connectionOf, exchangeLevel, flowsInto, loadingLevel, loadingOf, pointOf, voltageAt, voltageLevel } from "./model.js";
import { html, useLayoutEffect, useMemo, useRef, useState } from "./ui.js";

const STILL_KW = 0.05;

export function Diagram({ topology, snapshot, silent_s, t, language }) {
  const box = useRef(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  const plan = useMemo(() => (topology && width ? layOut(topology, width) : null), [topology, width]);
  const context = { topology, snapshot, silent_s, t, language, flows: plan ? flowsInto(topology, snapshot) : {} };
  return html`<div class="diagram" ref=${box}>${plan && html`<${Drawing} plan=${plan} context=${context} />`}</div>`;
}

function Drawing({ plan, context }) {
  const { t, silent_s } = context;
  return html`<svg class=${silent_s > 0 ? "oneline lost" : "oneline"} width=${plan.width} height=${plan.height} role="group" aria-label=${t("oneline.title")}>
    <defs><pattern id="hatch" width="7" height="7" patternTransform="rotate(45)" patternUnits="userSpaceOnUse"><path class="hatch" d="M0 0V7" /></pattern></defs>
    ${plan.wires.map(([x1, y1, x2, y2]) => html`<path class="wire" d="M${x1} ${y1}L${x2} ${y2}" />`)}
    <${Head} plan=${plan} context=${context} />
    ${plan.buses.map((spot) => html`<${Bus} key=${spot.bus.id} spot=${spot} context=${context} />`)}
    ${plan.assets.map((spot) => html`<${Asset} key=${spot.id} spot=${spot} context=${context} />`)}
  </svg>`;
}

// Source, transformer, meter and main busbar.
function Head({ plan, context }) {
  const { topology, snapshot, t, language } = context;
  const { limits } = topology;
  const transformer = plan.main.branch?.kind === "transformer";
  const kw = connectionOf(snapshot)?.kw;
  const loading = transformer ? loadingOf(plan.main, topology, snapshot) : null;
  const voltage = voltageAt(plan.main, topology, snapshot);
  const level = exchangeLevel(kw, limits);
  return html`
    <path class="wire" d="M26 18V${SIZE.busbar}" />
    <path class="source" d="M14 6h24v14h-24zM14 13l7-7M14 20l14-14M21 20l14-14M28 20l10-10" />
    ${transformer && html`<g class="transformer"><circle cx="26" cy="46" r="11" /><circle cx="26" cy="61" r="11" /></g>`}
    <${Arrow} x=${26} y=${86} kw=${kw} down />
    <path class="busbar" d="M0 ${SIZE.busbar}H${plan.width}" />
    <text class="name" x="48" y="17">${plan.source.id === plan.main.id ? t("oneline.grid") : plan.source.id}</text>
    ${transformer && html`<text x="48" y="43" class="soft">${t("oneline.transformer")} ${withUnit(plan.main.branch.rated_kva, "kVA", language, 0)}</text>
      <${Gauge} x=${48} y=${49} width=${110} value=${loading?.pct} from=${0} to=${Math.max(125, (loading?.pct ?? 0) * 1.05)} high=${limits.loading_max_pct} />
      <${Level} x=${166} y=${58} level=${loading ? loadingLevel(loading, limits) : "good"} text=${loading ? `${loading.estimated ? "≈ " : ""}${number(loading.pct, "pct", language)} %` : DASH} start />
      <title>${loading?.active ? t("oneline.active_only") : ""}</title>`}
    <text x="48" y="81" class="soft">${t(isNumber(kw) && kw < 0 ? "oneline.export" : "oneline.import")}</text>
    <${Gauge} x=${48} y=${87} width=${110} value=${kw} from=${-limits.export_kw * 1.25} to=${limits.import_kw * 1.25} low=${-limits.export_kw} high=${limits.import_kw} />
    <${Level} x=${166} y=${96} level=${level} text=${withUnit(isNumber(kw) ? Math.abs(kw) : null, "kW", language, 1)} start strong />
    <text class="name" x="48" y=${SIZE.busbar - 10}>${plan.main.id}</text>
    <${Voltage} x=${166} y=${SIZE.busbar - 10} voltage=${voltage} bus=${plan.main} context=${context} start />`;
}

function Bus({ spot, context }) {
  const { bus, x, y, right } = spot;
  const { topology, snapshot, flows, t, language } = context;
  const loading = bus.branch ? loadingOf(bus, topology, snapshot) : null;
  const kw = flows[bus.id];
  const flow = isNumber(kw) ? `≈ ${number(Math.abs(kw), "kW", language, 1)} kW` : DASH;
  const level = loading ? loadingLevel(loading, topology.limits) : "good";
  return html`<g class="bus" role="group" aria-label=${`${t("oneline.bus")} ${bus.id}`}>
    <path class="bar" d="M${x} ${y}H${right}" />
    <text class="name" x=${x + 4} y=${y - 25}>${bus.id}</text>
    <${Arrow} x=${x + 9} y=${y - 12} kw=${kw} down />
    <text class="soft" x=${x + 18} y=${y - 8}>${flow}</text>
    ${loading && html`<${Gauge} x=${x + 92} y=${y - 15} width=${36} value=${loading.pct} from=${0} to=${125} high=${topology.limits.loading_max_pct} />
      <${Level} x=${x + 133} y=${y - 8} level=${level} text=${`≈ ${number(loading.pct, "pct", language)} %`} start />`}
    <${Voltage} x=${right} y=${y - 25} voltage=${voltageAt(bus, topology, snapshot)} bus=${bus} context=${context} />
  </g>`;
}

// A voltage in volts with its place in the permitted band; what was estimated says so.
function Voltage({ x, y, voltage, bus, context, start }) {
  if (!voltage) return null;
  const { topology: { limits }, t, language } = context;
  const volts = (pu) => (pu * bus.vn_kv * 1000) / Math.sqrt(3);
  const told = bus.vn_kv < 1 ? withUnit(volts(voltage.pu), "V", language) : withUnit(voltage.pu, "pu", language);
  const width = (limits.voltage_max_pu - limits.voltage_min_pu) / 2;
  const band = { from: limits.voltage_min_pu - width, to: limits.voltage_max_pu + width, low: limits.voltage_min_pu, high: limits.voltage_max_pu };
  const text = `${voltage.estimated ? "≈ " : ""}${told}${voltage.unseen ? " ?" : ""}`;
  return html`<g><title>${t(voltage.unseen ? "oneline.unobservable" : voltage.estimated ? "oneline.estimated" : "oneline.measured")} · ${number(voltage.pu, "pu", language)} pu</title>
    <${Level} x=${x} y=${y} level=${voltageLevel(voltage, limits)} text=${text} start=${start} />
    <${Gauge} x=${start ? x + 74 : x - 42} y=${start ? y - 7 : y + 10} width=${42} value=${voltage.pu} ...${band} point range=${[voltage.low, voltage.high]} /></g>`;
}

const RANGE = {
  pv: ({ rated_kw }) => [-rated_kw, 0],
  wind: ({ rated_kw }) => [-rated_kw, 0],
  battery: ({ charge_kw, discharge_kw }) => [-discharge_kw, charge_kw],
  hybrid: ({ rated_kw, take_kw }) => [-rated_kw, take_kw],
  charge_point: ({ charge_kw, discharge_kw }) => [-discharge_kw, charge_kw],
  heat_pump: ({ rated_kw }) => [0, rated_kw],
  genset: ({ rated_kw }) => [-rated_kw, 0],
  deferrable: ({ most_kw }) => [0, most_kw],
  electric_boiler: ({ rated_kw }) => [0, rated_kw],
  heat_source: ({ rated_kw }) => [0, rated_kw],
};

function Asset({ spot, context }) {
  const { id, asset, x, y, right, stub } = spot;
  const { snapshot, silent_s, t, language } = context;
  const live = snapshot.assets?.[id] ?? {};
  const state = assetState(id, live, snapshot, silent_s);
  const range = RANGE[asset.kind]?.(asset);
  const secret = asset.private;
  const value = secret ? t("oneline.private") : `${state.estimated && isNumber(live.kw) ? "≈ " : ""}${withUnit(live.kw, "kW", language, 1)}`;
  const room = Math.max(6, Math.floor((right - x - 32 - 7.2 * value.length) / 7));
  const note = state.notes[0];
  const words = note ? t(note.key, note.values) : secret ? "" : detail(asset, live, context);
  return html`<g class=${`asset ${state.level}`} role="group" aria-label=${`${id}: ${value}${words ? `, ${words}` : ""}`}>
    <title>${id}${live.reason ? `: ${live.reason}` : ""}</title>
    ${state.hatched && html`<rect class="hatched" x=${x + 26} y=${y - 18} width=${right - x - 26} height=${34} />`}
    <path class="wire" d="M${stub} ${y}H${x + 8}" />
    <${Arrow} x=${(stub + x + 9) / 2} y=${y} kw=${live.kw} />
    <path class="symbol" transform="translate(${x + 9} ${y - 8})" d=${SYMBOLS[asset.kind] ?? ""} />
    <text class="label" x=${x + 32} y=${y - 3}>${shortened(id, room)}</text>
    <text class=${secret ? "soft end" : "value end"} x=${right} y=${y - 3}>${value}</text>
    ${range && !secret && html`<${Gauge} x=${x + 32} y=${y + 4} width=${72} value=${live.kw} from=${range[0]} to=${range[1]} />`}
    <${Level} x=${right} y=${y + 12} level=${note?.level ?? "good"} text=${words} soft />
  </g>`;
}

const shortened = (text, room) => (text.length > room ? `${text.slice(0, room - 1)}…` : text);

function detail(asset, live, context) {
  const { snapshot, t, language } = context;
  if (asset.kind === "battery" || asset.kind === "hybrid") return withUnit(pointOf(live, "soc_pct", snapshot), "pct", language);
  if (asset.kind === "heat_pump") return withUnit(pointOf(live, "temperature_c", snapshot), "degC", language);
  if (asset.kind === "deferrable") return t.known(`deferrable.${pointOf(live, "state", snapshot)}`, DASH);
  if (asset.kind === "charge_point") return t.known(`charge_point.${pointOf(live, "state", snapshot)}`, DASH);
  if ((asset.kind === "pv" || asset.kind === "wind") && isNumber(live.command_kw) && live.command_kw > -asset.rated_kw + STILL_KW) {
    return t("oneline.limited", { limit: withUnit(-live.command_kw, "kW", language, 1) });
  }
  return "";
}

// Down or right is towards the asset (positive); nothing is drawn where nothing flows or nothing is known.
function Arrow({ x, y, kw, down = false }) {
  if (!isNumber(kw) || Math.abs(kw) < STILL_KW) return null;
  const turn = (down ? 90 : 0) + (kw < 0 ? 180 : 0);
  return html`<path class="arrow" transform="translate(${x} ${y}) rotate(${turn})" d="M-4 -4.5L5 0L-4 4.5z" />`;
}

// A bar with its normal band: filled from zero to the value, or with a pointer at it.
function Gauge({ x, y, width, value, from, to, low = from, high = to, point = false, range = [] }) {
  const at = (number) => x + (width * (Math.min(Math.max(number, from), to) - from)) / (to - from);
  const zero = at(Math.min(Math.max(0, from), to));
  const level = isNumber(value) && (value < low || value > high) ? "bad" : "good";
  const banded = low !== from || high !== to;
  return html`<g class=${`gauge ${level}`} aria-hidden="true">
    <rect class="trough" x=${x} y=${y} width=${width} height="7" />
    ${banded && html`<rect class="band" x=${at(low)} y=${y} width=${at(high) - at(low)} height="7" />`}
    ${isNumber(value) && !point && html`<rect class="fill" x=${Math.min(zero, at(value))} y=${y + 1.5} width=${Math.abs(at(value) - zero)} height="4" />`}
    ${range.every(isNumber) && range.length && html`<rect class="spread" x=${at(range[0])} y=${y + 2} width=${at(range[1]) - at(range[0])} height="3" />`}
    ${isNumber(value) && point && html`<path class="pointer" d="M${at(value)} ${y - 2}v11" />`}
    ${banded && [low, high].filter((limit) => limit > from && limit < to).map((limit) => html`<path class="limit" d="M${at(limit)} ${y - 2}v11" />`)}
    ${from < 0 && to > 0 && html`<path class="zero" d="M${zero} ${y}v7" />`}
  </g>`;
}

// Words that take a colour and a shape only where something is abnormal; the shape stands at the words' fixed end.
function Level({ x, y, level, text, start = false, strong = false, soft = false }) {
  const shape = { bad: "M4 0l4 8H0z", uncertain: "M4 0l4 4-4 4-4-4z", hand: "M0 0h8v8H0z" }[level];
  const shift = shape ? 12 : 0;
  return html`<g class=${`level ${level}`}>
    ${shape && html`<path d=${shape} transform="translate(${start ? x : x - 8} ${y - 8})" />`}
    <text class=${`${start ? "" : "end"} ${strong ? "strong" : ""} ${soft ? "small" : ""}`} x=${start ? x + shift : x - shift} y=${y}>${text}</text>
  </g>`;
}
