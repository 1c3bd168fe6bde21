// The head of the page: who, when, how, by what plan; and what must never be covered: lost links and alarms.

import { age, DASH, isNumber } from "./format.js";
import { Mark } from "./icons.js";
import { manualItems, modes, NORMAL_HEALTH } from "./model.js";
import { html, useEffect, useRef } from "./ui.js";
import { LANGUAGES } from "./words.js";

const SHOWN_ALARMS = 3;

export function Header({ site, snapshot, silent_s, clock, place, onPlace, t, language }) {
  return html`<header>
    <div class="title">
      <h1>${site.name}</h1>
      <p><time>${clock.exact(snapshot?.at)}</time> ${clock.day(snapshot?.at)} <span class="soft">${site.timezone} ${clock.zone(snapshot?.at)}</span></p>
    </div>
    <dl class="facts">${facts({ site, snapshot, silent_s, clock, t, language }).map((fact) => html`<${Fact} ...${fact} />`)}</dl>
    <div class="choices">
      <label>${t("choice.language")}
        <select value=${language} onChange=${(event) => onPlace({ lang: event.target.value })}>
          ${Object.entries(LANGUAGES).map(([id, name]) => html`<option value=${id} lang=${id}>${name}</option>`)}
        </select></label>
      <label>${t("choice.theme")}
        <select value=${place.theme} onChange=${(event) => onPlace({ theme: event.target.value })}>
          ${["", "light", "dark"].map((id) => html`<option value=${id}>${t(`theme.${id || "system"}`)}</option>`)}
        </select></label>
    </div>
  </header>`;
}

function Fact({ name, value, note, level = "good" }) {
  return html`<div><dt>${name}</dt><dd class=${level}>${level !== "good" && html`<${Mark} level=${level} />`}${value}</dd><dd class="note" title=${note}>${note}</dd></div>`;
}

function facts(context) {
  const { snapshot, silent_s, t, language } = context;
  if (!snapshot) return [];
  return [health(context), control(context), plan(context), next(context), data(context), manual(context)].map((fact) => ({ ...fact, name: t(fact.name) }));

  function data() {
    const ages = Object.values(snapshot.points ?? {}).map(({ age_s }) => age_s).filter(isNumber);
    const oldest = ages.length ? Math.max(...ages) + silent_s : null;
    const good = Object.values(snapshot.points ?? {}).filter(({ quality }) => quality === "good").length;
    const total = Object.keys(snapshot.points ?? {}).length;
    const level = silent_s > 0 ? "bad" : good === total ? "good" : "uncertain";
    return { name: "fact.data", value: isNumber(oldest) ? age(oldest, language) : DASH, note: t("fact.data_note", { good, total }), level };
  }
}

function health({ snapshot: { health }, t }) {
  const state = health?.state ?? "unknown";
  const level = state === NORMAL_HEALTH ? "good" : ["safe", "unknown"].includes(state) ? "bad" : "uncertain";
  return { name: "fact.health", value: t.known(`health.${state}`, state), note: t.known(`cause.${health?.cause}`, health?.cause ?? ""), level };
}

function control({ snapshot, t }) {
  const { control, advise, monitor } = modes(snapshot);
  return { name: "fact.control", value: t("fact.control_value", { control, total: control + advise + monitor }), note: t("fact.control_note", { advise, monitor }) };
}

function plan({ snapshot: { plan, at }, t, language }) {
  if (!plan) return { name: "fact.plan", value: t("fact.no_plan"), note: t("fact.rules_steer"), level: "uncertain" };
  const made_s = (Date.parse(at) - Date.parse(plan.made_at)) / 1000;
  return {
    name: "fact.plan",
    value: t("fact.plan_age", { age: age(made_s, language) }),
    note: t.known(`ac.${plan.ac}`, plan.ac),
    level: ["feasible", "unchecked"].includes(plan.ac) ? "good" : "uncertain",
  };
}

function next({ snapshot: { plan, at }, site, clock, t, language }) {
  if (!plan) return { name: "fact.next", value: DASH, note: "" };
  const due = Date.parse(plan.made_at) + 1000 * site.plan_every_s;
  const left_s = (due - Date.parse(at)) / 1000;
  return left_s > 0
    ? { name: "fact.next", value: clock.time(new Date(due)), note: t("fact.next_in", { age: age(left_s, language) }) }
    : { name: "fact.next", value: t("fact.due"), note: t("fact.next_since", { age: age(-left_s, language) }), level: -left_s > site.plan_every_s ? "uncertain" : "good" };
}

function manual({ snapshot, t }) {
  const items = manualItems(snapshot);
  const note = items.map(({ kind, target }) => `${t.known(`manual.${kind}`, kind)} ${target}`).join(", ");
  return { name: "fact.manual", value: items.length ? String(items.length) : t("fact.none"), note, level: items.length ? "hand" : "good" };
}

// Stays on top of everything: whether the values live, and what is wrong.
export function Banner({ link, snapshot, clock, t }) {
  const alarms = (snapshot?.alarms ?? []).toSorted((a, b) => Date.parse(b.since) - Date.parse(a.since));
  useAnnounced(snapshot ? alarms : null, t);
  const shown = alarms.slice(0, SHOWN_ALARMS);
  const hidden = alarms.slice(SHOWN_ALARMS);
  return html`<div class="banner">
    ${link && html`<p class="link" role="alert"><${Mark} level="bad" />${link}</p>`}
    <section aria-label=${t("alarms.title")}>
      ${snapshot && !alarms.length && html`<p class="calm"><${Mark} level="good" />${t("alarms.none")}</p>`}
      ${shown.map((alarm) => html`<${Alarm} key=${alarm.key} alarm=${alarm} clock=${clock} t=${t} />`)}
      ${hidden.length > 0 && html`<details><summary>${t("alarms.more", { count: hidden.length })}</summary>
        ${hidden.map((alarm) => html`<${Alarm} key=${alarm.key} alarm=${alarm} clock=${clock} t=${t} />`)}</details>`}
    </section>
  </div>`;
}

function Alarm({ alarm, clock, t }) {
  const { key, text, since } = alarm;
  return html`<p class="alarm"><${Mark} level="bad" /><b>${titleOf(key, t)}</b><span lang="en" class="words">${text}</span>
    <time datetime=${since}>${t("alarms.since", { time: clock.exact(since) })}</time></p>`;
}

// An alarm's key says what kind it is and of what, in any language; its text is the core's own.
function titleOf(key, t) {
  const [kind, thing = ""] = key.split(/:(.*)/s);
  return t.known(`alarm.${kind}`, kind).replace("{thing}", thing);
}

// Only what is new is read out, and not what was there when the page came up.
function useAnnounced(alarms, t) {
  const known = useRef(null);
  useEffect(() => {
    if (!alarms) return;
    const keys = alarms.map(({ key, since }) => `${key} ${since}`);
    const fresh = known.current ? alarms.filter((_, index) => !known.current.has(keys[index])) : [];
    if (fresh.length) document.getElementById("announce").textContent = fresh.map(({ key }) => titleOf(key, t)).join("; ");
    known.current = new Set(keys);
  });
}
