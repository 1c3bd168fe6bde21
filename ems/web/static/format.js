// Numbers, ages and instants as an operator reads them, in the page's language. Missing is a dash, never a zero.

export const DASH = "–";

const DIGITS = { kW: 2, kvar: 2, kWh: 1, A: 1, V: 1, Hz: 2, degC: 1, pct: 0, s: 1, pu: 3, state: 0, "W/m2": 0, kg: 1, "g/kWh": 0 };
const NAMES = { degC: "°C", pct: "%", "W/m2": "W/m²", state: "" };

export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
export const unitName = (unit) => NAMES[unit] ?? unit ?? "";

const made = new Map();

function formatter(language, digits, style = {}) {
  const key = `${language} ${digits} ${JSON.stringify(style)}`;
  if (!made.has(key)) {
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits, ...style };
    made.set(key, new Intl.NumberFormat(language, options));
  }
  return made.get(key);
}

export function number(value, unit, language = "en", digits = DIGITS[unit] ?? 4) {
  if (!isNumber(value)) return DASH;
  const text = formatter(language, digits).format(value);
  return /^-0(\.0+)?$/.test(text) ? text.slice(1) : text.replace("-", "−");
}

export const withUnit = (value, unit, language, digits) =>
  isNumber(value) ? `${number(value, unit, language, digits)} ${unitName(unit)}`.trimEnd() : DASH;

export function money(value, currency, language, digits = 2) {
  if (!isNumber(value)) return DASH;
  return `${formatter(language, digits).format(value).replace("-", "−")} ${currency}`;
}

// An age in the largest unit that still says something.
export function age(seconds, language = "en") {
  if (!isNumber(seconds)) return DASH;
  const [value, unit, digits] =
    seconds < 9.95 ? [Math.max(0, seconds), "second", 1]
    : seconds < 120 ? [seconds, "second", 0]
    : seconds < 7200 ? [seconds / 60, "minute", 0]
    : seconds < 172_800 ? [seconds / 3600, "hour", 0]
    : [seconds / 86_400, "day", 0];
  return formatter(language, digits, { style: "unit", unit, unitDisplay: "short" }).format(value);
}

// Instants are shown in the site's zone, whatever the browser's.
export function clockOf(timeZone, language = "en-GB") {
  const make = (options) => new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, { timeZone, hourCycle: "h23", ...options });
  const time = make({ hour: "2-digit", minute: "2-digit" });
  const exact = make({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const day = make({ weekday: "short", day: "numeric", month: "short" });
  const zone = make({ timeZoneName: "short" });
  const show = (formatter) => (at) => {
    const instant = at instanceof Date ? at : new Date(at ?? NaN);
    return Number.isNaN(instant.getTime()) ? DASH : formatter.format(instant);
  };
  const zoneName = (at) => zone.formatToParts(new Date(at ?? NaN)).find(({ type }) => type === "timeZoneName")?.value ?? "";
  return { time: show(time), exact: show(exact), day: show(day), zone: (at) => (Number.isNaN(Date.parse(at)) ? "" : zoneName(at)) };
}
