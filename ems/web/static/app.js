// Glue: messages in, one drawing a frame out. The page steers nothing, and no value of a form comes from the live stream.

import { Outlook } from "./chart.js";
import { Diagram } from "./diagram.js";
import { age, clockOf } from "./format.js";
import { Banner, Header } from "./header.js";
import { Heat } from "./heat.js";
import { connect } from "./link.js";
import { Assets, Manual, Queues, Warnings, Zones } from "./lists.js";
import { readPlace, writePlace } from "./place.js";
import { take } from "./state.js";
import { Tiles } from "./tiles.js";
import { html, render } from "./ui.js";
import { loadWords, pick } from "./words.js";

const DAY_EVERY_MS = 60_000;

const state = { seq: 0, site: null, snapshot: null, link: { live: false, silent_s: 0 }, lostAt: null };
let place = readPlace();
let language = pick(place.lang);
let t = await loadWords(language);
let topology = null;
let day = null;
let drawing = false;

dress();
connect(`ws://${location.host}/api/v1/ws`, {
  onMessage(message, askFull) {
    state.lostAt = null;
    if (!take(state, message)) askFull();
    if (message.type === "full") void refresh();
    soon();
  },
  onLost() {
    state.lostAt ??= Date.now();
    soon();
  },
});
setInterval(() => state.lostAt && soon(), 1000);
setInterval(() => state.link.live && refresh(), DAY_EVERY_MS);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", soon);
soon();

async function refresh() {
  [topology, day] = await Promise.all([topology ?? ask("/api/v1/topology"), ask("/api/v1/day")]);
  soon();
}

async function ask(path) {
  try {
    const answer = await fetch(path);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null; // the link's own banner tells
  }
}

async function onPlace(change) {
  place = { ...place, ...change };
  writePlace(place);
  if (pick(place.lang) !== language) {
    language = pick(place.lang);
    t = await loadWords(language);
  }
  dress();
  soon();
}

function dress() {
  const root = document.documentElement;
  root.lang = language;
  if (place.theme) root.dataset.theme = place.theme;
  else delete root.dataset.theme;
}

function soon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    render(html`<${Page} />`, document.getElementById("page"));
  });
}

// How much older than told the values are, because nothing new has come [s].
function silence() {
  if (state.lostAt) return (Date.now() - state.lostAt) / 1000;
  return state.link.live ? 0 : state.link.silent_s;
}

function linkWords(clock) {
  const at = state.snapshot ? t("link.as_of", { time: clock.exact(state.snapshot.at) }) : "";
  if (state.lostAt) return t("link.lost", { age: age((Date.now() - state.lostAt) / 1000, language), at });
  if (!state.link.live && state.snapshot) return t("link.silent", { age: age(state.link.silent_s, language), at });
  return state.link.live ? "" : t("link.never");
}

function Page() {
  const { site, snapshot } = state;
  const clock = clockOf(site?.timezone ?? "UTC", language);
  const theme = place.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const link = linkWords(clock);
  document.title = site ? `${site.name} · District EMS` : "District EMS";
  const parts = { site, snapshot, topology, day, clock, place, onPlace, theme, t, language, silent_s: link && snapshot ? Math.max(silence(), 0.1) : 0 };
  return html`
    <a class="skip" href="#content">${t("page.skip")}</a>
    ${site && html`<${Header} ...${parts} />`}
    <${Banner} link=${site || state.lostAt ? link : ""} snapshot=${snapshot} clock=${clock} t=${t} />
    <main id="content" tabindex="-1">${snapshot ? html`<${Overview} ...${parts} />` : html`<p class="soft">${t("page.waiting")}</p>`}</main>`;
}

function Overview(parts) {
  const { topology, t } = parts;
  return html`
    <${Tiles} ...${parts} />
    <section class="panel" aria-labelledby="oneline-title">
      <div class="head"><h2 id="oneline-title">${t("oneline.title")}</h2><p class="soft">${t("oneline.legend")}</p></div>
      ${topology ? html`<${Diagram} ...${parts} />` : html`<p class="soft">${t("oneline.missing")}</p>`}
    </section>
    <div class="pair"><${Outlook} ...${parts} /><div class="side"><${Heat} ...${parts} /><${Manual} ...${parts} /><${Warnings} ...${parts} /><${Queues} ...${parts} /><${Zones} ...${parts} /></div></div>
    <${Assets} ...${parts} />`;
}
