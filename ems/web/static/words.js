// The catalogues: every sentence of the page by key, in each language. A key that is missing shows itself.

export const LANGUAGES = { en: "English", "zh-CN": "中文" };

export function pick(asked, offered = navigator.languages) {
  if (asked in LANGUAGES) return asked;
  return offered.some((one) => /^zh\b/i.test(one)) && !/^en\b/i.test(offered[0] ?? "") ? "zh-CN" : "en";
}

export async function loadWords(language) {
  const answer = await fetch(`/static/words/${language}.json`);
  if (!answer.ok) throw new Error(`words of ${language}: ${answer.status}`);
  return translator(await answer.json());
}

export function translator(catalogue) {
  const t = (key, values = {}) => {
    const sentence = catalogue[key] ?? key;
    return sentence.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
  };
  // For words that come from outside: what nobody has translated is shown as it came.
  t.known = (key, fallback) => catalogue[key] ?? fallback;
  return t;
}
