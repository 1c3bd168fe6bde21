// What the snapshot means for whoever looks: states of assets, what is abnormal, what is known of the grid. Pure.

import { isNumber } from "./format.js";

export const NORMAL_HEALTH = "normal";
const STALE_S = 30;

// How an asset is: normal, or what is not as it should be, worst first, each with a level and a key of the catalogue.
export function assetState(id, asset, snapshot, silent_s = 0) {
  const device = snapshot.devices?.[asset.device];
  const points = asset.device ? pointsOf(asset.device, snapshot) : [];
  const notes = [];
  if (device && !device.online) notes.push({ level: "bad", key: "state.offline" });
  const bad = points.filter(({ quality }) => quality === "bad").length;
  if (device?.online && bad) notes.push({ level: "bad", key: "state.bad_values", values: { count: bad } });
  else if (device?.online && points.some(({ quality }) => quality === "uncertain")) notes.push({ level: "uncertain", key: "state.uncertain" });
  const age_s = newestAge(points, silent_s);
  const stale = isNumber(age_s) && age_s > STALE_S;
  if (device?.online && stale) notes.push({ level: "bad", key: "state.stale" });
  if ((snapshot.alarms ?? []).some(({ key }) => key === `following:${id}`)) notes.push({ level: "bad", key: "state.not_following" });
  if (device?.lockout) notes.push({ level: "hand", key: "state.locked_out" });
  if (device?.released) notes.push({ level: "hand", key: "state.released" });
  if (asset.rung === "operator") notes.push({ level: "hand", key: "state.overridden" });
  const hatched = stale || device?.online === false || silent_s > 0;
  return { level: notes[0]?.level ?? "good", notes, age_s, hatched, estimated: asset.kind === "load", mode: device?.mode ?? "" };
}

function pointsOf(device, { points = {} }) {
  const start = `${device}.`;
  return Object.entries(points).flatMap(([name, point]) => (name.startsWith(start) ? [point] : []));
}

function newestAge(points, silent_s) {
  const ages = points.map(({ age_s }) => age_s).filter(isNumber);
  return ages.length ? Math.min(...ages) + silent_s : null;
}

export function pointOf(asset, role, { points = {} }) {
  const point = points[`${asset.device}.${role}`];
  return isNumber(point?.value) && point.quality !== "bad" ? point.value : null;
}

export function connectionOf(snapshot) {
  return Object.entries(snapshot?.assets ?? {}).find(([, { kind, connection }]) => kind === "grid_meter" && !connection)?.[1] ?? null;
}

// Items in somebody's hand: requests in force, and what the site file itself locks out.
export function manualItems({ manual = [], devices = {} }) {
  const asked = new Set(manual.filter(({ kind }) => kind === "lockout").map(({ target }) => target));
  const filed = Object.entries(devices).filter(([id, { lockout }]) => lockout && !asked.has(id));
  return [...manual, ...filed.map(([target, { lockout }]) => ({ kind: "lockout", target, reason: lockout }))];
}

export function modes({ devices = {} }) {
  const counts = { control: 0, advise: 0, monitor: 0 };
  for (const { mode } of Object.values(devices)) counts[mode] = (counts[mode] ?? 0) + 1;
  return counts;
}

// Voltage at a bus: measured by a meter there, else estimated; with the band where there is one.
export function voltageAt(bus, topology, snapshot) {
  for (const [id, { bus: at }] of Object.entries(topology.assets)) {
    const volts = at === bus.id ? pointOf(snapshot.assets?.[id] ?? {}, "voltage_v", snapshot) : null;
    if (volts !== null) return { pu: (volts * Math.sqrt(3)) / (1000 * bus.vn_kv), estimated: false };
  }
  const told = snapshot.estimate?.buses?.[bus.id];
  if (!isNumber(told?.voltage_pu)) return null;
  return { pu: told.voltage_pu, low: told.low, high: told.high, estimated: true, unseen: told.observable === false };
}

// Loading of a branch: estimated; of the transformer at the meter else from the active power alone.
export function loadingOf(bus, topology, snapshot) {
  const told = snapshot.estimate?.branches?.[bus.branch.name];
  if (isNumber(told?.loading_pct)) return { pct: told.loading_pct, low: told.low, high: told.high, estimated: true };
  const kva = bus.branch.rated_kva;
  const below = Object.entries(topology.assets).find(([, { kind, bus: at }]) => kind === "grid_meter" && at === bus.id);
  const kw = below ? snapshot.assets?.[below[0]]?.kw : null;
  return bus.branch.kind === "transformer" && isNumber(kw) && kva ? { pct: (100 * Math.abs(kw)) / kva, estimated: true, active: true } : null;
}

export const voltageLevel = ({ pu }, { voltage_min_pu, voltage_max_pu }) => (pu < voltage_min_pu || pu > voltage_max_pu ? "bad" : "good");
export const loadingLevel = ({ pct }, { loading_max_pct }) => (pct > loading_max_pct ? "bad" : "good");

export function exchangeLevel(kw, { import_kw, export_kw }) {
  if (!isNumber(kw)) return "good";
  return kw > import_kw || kw < -export_kw ? "bad" : "good";
}

// Power that flows towards a bus: the sum of everything behind it, where everything is known.
export function flowsInto(topology, snapshot) {
  const children = Map.groupBy(topology.buses, ({ parent }) => parent);
  const hanging = Map.groupBy(Object.entries(topology.assets), ([, { bus }]) => bus);
  const flows = {};
  const visit = ({ id }) => {
    const own = (hanging.get(id) ?? []).filter(([, { kind }]) => kind !== "grid_meter").map(([name]) => snapshot.assets?.[name]?.kw);
    const parts = [...own, ...(children.get(id) ?? []).map(visit)];
    flows[id] = parts.every(isNumber) ? parts.reduce((sum, kw) => sum + kw, 0) : null;
    return flows[id];
  };
  for (const root of children.get(null) ?? []) visit(root);
  return flows;
}
