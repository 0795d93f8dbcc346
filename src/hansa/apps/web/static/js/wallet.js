// The live ride code: remade every ten seconds on this phone, with or without a network.

import { openPhone, TokenRefused } from "./phone.js";
import { drawQr } from "./qr.js";
import { makeCode } from "./ride-code.js";

const RENEW_EVERY = 10_000;
const FETCH_BELOW = 12 * 3600_000; // ask for a new token while half of the old one's day is left

const area = document.querySelector("[data-ride-code]");
const show = (name) => area.querySelector(`[data-${name}]`);
const account = area.dataset.account;

start().catch((error) => say(error.message));

async function start() {
  if (!globalThis.isSecureContext || !globalThis.crypto?.subtle) {
    say("Your browser keeps keys only on pages served over HTTPS or from this machine. Open the wallet that way.");
    return;
  }
  await keepPagesOfOneAccount();
  navigator.serviceWorker?.register(area.dataset.worker, { scope: "/wallet/" }).catch(() => undefined);
  const phone = await openPhone(account);
  for (;;) {
    if (phone.tokenLeft() < FETCH_BELOW) await freshen(phone);
    if (phone.tokenLeft() > 0) {
      await renew(phone);
      countDown();
    } else {
      say(navigator.onLine ? area.dataset.refused || "Waiting for the issuer." : "Go online once to fetch a ride token.");
    }
    await new Promise((resolve) => setTimeout(resolve, phone.tokenLeft() > 0 ? RENEW_EVERY : 3000));
  }
}

async function freshen(phone) {
  try {
    await phone.fetchToken(area.dataset.token);
    reach(true);
  } catch (error) {
    if (error instanceof TokenRefused) {
      area.dataset.refused = error.message;
      if (error.status === 401) location.assign("/wallet/");
    } else {
      reach(false);
    }
  }
}

async function renew(phone) {
  const text = await makeCode(phone.kept.keyPair.privateKey, phone.kept.token, {
    madeAt: Math.floor(phone.now() / 1000),
    counter: await phone.nextCounter(),
  });
  const drawnBy = await drawQr(show("picture"), text);
  show("missing").hidden = drawnBy === "browser";
  show("code").value = text;
  show("code").setAttribute("data-code", text);
  area.dataset.state = "ready";
  say("");
}

function countDown() {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const ring = show("ring");
  const length = ring.getTotalLength();
  ring.getAnimations().forEach((animation) => animation.cancel());
  ring.animate([{ strokeDasharray: `${length} ${length}` }, { strokeDasharray: `0 ${length}` }], {
    duration: RENEW_EVERY,
    easing: still ? "steps(5)" : "linear",
    fill: "forwards",
  });
}

function say(words) {
  show("words").textContent = words;
  show("words").hidden = !words;
}

function reach(reachable) {
  for (const badge of document.querySelectorAll("[data-offline]")) badge.hidden = reachable;
}

/** Pages kept for reading offline belong to one rider: they go when another signs in on this phone. */
async function keepPagesOfOneAccount() {
  const last = localStorage.getItem("hansa-account");
  localStorage.setItem("hansa-account", account);
  if (last && last !== account && globalThis.caches) {
    await caches.delete("hansa-pages");
    const pages = await caches.open("hansa-pages");
    await pages.add("/wallet/home").catch(() => undefined);
  }
}

document.addEventListener("hansa:reach", (event) => reach(event.detail.reachable));
globalThis.addEventListener("offline", () => reach(false));
globalThis.addEventListener("online", () => reach(true));
reach(navigator.onLine);

show("copy").addEventListener("click", async () => {
  const field = show("code");
  field.select();
  await navigator.clipboard?.writeText(field.value).catch(() => undefined);
  show("copy").textContent = "Copied";
  setTimeout(() => (show("copy").textContent = "Copy"), 1500);
});
