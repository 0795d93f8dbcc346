// Tables by the keyboard: one stop for Tab, arrow keys from cell to cell, Home and End in a row, Enter opens what the
// cell leads to. The key / goes to the box that searches. Without this script everything is reached by Tab.

const inside = (cell) => cell.querySelector("a, button, input") ?? cell;

function walkable(table) {
  const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
  const cells = rows.map((row) => [...row.cells]);
  let current;

  const mark = (cell) => {
    if (current) inside(current).tabIndex = -1;
    current = cell;
    inside(cell).tabIndex = 0;
  };
  for (const cell of cells.flat()) {
    for (const one of cell.querySelectorAll("a, button, input")) one.tabIndex = -1;
    inside(cell).tabIndex = -1;
  }
  const first = cells.flat().find((cell) => inside(cell) !== cell) ?? cells[0]?.[0];
  if (first) mark(first);

  table.addEventListener("focusin", (event) => {
    const cell = event.target.closest("td, th");
    if (cell && cells.some((row) => row.includes(cell))) mark(cell);
  });
  table.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td, th");
    const row = cells.findIndex((some) => some.includes(cell));
    if (row < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const column = cells[row].indexOf(cell);
    const to = {
      ArrowRight: () => cells[row][column + 1],
      ArrowLeft: () => cells[row][column - 1],
      ArrowDown: () => cells[row + 1]?.[Math.min(column, cells[row + 1].length - 1)],
      ArrowUp: () => cells[row - 1]?.[Math.min(column, cells[row - 1].length - 1)],
      Home: () => cells[row][0],
      End: () => cells[row].at(-1),
    }[event.key]?.();
    // Several links in one cell: left and right go through them first.
    const links = [...cell.querySelectorAll("a, button")];
    const at = links.indexOf(event.target);
    const near = event.key === "ArrowRight" ? links[at + 1] : event.key === "ArrowLeft" ? links[at - 1] : undefined;
    if (at >= 0 && near) {
      event.preventDefault();
      near.focus();
    } else if (to) {
      event.preventDefault();
      inside(to).focus();
      to.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  });
}

for (const table of document.querySelectorAll("table[data-keys]")) walkable(table);

// Pages without a box have the way to it: the console's search. Who turned keys off at the disputes has them off here too.
const box = () => document.querySelector("[data-slash], [data-search]");
if (location.hash === "#q") box()?.focus();

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest("input, textarea, select, [contenteditable]") || localStorage.getItem("hansa-keys-off")) return;
  event.preventDefault();
  if (box()) {
    box().focus();
    box().select();
  } else {
    location.assign("/console/search#q");
  }
});
