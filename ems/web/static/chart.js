// One asset's power: what was measured, what was planned, what is planned. Steps hold until the next sample.

import { draw } from "/static/dom.js";
import { number } from "/static/format.js";

const BOX = { width: 440, height: 132, left: 40, right: 8, top: 8, bottom: 20 };
const HOUR_MS = 3_600_000;
const PAST_MS = 2 * HOUR_MS;
const FUTURE_MS = 4 * HOUR_MS;
const GAP_MS = 120_000;

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

export function chart(id, { trend, snapshot }, clock) {
  const now = Date.parse(snapshot.at);
  const first = Date.parse(trend[0]?.at ?? snapshot.at);
  const span = [Math.max(now - PAST_MS, Math.min(first, now - HOUR_MS / 4)), now + FUTURE_MS];
  const past = trend.map((sample) => ({ at: Date.parse(sample.at), kw: sample.kw[id], plan: sample.planned_kw[id] }));
  const newest = snapshot.assets[id];
  past.push({ at: now, kw: newest.kw, plan: newest.planned_kw });
  const measured = pieces(past.map(({ at, kw }) => [at, kw]), span);
  const followed = pieces(past.map(({ at, plan }) => [at, plan]), span);
  const ahead = pieces(future(snapshot.plan, newest.kind === "grid_meter" ? "net_kw" : id, now), span, Infinity);
  const scale = scales([measured, followed, ahead].flat(2), span);
  const svg = draw("svg", { class: "chart", viewBox: `0 0 ${BOX.width} ${BOX.height}`, role: "img" });
  svg.setAttribute("aria-label", `${id}: measured and planned power`);
  svg.append(...grid(scale, span, clock), ...lines(followed, "planned", scale), ...lines(ahead, "planned", scale));
  svg.append(...lines(measured, "measured", scale));
  svg.append(draw("path", { class: "now", d: `M${scale.x(now)} ${BOX.top}V${BOX.height - BOX.bottom}` }));
  return svg;
}

function future(plan, id, now) {
  const powers = id === "net_kw" ? plan?.net_kw : plan?.kw?.[id];
  if (!powers || !plan.starts) return [];
  const slots = plan.starts.map((start, slot) => [Date.parse(start), powers[slot]]);
  const running = slots.findLast(([at]) => at <= now);
  return [...(running ? [[now, running[1]]] : []), ...slots.filter(([at]) => at > now)];
}

// Splits samples into runs without a gap: a missing value is a hole in the line, never a zero.
function pieces(samples, [from, to], gap = GAP_MS) {
  const runs = [];
  let before = null;
  for (const [at, kw] of samples) {
    if (at < from || at > to) continue;
    if (!isNumber(kw)) before = null;
    else {
      if (before === null || at - before > gap || at < before) runs.push([]);
      runs.at(-1).push([at, kw]);
      before = at;
    }
  }
  return runs;
}

function scales(points, [from, to]) {
  const values = points.map(([, kw]) => kw);
  const low = niceFloor(Math.min(0, ...values));
  const high = Math.max(-niceFloor(-Math.max(0, ...values)), low + 1);
  const width = BOX.width - BOX.left - BOX.right;
  const height = BOX.height - BOX.top - BOX.bottom;
  return {
    low,
    high,
    x: (at) => round(BOX.left + (width * (at - from)) / (to - from)),
    y: (kw) => round(BOX.top + (height * (high - kw)) / (high - low)),
  };
}

function niceFloor(value) {
  if (value === 0) return 0;
  const size = 10 ** Math.floor(Math.log10(-value));
  return -[1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * size >= -value * 0.999) * size;
}

const round = (value) => Math.round(value * 10) / 10;

function lines(runs, className, { x, y }) {
  return runs.map((run) => {
    const steps = run.map(([at, kw], index) => (index ? `H${x(at)}V${y(kw)}` : `M${x(at)} ${y(kw)}`));
    return draw("path", { class: className, d: steps.join("") });
  });
}

function grid({ low, high, x, y }, [from, to], clock) {
  const marks = [];
  for (const kw of new Set([low, 0, high])) {
    marks.push(draw("path", { class: kw ? "rule" : "rule zero", d: `M${BOX.left} ${y(kw)}H${BOX.width - BOX.right}` }));
    const digits = Number.isInteger(kw) ? "state" : "kvar";
    marks.push(draw("text", { class: "tick end", x: BOX.left - 5, y: y(kw) + 4 }, number(kw, digits)));
  }
  for (let at = Math.ceil(from / HOUR_MS) * HOUR_MS; at <= to; at += HOUR_MS) {
    marks.push(draw("path", { class: "rule", d: `M${x(at)} ${BOX.height - BOX.bottom}v4` }));
    const anchor = x(at) > BOX.width - 30 ? "tick end" : "tick middle";
    const place = Math.min(x(at), BOX.width - 2);
    marks.push(draw("text", { class: anchor, x: place, y: BOX.height - 4 }, clock.time(new Date(at))));
  }
  return marks;
}
