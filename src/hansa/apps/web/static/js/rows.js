// A list by keyboard: j and k go down and up its rows, Enter opens one as any link, / goes to the search. The keys can be
// turned off (they are single letters), and what was chosen is remembered.

const OFF = "hansa-keys-off";
const rows = [...document.querySelectorAll("[data-rows] a[data-row]")];
const search = document.querySelector("[data-search]");
const switcher = document.querySelector("[data-keys]");

if (switcher) {
  switcher.closest("[data-keys-area]").hidden = false;
  switcher.checked = !localStorage.getItem(OFF);
  switcher.addEventListener("change", () => {
    if (switcher.checked) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "1");
  });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || (switcher && !switcher.checked)) return;
  const { target } = event;
  if (target.matches("input:not([type=checkbox]), textarea, select")) {
    if (event.key === "Escape" && target === search) target.blur();
    return;
  }
  if (event.key === "/" && search) {
    event.preventDefault();
    search.focus();
    search.select();
  } else if (event.key === "j" || event.key === "k") {
    const at = rows.indexOf(document.activeElement);
    const next = event.key === "j" ? Math.min(at + 1, rows.length - 1) : Math.max(at - 1, 0);
    rows[next]?.focus();
    rows[next]?.scrollIntoView({ block: "nearest" });
  }
});
