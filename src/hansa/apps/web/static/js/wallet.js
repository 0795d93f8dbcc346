// The live ride code: remade every ten seconds on this phone, with or without a network.

import { askForTokens, connect, readClock, readStanding, Refused, Unreached } from "./issuer.js";
import { openPhone } from "./phone.js";
import { clockWords, goodUntilWords, phoneName, STATE_OF_CODE, STATES } from "./phone-words.js";
import { Place } from "./place.js";
import { drawQr, readyQr } from "./qr.js";
import { makeCode } from "./ride-code.js";
import { workerAddress } from "./trusted.js";
import { inWords } from "./words.js";

const RENEW_EVERY = 10_000;
const CHECK_EVERY = 60_000; // how often the issuer is asked whether anything changed, while the page is seen
const RETRY_AFTER = 5_000;
const ANEW_WITHIN = 15 * 60_000;
const ANEW = "hansa-connect-anew";

const area = document.querySelector("[data-ride-code]");
const show = (name) => area.querySelector(`[data-${name}]`);
const account = area.dataset.account;
const place = new Place();

let phone;
let companion = 0;
let challenge = null;
let refusal = ""; // the state that the issuer's last refusal led to
let refusedWords = "";
let checkedAt = 0;
let checking = null;
let resume = () => undefined;
let calledFor = false; // something calls for a new code at once

start().catch((error) => say("waiting", error.message));

async function start() {
  if (!globalThis.isSecureContext || !globalThis.crypto?.subtle) {
    say("insecure");
    return;
  }
  readyQr();
  phone = await openPhone(account);
  if (phone.kept.standing === "step_up") refusal = "step_up";
  if (phone.kept.placeOn) turnPlaceOn();
  listen();
  for (let first = true; ; first = false) {
    if (first && phone.tokenNow()) await renew(); // a code in hand is shown before anything else is asked or done
    if (first) keepPagesOnThisPhone().catch((error) => console.error(error));
    if (checkIsDue()) checking = check().finally(() => (checking = null));
    if (!phone.tokenNow()) await checking; // a code in hand is not kept waiting for the network
    if (!(first && shown()) && (!document.hidden || area.dataset.state === "making")) await renew();
    await pause(phone.tokenNow() ? RENEW_EVERY : RETRY_AFTER);
  }
}

/** Have the service worker keep the pages: it needs the processor and the network, which the first code has first. */
async function keepPagesOnThisPhone() {
  await keepPagesOfOneAccount();
  navigator.serviceWorker?.register(workerAddress(area.dataset.worker), { scope: "/wallet/" }).catch(() => undefined);
}

/** Whether a code is drawn. */
function shown() {
  return show("code").value !== "";
}

/** Whether the issuer is to be asked: from time to time, and sooner where something lacks that it has not refused. */
function checkIsDue() {
  if (checking) return false;
  const since = Date.now() - checkedAt;
  if (since < 0 || since >= CHECK_EVERY) return true;
  const lacking = !phone.kept.phoneId || !phone.tokenNow() || phone.now() >= phone.kept.askAgain;
  return lacking && (!refusal || refusal === "step_up") && since >= RETRY_AFTER;
}

/** Hear from the issuer: the time, how the account stands, and the tokens that this phone lacks. One tab at a time. */
async function check() {
  checkedAt = Date.now();
  const before = outcome();
  try {
    const ask = async () => {
      if (await phone.refresh()) await hear();
    };
    await (navigator.locks ? navigator.locks.request(`hansa-issuer-${account}`, ask) : ask());
  } catch (error) {
    if (error instanceof Refused) await take(error);
    else if (error instanceof Unreached) reach(false);
    else {
      console.error(error);
      [refusal, refusedWords] = ["waiting", error.message];
    }
  }
  if (outcome() !== before) wake();
}

/** What a check may have changed. */
function outcome() {
  const { tokens, standing, ended, clockAhead } = phone.kept;
  return JSON.stringify([refusal, standing, ended, clockAhead, tokens.map((token) => token.cti)]);
}

async function hear() {
  await readClock(phone);
  reach(true);
  const { standing, since, status, live, taken } = await readStanding(phone);
  if (status === "unknown" && phone.kept.phoneId) await phone.change({ phoneId: null });
  const anew = askedToConnectAnew();
  if (anew || !phone.kept.phoneId) {
    await connect(phone, phoneName(area.dataset.rider, navigator.userAgent, taken), { anew });
  }
  const changed = standing !== phone.kept.standing || since !== phone.kept.since || status !== "active";
  const lacking = live !== phone.liveTokens() || !phone.tokenNow() || phone.now() >= phone.kept.askAgain;
  if (changed || lacking) await askForTokens(phone);
  refusal = phone.kept.standing === "step_up" ? "step_up" : "";
  refusedWords = "";
}

/** Whether the rider has just signed in anew to connect this phone with a new key; said once. */
function askedToConnectAnew() {
  const asked = Number(localStorage.getItem(ANEW) || 0);
  localStorage.removeItem(ANEW);
  return Math.abs(Date.now() - asked) < ANEW_WITHIN;
}

async function take(error) {
  refusal = STATE_OF_CODE[error.code] ?? "waiting";
  refusedWords = refusal === "ended" || refusal === "waiting" ? error.message : "";
  if (refusal === "ended" || refusal === "blocked") await phone.end(refusal === "ended" ? error.message : "");
}

async function renew() {
  if (!(await phone.refresh())) {
    location.reload(); // signed out in another tab, or browser data were cleared
    return;
  }
  const token = phone.tokenNow();
  const state = stateNow(token);
  if (!token || state === "clock_back") {
    hideCode();
    say(state);
    return;
  }
  if (companion > token.companions) companion = 0;
  offerCompanions(token.companions);
  const text = await makeCode(phone.kept.keyPair.privateKey, token.token, {
    madeAt: Math.floor(phone.now() / 1000),
    counter: await phone.nextCounter(token.cti, companion),
    cell: place.now(),
    companion,
    challenge,
  });
  const drawnBy = await drawQr(show("picture"), text);
  show("missing").hidden = drawnBy === "browser";
  show("frame").hidden = show("extra").hidden = false;
  show("code").value = text;
  show("code").setAttribute("data-code", text);
  tell(state);
  await painted();
  say(state);
  countDown();
}

/** Once the browser has shown what was changed and has time, or a while later: a page in the background shows nothing. */
function painted() {
  return new Promise((resolve) => {
    const later = globalThis.requestIdleCallback ?? setTimeout;
    requestAnimationFrame(() => later(resolve));
    setTimeout(resolve, 300);
  });
}

function stateNow(token) {
  if (phone.clockWentBack()) return "clock_back";
  if (refusal) return refusal;
  if (token) return "ready";
  if (phone.kept.ended) return "ended";
  return navigator.onLine && !offline() ? "making" : "no_network";
}

function hideCode() {
  show("frame").hidden = show("along").hidden = show("extra").hidden = true;
  show("code").value = "";
  show("code").setAttribute("data-code", "");
}

/** Say how this phone is: what is, what to do, and until when its codes are good. */
function say(state, words = "") {
  tell(state, words);
  if (!phone) return;
  show("good").textContent = goodUntilWords(phone.goodUntil(), phone.now());
  show("good-until").hidden = !show("good").textContent;
  show("clock").textContent = clockWords(phone.kept.clockAhead);
  show("clock").hidden = !show("clock").textContent;
  show("place-words").textContent = PLACE_WORDS[place.state];
}

/** What is, and what to do. */
function tell(state, words = "") {
  const { words: usual, kind, act } = STATES[state];
  area.dataset.state = state;
  const told = words || refusedWords || (state === "ended" && phone?.kept.ended) || usual;
  show("words").textContent = told;
  show("notice").hidden = !told;
  show("notice").className = `note ${kind === "bad" ? "bad" : ""}`;
  show("sign-in").hidden = act !== "sign_in" && act !== "connect";
  show("sign-in").textContent = act === "connect" ? inWords("Sign in and connect this phone") : inWords("Sign in again");
  show("sign-in").dataset.act = act;
  show("phones").hidden = act !== "phones";
}

const PLACE_WORDS = {
  off: inWords("Off. A code then fits any place, so a picture of it may be used elsewhere."),
  finding: inWords("Looking for your place…"),
  found: inWords("On. Your codes are good within a few kilometres of here."),
  refused: inWords("Your browser does not tell your place. Allow it in the browser’s settings for this page."),
  unknown: inWords("Your place cannot be found just now; codes are made without it."),
};

function countDown() {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const ring = show("ring");
  ring.getAnimations().forEach((animation) => animation.cancel());
  ring.animate([{ strokeDasharray: "100 100" }, { strokeDasharray: "0 100" }], {
    duration: RENEW_EVERY,
    easing: still ? "steps(5)" : "linear",
    fill: "forwards",
  });
}

// -- what the rider sets ----------------------------------------------------------------------------------------

function listen() {
  show("fewer").addEventListener("click", () => choose(companion - 1));
  show("more").addEventListener("click", () => choose(companion + 1));
  show("digits").addEventListener("input", () => {
    const digits = show("digits").value.replaceAll(/\D/g, "").slice(0, 4);
    show("digits").value = digits;
    const asked = digits.length === 4 ? Number(digits) : null;
    if (asked === challenge) return;
    challenge = asked;
    wake();
  });
  show("place").checked = phone.kept.placeOn;
  show("place").addEventListener("change", async () => {
    await phone.change({ placeOn: show("place").checked });
    if (phone.kept.placeOn) turnPlaceOn();
    else place.turnOff();
    wake();
  });
  show("sign-in").addEventListener("click", () => {
    if (show("sign-in").dataset.act === "connect") localStorage.setItem(ANEW, String(Date.now()));
  });
}

function choose(number) {
  const most = phone.tokenNow()?.companions ?? 0;
  companion = Math.min(Math.max(0, number), most);
  offerCompanions(most);
  wake();
}

/** Whose code is shown. Each who rides along has a code of their own, and keeps their number from entry to exit. */
function offerCompanions(most) {
  show("along").hidden = most === 0;
  show("whose").textContent = companion === 0 ? inWords("You") : inWords("Companion {n}", { n: companion });
  show("fewer").disabled = companion === 0;
  show("more").disabled = companion >= most;
}

function turnPlaceOn() {
  const find = async () => {
    if (place.state === "off") return;
    if (!document.hidden) await place.find();
    show("place-words").textContent = PLACE_WORDS[place.state];
    setTimeout(find, 20_000);
  };
  if (place.state !== "off") return;
  place.state = "finding";
  find().then(() => wake());
}

// -- the page ---------------------------------------------------------------------------------------------------

/** Wait so long, or until something calls for a new code at once. */
async function pause(time) {
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, time);
    resume = () => {
      clearTimeout(timer);
      resolve();
    };
    if (calledFor) resume();
  });
  calledFor = false;
}

function wake() {
  calledFor = true;
  resume();
}

function offline() {
  return !show("offline").hidden;
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
globalThis.addEventListener("online", () => {
  reach(true);
  checkedAt = 0;
  wake();
});
document.addEventListener("visibilitychange", wake);
reach(navigator.onLine);

show("copy").addEventListener("click", async () => {
  const field = show("code");
  field.select();
  await navigator.clipboard?.writeText(field.value).catch(() => undefined);
  show("copy").textContent = inWords("Copied");
  setTimeout(() => (show("copy").textContent = inWords("Copy")), 1500);
});
