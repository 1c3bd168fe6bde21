// What is coming, who waits, what each zone takes, and every asset with the reason for what it does.

import { age, DASH, isNumber, number, unitName, withUnit } from "./format.js";
import { Mark, Symbol } from "./icons.js";
import { assetState, manualItems } from "./model.js";
import { html } from "./ui.js";

export function Warnings({ snapshot, clock, t, language }) {
  if (!Array.isArray(snapshot.warnings)) return null;
  const open = snapshot.warnings.filter(({ outcome }) => !outcome || outcome === "open");
  return html`<section class="panel" aria-labelledby="warnings-title"><h2 id="warnings-title">${t("warnings.title")}</h2>
    ${!open.length && html`<p class="soft">${t("warnings.none")}</p>`}
    <ul class="items">${open.map((one) => html`<li key=${one.key}><${Mark} level="uncertain" /><b>${t.known(`warning.${one.kind}`, one.kind)} ${one.element}</b>
      <span>${t("warnings.when", { from: clock.time(one.onset ?? one.begins), to: clock.time(one.ends), share: number(100 * one.probability, "pct", language) })}</span>
      <span class="soft">${t("warnings.worst", { worst: amount(one.worst?.q50, one.unit, language), limit: amount(one.limit, one.unit, language) })}</span>
      ${one.concerns?.length > 1 && html`<span class="soft">${t("warnings.also")} ${one.concerns.slice(1).map((each) => concern(each, t, language)).join("; ")}</span>`}
      ${one.cause && html`<span class="soft" lang="en">${one.cause}</span>`}</li>`)}</ul></section>`;
}

const concern = ({ kind, element, probability }, t, language) => `${t.known(`warning.${kind}`, kind)} ${element} (${number(100 * probability, "pct", language)} %)`;

const amount = (value, unit, language) => (isNumber(value) ? `${number(value, unit, language)} ${unitName(unit)}` : DASH);

export function Queues({ snapshot, clock, t, language }) {
  const parks = Object.entries(snapshot.queues ?? {});
  if (!parks.length) return null;
  return html`<section class="panel" aria-labelledby="queues-title"><h2 id="queues-title">${t("queues.title")}</h2>
    ${parks.map(([park, queue]) => html`<${Park} key=${park} park=${park} queue=${queue} clock=${clock} t=${t} language=${language} />`)}</section>`;
}

function Park({ park, queue, clock, t, language }) {
  const waiting = queue.waiting ?? [];
  return html`<h3>${park}</h3>
    ${!waiting.length && html`<p class="soft">${t("queues.nobody")}</p>`}
    <ul class="items">${waiting.map((one) => html`<li key=${one.car}>${one.in_time === false && html`<${Mark} level="uncertain" />`}<b>${one.place}. ${one.car}</b>
      <span>${turn(one, clock, t)}</span>${one.in_time === false && html`<span class="state uncertain">${t("queues.late")}</span>`}
      ${isNumber(one.energy_kwh) && html`<span class="soft">${t("queues.wants", { energy: withUnit(one.energy_kwh, "kWh", language), time: clock.time(one.departure) })}</span>`}</li>`)}</ul>`;
}

function turn({ point, called, expected_start }, clock, t) {
  if (called) return t("queues.called", { point });
  if (!point) return t("queues.no_point");
  return expected_start ? t("queues.expected", { point, time: clock.time(expected_start) }) : point;
}

export function Zones({ snapshot, topology, t, language }) {
  const zones = Object.entries(snapshot.zones ?? {});
  if (!zones.length) return null;
  return html`<section class="panel" aria-labelledby="zones-title"><h2 id="zones-title">${t("zones.title")}</h2>
    <table><thead><tr><th scope="col">${t("zones.zone")}</th><th scope="col">${t("zones.use")}</th><th scope="col" class="number">${t("zones.power")}</th></tr></thead>
    <tbody>${zones.map(([id, zone]) => html`<tr key=${id}><th scope="row">${id}${privacy(topology?.zones?.[id] ?? zone, t)}</th><td>${t.known(`use.${topology?.zones?.[id]?.use ?? zone.use}`, DASH)}</td>
      <td class="number">${withUnit(zone.kw, "kW", language, 1)}</td></tr>`)}</tbody></table></section>`;
}

const privacy = ({ privacy: kind }, t) => (kind === "personal" ? html` <span class="soft">${t("zones.sum_only")}</span>` : null);

export function Manual({ snapshot, clock, t }) {
  const items = manualItems(snapshot);
  if (!items.length) return null;
  return html`<section class="panel" aria-labelledby="manual-title"><h2 id="manual-title">${t("manual.title")}</h2>
    <ul class="items">${items.map((one) => html`<li key=${`${one.kind} ${one.target}`}><${Mark} level="hand" /><b>${t.known(`manual.${one.kind}`, one.kind)} ${one.target}</b>
      <span>${one.expires_at ? t("manual.until", { time: clock.time(one.expires_at) }) : t("manual.open_end")}</span><span class="soft">${one.reason}${one.by ? ` (${one.by})` : ""}</span></li>`)}</ul></section>`;
}

export function Assets({ snapshot, silent_s, place, onPlace, t, language }) {
  const all = Object.entries(snapshot.assets ?? {}).map(([id, asset]) => ({ id, asset, state: assetState(id, asset, snapshot, silent_s) }));
  const odd = all.filter(({ state }) => state.notes.length);
  const rows = place.show === "odd" ? odd : all;
  return html`<section class="panel" aria-labelledby="assets-title">
    <div class="head"><h2 id="assets-title">${t("assets.title")}</h2>
      <p class="soft">${odd.length ? t("assets.some_odd", { count: odd.length, total: all.length }) : t("assets.all_normal", { total: all.length })}</p>
      <fieldset class="spans"><legend class="unseen">${t("assets.filter")}</legend>
        ${["all", "odd"].map((show) => html`<button type="button" aria-pressed=${place.show === show ? "true" : "false"} onClick=${() => onPlace({ show })}>${t(`assets.show_${show}`)}</button>`)}</fieldset></div>
    <div class="scroll" tabindex="0" role="region" aria-label=${t("assets.table")}><table class="assets">
      <thead><tr><th scope="col">${t("assets.asset")}</th><th scope="col">${t("assets.state")}</th><th scope="col" class="number">${t("assets.measured")}</th><th scope="col" class="number">${t("assets.planned")}</th>
        <th scope="col" class="number">${t("assets.told")}</th><th scope="col">${t("assets.by")}</th><th scope="col" class="why">${t("assets.why")}</th><th scope="col" class="number">${t("assets.age")}</th></tr></thead>
      <tbody>${rows.map((row) => html`<${AssetRow} key=${row.id} ...${row} t=${t} language=${language} />`)}</tbody>
    </table>${!rows.length && html`<p class="soft">${t("assets.none_odd")}</p>`}</div></section>`;
}

function AssetRow({ id, asset, state, t, language }) {
  const secret = asset.privacy === "personal";
  const commanded = "command_kw" in asset;
  const told = commanded ? (isNumber(asset.command_kw) ? number(asset.command_kw, "kW", language, 1) : t("assets.released")) : "";
  const kw = secret ? t("oneline.private") : `${state.estimated && isNumber(asset.kw) ? "≈ " : ""}${number(asset.kw, "kW", language, 1)}`;
  return html`<tr class=${`${state.level}${state.hatched ? " hatched" : ""}`}>
    <th scope="row"><${Symbol} kind=${asset.kind} /> ${id} <span class="soft kind">${t.known(`kind.${asset.kind}`, asset.kind)}</span></th>
    <td>${state.notes.length ? state.notes.map(({ level, key, values }) => html`<span class=${`state ${level}`}><${Mark} level=${level} />${t(key, values)} </span>`) : t(`mode.${state.mode || "none"}`)}${isNumber(asset.car?.ready_probability) && html` <span class="soft">${t("assets.ready", { share: number(100 * asset.car.ready_probability, "pct", language) })}</span>`}</td>
    <td class="number strong">${kw}</td><td class="number">${secret ? "" : number(asset.planned_kw, "kW", language, 1)}</td><td class="number">${told}</td>
    <td>${asset.rung ? t.known(`rung.${asset.rung}`, asset.rung) : ""}</td><td class="why" lang="en">${asset.reason ?? ""}</td><td class="number">${isNumber(state.age_s) ? age(state.age_s, language) : ""}</td></tr>`;
}
