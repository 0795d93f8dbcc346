// Money back, with and without a network: what the rider writes is kept on this phone first, then sent. Lists show what
// waits to be sent, is being sent, was sent or was refused. Without JavaScript the form goes to the server as forms do.

import "./outbox.js";

const outbox = globalThis.hansaOutbox;
const AGAIN_MS = 15_000;
const SEEN = "hansa-refunds-seen";
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

const form = document.querySelector("form[data-refund]");
const lists = [...document.querySelectorAll("[data-outbox]")];
const alarm = document.querySelector("[data-alarm]");
const here = UUID.exec(location.pathname)?.[0] ?? "";

start().catch((error) => console.error(error));

async function start() {
  const own = document.querySelector("[data-outbox-account]")?.dataset.outboxAccount;
  if (own) await outbox.setAccount(own);
  for (const one of await outbox.list()) if (one.state === "sent" && !isHere(one)) await outbox.remove(one.dispute_id);
  if (form) listen();
  globalThis.addEventListener("online", sendAll);
  document.addEventListener("visibilitychange", () => document.hidden || sendAll());
  navigator.serviceWorker?.addEventListener("message", (event) => event.data === "outbox" && draw());
  markNew();
  document.addEventListener("hansa:fresh", markNew);
  await draw();
  await sendAll();
  setInterval(sendAll, AGAIN_MS);
}

function isHere(entry) {
  return form && here === entry.journey_id;
}

function listen() {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const entry = await outbox.keep({
        journey_id: here,
        title: form.dataset.title || document.title,
        reason: form.elements.reason.value,
        words: form.elements.words.value.trim(),
      });
      askForSync();
      await sendAll();
      if (await outbox.find(entry.dispute_id)) await follow(entry.dispute_id);
    } catch (error) {
      console.error(error);
      form.submit(); // nothing can be kept here, so the form goes the plain way
    } finally {
      button.disabled = false;
    }
  });
}

/** What became of the request that was written here: its page, its refusal in place, or that it waits. */
async function follow(id) {
  const entry = await outbox.find(id);
  if (entry?.state === "sent") {
    await outbox.remove(id);
    location.assign(`/wallet/journeys/${here}/refund`);
  } else if (entry?.state === "refused") {
    await outbox.remove(id);
    alarm.textContent = entry.told;
    alarm.hidden = false;
    await draw();
  } else {
    lists[0]?.closest("[data-outbox-area]").scrollIntoView({ block: "nearest" });
  }
}

/** Where a browser sends in the background, it is asked to; elsewhere this page does it while it is open. */
async function askForSync() {
  const registration = await navigator.serviceWorker?.getRegistration("/wallet/");
  await registration?.sync?.register(outbox.SYNC).catch(() => undefined);
}

async function sendAll() {
  const before = (await outbox.list()).filter((one) => one.state !== "refused" && one.state !== "sent").length;
  if (!before) return;
  await outbox.send(draw);
  await draw();
}

// -- what is shown ----------------------------------------------------------------------------------------------

async function draw() {
  const own = await outbox.account();
  const entries = (await outbox.list()).filter((one) => one.account === own);
  for (const list of lists) {
    const shown = list.dataset.outbox === "here" ? entries.filter((one) => one.journey_id === here) : entries;
    const fresh = shown.map((one) => line(one, list.dataset));
    if (list.innerHTML !== fresh.map((one) => one.outerHTML).join("")) list.replaceChildren(...fresh);
    list.closest("[data-outbox-area]").hidden = shown.length === 0;
  }
  const mine = entries.filter(isHere);
  if (form) form.closest("[data-ask]").hidden = mine.some((one) => one.state !== "refused");
  for (const one of mine) if (one.state === "sent") await follow(one.dispute_id);
}

function line(entry, words) {
  const item = document.createElement("li");
  item.dataset.state = entry.state;
  item.dataset.request = entry.dispute_id;
  const title = document.createElement("strong");
  title.textContent = entry.title;
  const tag = document.createElement("span");
  tag.className = `tag ${{ waiting: "warm", sending: "plain", sent: "", refused: "bad" }[entry.state]}`;
  tag.textContent = words[entry.state];
  const told = document.createElement("span");
  told.className = "small quiet";
  told.textContent = entry.told === "sign_in" ? words.signIn : entry.told || entry.words;
  item.append(title, tag, told);
  if (entry.state === "refused" || entry.state === "waiting") item.append(letGo(entry, words));
  return item;
}

function letGo(entry, words) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "second small";
  button.textContent = words.remove;
  button.addEventListener("click", async () => {
    await outbox.remove(entry.dispute_id);
    await draw();
  });
  return button;
}

/** An answer that the rider has not seen yet is marked; it is seen once the ride's page of it was open. */
function markNew() {
  const seen = JSON.parse(localStorage.getItem(SEEN) || "{}");
  for (const item of document.querySelectorAll("[data-refund-id]")) {
    const { refundId, refundState } = item.dataset;
    const mark = item.querySelector("[data-new]");
    if (mark) mark.hidden = refundState === "asked" || seen[refundId] === refundState;
    else seen[refundId] = refundState;
  }
  localStorage.setItem(SEEN, JSON.stringify(Object.fromEntries(Object.entries(seen).slice(-200))));
}
