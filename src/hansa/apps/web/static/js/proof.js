// Receipts on a page: one that the page brings along is checked again on this device, and so is a file that is chosen.

import { mount } from "./receipt.js";
import { inWords } from "./words.js";

for (const part of document.querySelectorAll("[data-check-receipt]")) {
  const byServer = part.querySelector("[data-said-by-server]");
  mount(part, undefined, inWords).then((result) => {
    byServer.hidden = result !== undefined;
  });
}

for (const part of document.querySelectorAll("[data-check-file]")) {
  const chooser = part.querySelector("input[type=file]");
  part.querySelector("[data-choose]").hidden = false;
  chooser.addEventListener("click", () => (chooser.value = "")); // the same file again is a choice too
  chooser.addEventListener("change", () => chooser.files[0] && check(part, chooser.files[0]));
}

async function check(part, file) {
  const text = await file.text();
  const found = document.createElement("div");
  found.className = "proof";
  const { key, witnesses } = policyFor(text, part);
  found.dataset.logKey = key;
  found.dataset.witnesses = witnesses.join(" ");
  found.dataset.quorum = String(witnesses.length);
  part.querySelector("[data-found]").replaceChildren(found);
  await mount(found, text, inWords);
}

/** Our key for the log that the receipt names, and those of our witnesses whose name stands under its checkpoint. */
function policyFor(text, part) {
  let origin = "";
  let proof = "";
  try {
    ({ origin, proof } = JSON.parse(text));
  } catch {
    // mount says what is wrong with it
  }
  const words = (list) => list.split(/\s+/).filter(Boolean);
  const keys = words(part.dataset.logKeys);
  const key = keys.find((one) => one.split("+")[0] === origin) ?? keys[0] ?? "";
  const signed = words(part.dataset.witnesses).filter((one) => String(proof).includes(`\n— ${one.split("+")[0]} `));
  return { key, witnesses: signed };
}
