// The page's copy of the newest snapshot, kept by numbered deltas (ems/web/delta.py says how they are made).

const isMapping = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

function merge(target, changed) {
  for (const [key, value] of Object.entries(changed)) {
    if (isMapping(value) && Object.hasOwn(target, key) && isMapping(target[key])) merge(target[key], value);
    else Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  }
}

export function apply(snapshot, delta) {
  for (const path of delta.gone) {
    const place = path.slice(0, -1).reduce((inner, key) => inner[key], snapshot);
    delete place[path.at(-1)];
  }
  merge(snapshot, delta.set);
  return snapshot;
}

// Takes a message; says false when one was missed and a full snapshot must be asked for.
export function take(state, message) {
  if (message.link) state.link = message.link;
  if (message.type === "full") {
    Object.assign(state, { site: message.site, snapshot: message.snapshot, trend: message.trend, seq: message.seq });
    return true;
  }
  if (message.type === "beat") return message.seq <= state.seq;
  if (message.seq <= state.seq) return true;
  if (message.seq !== state.seq + 1) return false;
  state.snapshot = apply(state.snapshot ?? {}, message);
  state.seq = message.seq;
  remember(state);
  return true;
}

const TREND_STEP_MS = 30_000;
const TREND_LENGTH = 720;

function remember({ trend, snapshot }) {
  const since = Date.parse(snapshot.at) - Date.parse(trend.at(-1)?.at ?? 0);
  if (since >= 0 && since < TREND_STEP_MS) return;
  const pick = (name) => Object.fromEntries(Object.entries(snapshot.assets ?? {}).map(([id, a]) => [id, a[name]]));
  trend.push({ at: snapshot.at, kw: pick("kw"), planned_kw: pick("planned_kw") });
  if (trend.length > TREND_LENGTH) trend.shift();
}
