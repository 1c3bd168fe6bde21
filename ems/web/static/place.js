// What the address holds: language, theme, filter and time span. A copied address shows the same page.

const DEFAULTS = { lang: "", theme: "", show: "all", span: "24" };
const KEPT = ["lang", "theme"];

export function readPlace(search = location.search, storage = kept) {
  const asked = new URLSearchParams(search);
  const entries = Object.entries(DEFAULTS).map(([key, value]) => {
    return [key, asked.get(key) ?? (KEPT.includes(key) ? storage(key) : null) ?? value];
  });
  return Object.fromEntries(entries);
}

export function writePlace(place) {
  const asked = new URLSearchParams();
  for (const [key, value] of Object.entries(place)) if (value !== DEFAULTS[key]) asked.set(key, value);
  for (const key of KEPT) keep(key, place[key]);
  history.replaceState(null, "", asked.size ? `?${asked}` : location.pathname);
}

function kept(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function keep(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {} // a browser may forbid the storage; the address still holds it
}
