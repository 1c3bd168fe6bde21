// What the chart and its table show: today's measured means, then the plan ahead, on one time axis. Pure.

import { isNumber } from "./format.js";

export const CURVES = ["import", "pv", "soc", "price"];

// Times in POSIX seconds with, for each curve, measured and planned values; null where there is none.
export function merge({ day, snapshot, topology, span_h }) {
  const now = Date.parse(snapshot.at) / 1000;
  const end = now + 3600 * span_h;
  const past = day ? measured(day, topology) : [];
  const last = past.at(-1)?.at ?? -Infinity;
  const ahead = planned(snapshot.plan, topology).filter(({ at, until }) => at < end && until > now);
  const rows = new Map(past.filter(({ at }) => at < now).map((row) => [row.at, row]));
  if (now > last) rows.set(now, { at: now, ...measuredNow(snapshot, topology) });
  for (const [at, price] of hourly(snapshot.prices)) if (at < end) Object.assign(touch(rows, at), { price });
  for (const slot of ahead) Object.assign(touch(rows, Math.max(slot.at, now)), slot.values);
  return { now, end, rows: [...rows.values()].toSorted((a, b) => a.at - b.at) };
}

const touch = (rows, at) => rows.get(at) ?? rows.set(at, { at }).get(at);

// The meter of the first connection; others have an id of their own.
const firstMeter = (topology) => ofKind(topology, "grid_meter").find(([, { connection }]) => !connection)?.[0];

export const ofKind = (topology, wanted) => Object.entries(topology?.assets ?? {}).filter(([, { kind, private: secret }]) => kind === wanted && !secret);

// A sum is known only where all its parts are.
function total(values) {
  return values.length && values.every(isNumber) ? values.reduce((sum, value) => sum + value, 0) : null;
}

function charge(topology, kwhOf) {
  const batteries = ofKind(topology, "battery");
  const capacity = total(batteries.map(([, { capacity_kwh }]) => capacity_kwh));
  const held = total(batteries.map(([id, { capacity_kwh }]) => kwhOf(id, capacity_kwh)));
  return capacity && isNumber(held) ? (100 * held) / capacity : null;
}

const share = (pct, capacity) => (isNumber(pct) ? (pct / 100) * capacity : null);

function measured({ start, step_s, series }, topology) {
  const length = Math.max(0, ...Object.values(series).map((values) => values.length));
  const grid = firstMeter(topology);
  const pv = ofKind(topology, "pv").map(([id]) => id);
  return Array.from({ length }, (_, step) => {
    const generated = total(pv.map((id) => series[id]?.[step]));
    return {
      at: Date.parse(start) / 1000 + step * step_s,
      import: series[grid]?.[step] ?? null,
      pv: isNumber(generated) ? -generated : null,
      soc: charge(topology, (id, capacity) => share(series[id]?.[step], capacity)),
    };
  });
}

function measuredNow({ assets = {}, points = {} }, topology) {
  const grid = firstMeter(topology);
  const generated = total(ofKind(topology, "pv").map(([id]) => assets[id]?.kw));
  const soc = (id, capacity) => share(points[`${assets[id]?.device}.soc_pct`]?.value, capacity);
  return { import: assets[grid]?.kw ?? null, pv: isNumber(generated) ? -generated : null, soc: charge(topology, soc) };
}

function planned(plan, topology) {
  if (!plan?.starts) return [];
  const starts = plan.starts.map((start) => Date.parse(start) / 1000);
  const ends = [...starts.slice(1), Date.parse(plan.ends ?? plan.starts.at(-1)) / 1000];
  const pv = ofKind(topology, "pv").map(([id]) => id);
  return starts.map((at, slot) => {
    const generated = total(pv.map((id) => plan.kw?.[id]?.[slot]));
    const values = {
      import_plan: plan.net_kw?.[slot] ?? null,
      pv_plan: isNumber(generated) ? -generated : null,
      soc_plan: charge(topology, (id) => plan.energy_kwh?.[id]?.[slot]),
    };
    if (isNumber(plan.price?.[slot])) values.price = plan.price[slot];
    return { at, until: ends[slot], values };
  });
}

function hourly(prices) {
  const from = Date.parse(prices?.hourly_from ?? NaN) / 1000;
  if (!isNumber(from)) return [];
  return (prices.hourly?.price ?? []).flatMap((price, hour) => (isNumber(price) ? [[from + 3600 * hour, price]] : []));
}

// Columns for a chart: holes stay null, what steps holds until its next sample.
export function columns(rows, keys) {
  return [rows.map(({ at }) => at), ...keys.map((key) => rows.map((row) => row[key] ?? (key in row ? null : undefined)))];
}
