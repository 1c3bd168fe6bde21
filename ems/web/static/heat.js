// The heat nodes of a site: how warm their tanks are, and the heat that each asset takes or gives.

import { DASH, isNumber, number, withUnit } from "./format.js";
import { Mark, Symbol } from "./icons.js";
import { assetState, pointOf } from "./model.js";
import { byNode, heatOf, isTank, plannedHeat } from "./nodes.js";
import { Bar } from "./tiles.js";
import { html } from "./ui.js";

export function Heat({ snapshot, topology, silent_s, t, language }) {
  const nodes = byNode(topology);
  if (!nodes.length) return null;
  const context = { snapshot, silent_s, t, language };
  return html`<section class="panel heat" aria-labelledby="heat-title"><h2 id="heat-title">${t("heat.title")}</h2>
    ${nodes.map(([node, assets]) => html`<${Node} key=${node} node=${node} assets=${assets} context=${context} />`)}</section>`;
}

function Node({ node, assets, context }) {
  const { t } = context;
  const tanks = assets.filter(([, asset]) => isTank(asset));
  return html`<h3>${node}</h3>
    ${tanks.map(([id, tank]) => html`<${Tank} key=${id} id=${id} tank=${tank} context=${context} />`)}
    <table><thead><tr><th scope="col">${t("assets.asset")}</th><th scope="col" class="number">${t("heat.power")}</th><th scope="col" class="number">${t("heat.planned")}</th></tr></thead>
    <tbody>${assets.map(([id, asset]) => html`<${Row} key=${id} id=${id} asset=${asset} context=${context} />`)}</tbody></table>`;
}

function Tank({ id, tank, context }) {
  const { snapshot, t, language } = context;
  const { low_c, high_c } = tank;
  const degrees = tank.private ? null : pointOf(snapshot.assets?.[id] ?? {}, "temperature_c", snapshot);
  const outside = isNumber(degrees) && (degrees < low_c || degrees > high_c);
  const room = (high_c - low_c) / 2;
  return html`<p class="tank"><b>${outside && html`<${Mark} level="uncertain" />`}${id} ${withUnit(degrees, "degC", language, 1)}</b>
    <span class="soft">${t("heat.band", { low: number(low_c, "degC", language, 0), high: withUnit(high_c, "degC", language, 0) })}</span>
    ${outside && html`<span class="state uncertain">${t("heat.outside")}</span>`}</p>
    <${Bar} from=${low_c - room} to=${high_c + room} low=${low_c} high=${high_c} mark=${degrees} />`;
}

function Row({ id, asset, context }) {
  const { snapshot, silent_s, t, language } = context;
  const live = snapshot.assets?.[id] ?? {};
  const heat = heatOf(id, asset, snapshot);
  const told = heat ? `${heat.estimated ? "≈ " : ""}${number(heat.kw, "kW", language, 1)}` : DASH;
  return html`<tr class=${assetState(id, live, snapshot, silent_s).hatched ? "hatched" : ""}><th scope="row"><${Symbol} kind=${asset.kind} /> ${id}</th>
    <td class="number strong">${asset.private ? t("oneline.private") : told}</td><td class="number">${number(plannedHeat(id, snapshot), "kW", language, 1)}</td></tr>`;
}
