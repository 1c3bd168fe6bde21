// What the snapshot says of heat: who stands on which heat node, and the heat that flows into each asset. Pure.

import { isNumber } from "./format.js";
import { pointOf } from "./model.js";

const STANDS_KW = 0.05;

// Kinds for cold, and what they are for heat. Cold is heat taken away: what a chiller gives is heat into it.
const IN_A_MIRROR = { cold_load: "heat_load", cold_tank: "tank", chiller: "heat_source", cold_pipe: "pipe" };

const kindOf = ({ kind }) => IN_A_MIRROR[kind] ?? kind;

export const isTank = (asset) => kindOf(asset) === "tank";

// Heat nodes in the site's order, each with its assets as [id, asset].
export function byNode(topology) {
  const assets = Object.entries(topology?.assets ?? {}).filter(([, { heat_node }]) => heat_node);
  return [...Map.groupBy(assets, ([, { heat_node }]) => heat_node)];
}

// Heat into an asset [kW], so of what gives heat negative: measured, or computed from the power or the fuel that it takes;
// null where nobody can tell. A tank takes what is left over, which nobody measures.
export function heatOf(id, asset, snapshot) {
  const live = snapshot.assets?.[id] ?? {};
  const kind = kindOf(asset), sign = kind === asset.kind ? 1 : -1;
  const measured = pointOf(live, kind === "pipe" ? "sent_kw" : "heat_kw", snapshot);
  if (asset.private || kind === "tank") return null;
  if (isNumber(measured)) return { kw: sign * (kind === "pipe" || kind === "heat_load" ? measured : -measured) };
  const given = GIVEN[kind]?.(asset, live, snapshot, id);
  return isNumber(given) ? { kw: -sign * given, estimated: true } : null;
}

const GIVEN = {
  boiler: ({ efficiency }, live, snapshot) => times(efficiency, pointOf(live, "fuel_kw", snapshot)),
  electric_boiler: ({ efficiency }, { kw }) => times(efficiency, kw),
  genset: ({ heat_per_kw, heat_idle_kw }, { kw }) => (isNumber(kw) ? (kw < -STANDS_KW ? heat_idle_kw - heat_per_kw * kw : 0) : null),
  heat_source: (_, { kw }, snapshot, id) => (Math.abs(kw ?? NaN) < STANDS_KW ? 0 : times(performance(id, snapshot), kw)),
};

const times = (ratio, kw) => (isNumber(ratio) && isNumber(kw) ? ratio * kw : null);

// How much heat or cold a kWh of power makes, as the plan has it in the running slot; null while it lets the pump stand.
function performance(id, snapshot) {
  const power = slotNow(snapshot, "kw", id);
  const heat = slotNow(snapshot, "heat_kw", id);
  return isNumber(heat) && power > STANDS_KW ? Math.abs(heat) / power : null;
}

export const plannedHeat = (id, snapshot) => slotNow(snapshot, "heat_kw", id);

function slotNow({ at, plan }, what, id) {
  const starts = plan?.starts ?? [];
  const slot = starts.findLastIndex((start) => Date.parse(start) <= Date.parse(at));
  return slot >= 0 && Date.parse(at) < Date.parse(plan.ends) ? (plan[what]?.[id]?.[slot] ?? null) : null;
}
