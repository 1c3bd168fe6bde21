// Glue: messages in, one drawing a frame out. The page steers nothing.

import { chart } from "/static/chart.js";
import { dress, keep, make, mark, say } from "/static/dom.js";
import { age, clockOf, DASH, number, unitName } from "/static/format.js";
import { connect } from "/static/link.js";
import { take } from "/static/state.js";

const state = { seq: 0, site: null, snapshot: null, trend: [], link: { live: false, silent_s: 0 }, lostAt: null };
const place = (id) => document.getElementById(id);
const rows = { points: new Map(), assets: new Map(), alarms: new Map(), facts: new Map() };
let clock = clockOf("UTC");
let drawing = false;

connect(`ws://${location.host}/api/v1/ws`, {
  onMessage(message, askFull) {
    state.lostAt = null;
    if (!take(state, message)) askFull();
    if (message.type === "full") clock = clockOf(state.site.timezone);
    soon();
  },
  onLost() {
    state.lostAt ??= Date.now();
    soon();
  },
});
setInterval(() => state.lostAt && soon(), 1000);

function soon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    show();
  });
}

function show() {
  const { snapshot, site } = state;
  if (site) {
    say(place("site"), site.name);
    document.title = `${site.name} · District EMS`;
  }
  showLink();
  if (!snapshot) return;
  showFacts(snapshot);
  showAlarms(snapshot);
  showAssets(snapshot);
  showPoints(snapshot);
}

function showLink() {
  const banner = place("link");
  const at = state.snapshot ? `; values below are as of ${clock.exact(state.snapshot.at)}` : "";
  let text = "";
  if (state.lostAt) text = `The link to this page's server has been lost for ${age((Date.now() - state.lostAt) / 1000)}${at}`;
  else if (!state.link.live && state.snapshot) text = `The controller has sent no values for ${age(state.link.silent_s)}${at}`;
  else if (!state.link.live) text = "No values from the controller yet; is `ems run` running for this site?";
  banner.hidden = text === "";
  if (text && banner.textContent !== text) banner.replaceChildren(mark("bad"), text);
  dress(document.body, text ? "lost" : "");
}

// How much older than told the values are, because nothing new has come [s].
function silence() {
  if (state.lostAt) return (Date.now() - state.lostAt) / 1000;
  return state.link.live ? 0 : state.link.silent_s;
}

function showFacts(snapshot) {
  const points = Object.values(snapshot.points ?? {});
  const good = points.filter(({ quality }) => quality === "good").length;
  const alarms = snapshot.alarms ?? [];
  const facts = {
    Time: [`${clock.exact(snapshot.at)} ${state.site.timezone}`, clock.day(snapshot.at), "good"],
    State: stateFact(snapshot),
    Plan: planFact(snapshot),
    Values: [`${good} of ${points.length} good`, "", good === points.length ? "good" : "uncertain"],
    Alarms: [alarms.length ? String(alarms.length) : "none", "", alarms.length ? "bad" : "good"],
  };
  keep(place("facts"), rows.facts, Object.keys(facts), (name) => {
    const [value, note] = [make("dd"), make("dd", { class: "note" })];
    return { element: make("div", {}, make("dt", {}, name), value, note), value, note, text: null };
  });
  for (const [name, [text, note, level]] of Object.entries(facts)) {
    const row = rows.facts.get(name);
    if (row.text !== text + level) row.value.replaceChildren(...(level === "good" ? [] : [mark(level)]), text);
    row.text = text + level;
    dress(row.value, level);
    say(row.note, note);
  }
}

function stateFact({ health }) {
  const state = health?.state ?? "unknown";
  const level = { normal: "good", init: "uncertain", degraded: "uncertain", override: "uncertain" }[state] ?? "bad";
  return [state, health?.cause ?? "", level];
}

function planFact({ plan, at }) {
  if (!plan) return ["none", "the rules steer", "uncertain"];
  const made = age((Date.parse(at) - Date.parse(plan.made_at)) / 1000);
  const level = ["feasible", "unchecked"].includes(plan.ac) ? "good" : "uncertain";
  return [`grid ${plan.ac.replaceAll("_", " ")}`, `made ${made} ago`, level];
}

function showAlarms({ alarms = [] }) {
  const id = ({ key, since }) => `${key} ${since}`;
  const newestFirst = alarms.toSorted((a, b) => Date.parse(b.since) - Date.parse(a.since));
  keep(place("alarms"), rows.alarms, newestFirst.map(id), (which) => {
    const alarm = newestFirst.find((one) => id(one) === which);
    const text = make("span");
    const since = make("time", { datetime: alarm.since }, `since ${clock.exact(alarm.since)}`);
    return { element: make("p", {}, mark("bad"), text, since), text };
  });
  for (const alarm of newestFirst) say(rows.alarms.get(id(alarm)).text, alarm.text);
}

function showAssets(snapshot) {
  const assets = snapshot.assets ?? {};
  keep(place("assets"), rows.assets, Object.keys(assets), (id) => {
    const parts = { kw: make("b"), planned: make("span"), told: make("span"), why: make("p", { class: "why" }) };
    const told = "command_kw" in assets[id] ? [make("span", {}, "told ", parts.told)] : [];
    const numbers = make("p", { class: "numbers" }, parts.kw, make("span", {}, "plan ", parts.planned), ...told);
    const picture = make("div", { class: "picture" });
    return { element: make("article", {}, make("h3", {}, id), numbers, picture, parts.why), picture, drawn: "", ...parts };
  });
  for (const [id, asset] of Object.entries(assets)) {
    const row = rows.assets.get(id);
    const measured = typeof asset.kw === "number";
    say(row.kw, measured ? `${number(asset.kw, "kW")} kW` : DASH);
    dress(row.kw, measured ? "" : "missing");
    say(row.planned, number(asset.planned_kw, "kW"));
    say(row.told, number(asset.command_kw, "kW"));
    say(row.why, asset.reason || asset.rung?.replaceAll("_", " ") || "");
    const due = `${snapshot.plan?.id} ${snapshot.at.slice(0, 18)}`; // a new picture every 10 s is enough
    if (row.drawn !== due) row.picture.replaceChildren(chart(id, state, clock));
    row.drawn = due;
  }
}

function showPoints({ points = {} }) {
  keep(place("points"), rows.points, Object.keys(points).sort(), (id) => {
    const parts = { value: make("td", { class: "number" }), unit: make("td"), quality: make("td"), age: make("td", { class: "number" }) };
    return { element: make("tr", {}, make("th", { scope: "row" }, id), ...Object.values(parts)), said: "", ...parts };
  });
  for (const [id, point] of Object.entries(points)) {
    const row = rows.points.get(id);
    const level = ["good", "uncertain"].includes(point.quality) ? point.quality : "bad";
    say(row.value, number(point.value, point.unit));
    say(row.unit, unitName(point.unit));
    say(row.age, age(typeof point.age_s === "number" ? point.age_s + silence() : undefined));
    const quality = point.quality ?? "unknown";
    const said = `${quality} ${point.reason ?? ""}`;
    if (row.said !== said) row.quality.replaceChildren(mark(level), quality, make("p", { class: "note" }, point.reason ?? ""));
    row.said = said;
    dress(row.element, level);
  }
}
