// Numbers, ages and instants as an operator reads them. Missing is a dash, never a zero.

export const DASH = "–";

const DIGITS = { kW: 2, kvar: 2, kWh: 1, A: 1, V: 1, Hz: 2, degC: 1, pct: 1, s: 1, pu: 3, state: 0, "W/m2": 0 };
const NAMES = { degC: "°C", pct: "%", "W/m2": "W/m²", state: "" };

export function number(value, unit) {
  if (typeof value !== "number" || !Number.isFinite(value)) return DASH;
  const digits = DIGITS[unit] ?? 4;
  const text = value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return /^-0(\.0+)?$/.test(text) ? text.slice(1) : text.replace("-", "−");
}

export const unitName = (unit) => NAMES[unit] ?? unit ?? "";

export function age(seconds) {
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) return DASH;
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

// Instants are shown in the site's zone, whatever the browser's.
export function clockOf(timeZone) {
  const make = (options) => new Intl.DateTimeFormat("en-GB", { timeZone, hourCycle: "h23", ...options });
  const time = make({ hour: "2-digit", minute: "2-digit" });
  const exact = make({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const day = make({ weekday: "short", day: "numeric", month: "short", year: "numeric" });
  const show = (formatter) => (at) => {
    const instant = at instanceof Date ? at : new Date(at ?? NaN);
    return Number.isNaN(instant.getTime()) ? DASH : formatter.format(instant);
  };
  return { time: show(time), exact: show(exact), day: show(day) };
}
