// The figures that an operator looks for first, each beside the limit that it is held to.

import { age, DASH, isNumber, money, number, withUnit } from "./format.js";
import { Mark } from "./icons.js";
import { connectionOf, exchangeLevel } from "./model.js";
import { html } from "./ui.js";

export function Tiles({ snapshot, topology, site, silent_s, t, language }) {
  const context = { snapshot, limits: topology?.limits ?? {}, accounts: snapshot.accounts, site, t, language };
  const first = [exchange, devices, price, carbon, demand, today, week].map((make) => make(context));
  const tiles = [...first, ...elsewhere(context)].filter(Boolean);
  return html`<section class=${silent_s > 0 ? "tiles lost" : "tiles"} aria-label=${t("tiles.title")}>${tiles.map((tile) => html`<${Tile} ...${tile} />`)}</section>`;
}

function Tile({ name, value, level = "good", note, bar }) {
  return html`<div class=${`tile ${level}`}><h2>${name}</h2>
    <p class="figure">${level !== "good" && html`<${Mark} level=${level} />`}${value}</p>
    ${bar && html`<${Bar} ...${bar} />`}<p class="note">${note}</p></div>`;
}

// A bar with its normal band between the limits; zero is marked where it lies inside.
export function Bar({ value, from, to, low, high, mark }) {
  const at = (number) => (100 * (Math.min(Math.max(number, from), to) - from)) / (to - from);
  const bad = isNumber(value) && (value < low || value > high);
  const zero = at(Math.max(from, Math.min(0, to)));
  return html`<svg class=${bad ? "gauge wide bad" : "gauge wide good"} viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
    <rect class="trough" width="100" height="10" /><rect class="band" x=${at(low)} width=${at(high) - at(low)} height="10" />
    ${isNumber(value) && html`<rect class="fill" x=${Math.min(zero, at(value))} y="3" width=${Math.abs(at(value) - zero)} height="4" />`}
    ${from < 0 && html`<path class="zero" d="M${zero} 0V10" />`}
    ${isNumber(mark) && html`<path class="pointer" d="M${at(mark)} 0V10" />`}
    <path class="limit" d="M${at(high)} 0V10" />${low > from && html`<path class="limit" d="M${at(low)} 0V10" />`}
  </svg>`;
}

// What other connections than the first one take, charge and cost, each under its id.
function elsewhere({ snapshot, t, language }) {
  return Object.entries(snapshot.connections ?? {}).flatMap(([id, own]) => {
    const limits = { import_kw: own.import_limit_kw, export_kw: own.export_limit_kw };
    const tiles = [exchangeOf(own.kw, { limits, t, language }), price({ snapshot: own, t, language }), demand({ snapshot: own, t, language })];
    return tiles.filter(Boolean).map((tile) => ({ ...tile, name: `${id}: ${tile.name}` }));
  });
}

const exchange = ({ snapshot, ...context }) => exchangeOf(connectionOf(snapshot)?.kw, context);

function exchangeOf(kw, { limits, t, language }) {
  const { import_kw = NaN, export_kw = NaN } = limits;
  const bounded = isNumber(import_kw);
  return {
    name: t(isNumber(kw) && kw < 0 ? "tile.export" : "tile.import"),
    value: withUnit(isNumber(kw) ? Math.abs(kw) : null, "kW", language, 1),
    level: bounded ? exchangeLevel(kw, limits) : "good",
    note: t("tile.limits", { import: withUnit(import_kw, "kW", language, 0), export: withUnit(export_kw, "kW", language, 0) }),
    bar: bounded && { value: kw, from: -export_kw * 1.2, to: import_kw * 1.2, low: -export_kw, high: import_kw },
  };
}

function devices({ snapshot, t }) {
  const states = Object.values(snapshot.devices ?? {});
  const online = states.filter(({ online }) => online).length;
  const all = online === states.length;
  return { name: t("tile.devices"), value: t("tile.of", { count: online, total: states.length }), level: all ? "good" : "bad", note: t(all ? "tile.all_answer" : "tile.some_silent") };
}

function price({ snapshot: { prices }, t, language }) {
  const unit = `${prices?.currency ?? ""}/kWh`;
  return { name: t("tile.price"), value: money(prices?.import, unit, language, 3), note: t("tile.sold", { price: money(prices?.export, unit, language, 3) }) };
}

function carbon({ snapshot: { prices }, t, language }) {
  const grams = isNumber(prices?.carbon_kg_per_kwh) ? 1000 * prices.carbon_kg_per_kwh : null;
  return { name: t("tile.carbon"), value: withUnit(grams, "g/kWh", language), note: t("tile.carbon_note") };
}

function demand({ snapshot: { demand }, t, language }) {
  if (!demand) return null;
  const { mean_kw: mean, target_kw: target, peak_kw: peak } = demand;
  return {
    name: t("tile.demand"),
    value: withUnit(mean, "kW", language, 1),
    level: isNumber(mean) && isNumber(target) && mean > target ? "uncertain" : "good",
    note: t("tile.demand_note", { target: withUnit(target, "kW", language, 1), peak: withUnit(peak, "kW", language, 1), left: age(demand.left_s, language) }),
    bar: isNumber(target) && { value: mean, from: 0, to: 1.2 * Math.max(target, mean ?? 0, peak ?? 0, 1), low: 0, high: target, mark: peak },
  };
}

function today({ accounts, site, t, language }) {
  const cost = accounts?.today_cost;
  const kg = accounts?.today_carbon_kg;
  if (!isNumber(cost) && !isNumber(kg)) return null;
  return { name: t("tile.today"), value: money(cost, site.currency, language), note: t("tile.today_note", { carbon: withUnit(kg, "kg", language) }) };
}

function week({ accounts, limits, t, language }) {
  const kg = accounts?.week_carbon_kg;
  const budget = accounts?.week_budget_kg ?? limits.carbon_kg_per_week;
  if (!isNumber(kg)) return null;
  return {
    name: t("tile.week"),
    value: withUnit(kg, "kg", language, 0),
    level: isNumber(budget) && kg > budget ? "uncertain" : "good",
    note: isNumber(budget) ? t("tile.week_note", { budget: withUnit(budget, "kg", language, 0), share: number((100 * kg) / budget, "pct", language) }) : DASH,
    bar: isNumber(budget) && { value: kg, from: 0, to: Math.max(budget, kg) * 1.1, low: 0, high: budget },
  };
}
