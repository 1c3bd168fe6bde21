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
    Object.assign(state, { site: message.site, snapshot: message.snapshot, seq: message.seq });
    return true;
  }
  if (message.type === "beat") return message.seq <= state.seq;
  if (message.seq <= state.seq) return true;
  if (message.seq !== state.seq + 1) return false;
  state.snapshot = apply(state.snapshot ?? {}, message);
  state.seq = message.seq;
  return true;
}
