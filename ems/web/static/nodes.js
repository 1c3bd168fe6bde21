// What the snapshot says of heat: who stands on which heat node, and the heat that flows into each asset. Pure.

import { isNumber } from "./format.js";
import { pointOf } from "./model.js";

const STANDS_KW = 0.05;

// Heat nodes in the site's order, each with its assets as [id, asset].
export function byNode(topology) {
  const assets = Object.entries(topology?.assets ?? {}).filter(([, { heat_node }]) => heat_node);
  return [...Map.groupBy(assets, ([, { heat_node }]) => heat_node)];
}

// Heat into an asset [kW], so of what gives heat negative: measured, or computed from the power or the fuel that it takes;
// null where nobody can tell. A tank takes what is left over, which nobody measures.
export function heatOf(id, asset, snapshot) {
  const live = snapshot.assets?.[id] ?? {};
  const measured = pointOf(live, asset.kind === "pipe" ? "sent_kw" : "heat_kw", snapshot);
  if (asset.private || asset.kind === "tank") return null;
  if (isNumber(measured)) return { kw: asset.kind === "pipe" || asset.kind === "heat_load" ? measured : -measured };
  const given = GIVEN[asset.kind]?.(asset, live, snapshot, id);
  return isNumber(given) ? { kw: -given, estimated: true } : null;
}

const GIVEN = {
  boiler: ({ efficiency }, live, snapshot) => times(efficiency, pointOf(live, "fuel_kw", snapshot)),
  electric_boiler: ({ efficiency }, { kw }) => times(efficiency, kw),
  genset: ({ heat_per_kw, heat_idle_kw }, { kw }) => (isNumber(kw) ? (kw < -STANDS_KW ? heat_idle_kw - heat_per_kw * kw : 0) : null),
  heat_source: (_, { kw }, snapshot, id) => (Math.abs(kw ?? NaN) < STANDS_KW ? 0 : times(performance(id, snapshot), kw)),
};

const times = (ratio, kw) => (isNumber(ratio) && isNumber(kw) ? ratio * kw : null);

// How much heat a kWh of power makes, as the plan has it in the running slot; null while it lets the pump stand.
function performance(id, snapshot) {
  const power = slotNow(snapshot, "kw", id);
  const heat = slotNow(snapshot, "heat_kw", id);
  return isNumber(heat) && power > STANDS_KW ? -heat / power : null;
}

export const plannedHeat = (id, snapshot) => slotNow(snapshot, "heat_kw", id);

function slotNow({ at, plan }, what, id) {
  const starts = plan?.starts ?? [];
  const slot = starts.findLastIndex((start) => Date.parse(start) <= Date.parse(at));
  return slot >= 0 && Date.parse(at) < Date.parse(plan.ends) ? (plan[what]?.[id]?.[slot] ?? null) : null;
}
