// What scripts say, in the language of the page. A page carries the sentences of its scripts as data, by their English:
// <script type="application/json" id="words">{"Copy": "Copier"}</script>. What it lacks is said in English.

const held = globalThis.document?.getElementById("words");
const catalogue = held ? JSON.parse(held.textContent) : {};

/** A sentence in the page's language, with its figures in the places that it names: {n}. */
export function inWords(english, facts = {}) {
  const text = catalogue[english] ?? english;
  return text.replaceAll(/\{(\w+)\}/g, (place, name) => (name in facts ? String(facts[name]) : place));
}

/** The language of the page, as dates and numbers are written in it. */
export function pageLanguage() {
  const language = globalThis.document?.documentElement.lang || "en";
  return language === "en" ? "en-GB" : language;
}
