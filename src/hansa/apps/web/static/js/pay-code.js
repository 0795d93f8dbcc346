// The page "My code": the payer's code of this phone, remade every twenty seconds, with or without a network; and the page
// of an entry ticket, which shows its code from its time on.

import { connect, readClock, askForTokens, readStanding } from "./issuer.js";
import { drawText, makePaymentCode, makeTicketCode } from "./payment-code.js";
import { openPhone } from "./phone.js";
import { phoneName } from "./phone-words.js";

const RENEW_PAY_MS = 20_000;
const RENEW_TICKET_MS = 10_000;

const area = document.querySelector("[data-pay-code]");
const show = (name) => area.querySelector(`[data-${name}]`);
const words = area.dataset;

start().catch((error) => say(error.message || String(error)));

async function start() {
  if (!globalThis.isSecureContext || !globalThis.crypto?.subtle) {
    say(words.insecure);
    return;
  }
  navigator.serviceWorker?.getRegistration("/wallet/").then((one) => one?.update()).catch(() => undefined);
  const phone = await openPhone(words.account);
  await hear(phone);
  const ticket = words.ticket ? await ticketOf(phone) : null;
  for (;;) {
    if (!(await phone.refresh())) return location.reload();
    await (words.ticket ? renewTicket(phone, ticket) : renewPay(phone));
    await new Promise((resolve) => setTimeout(resolve, words.ticket ? RENEW_TICKET_MS : RENEW_PAY_MS));
  }
}

/** Hear from the issuer what this phone lacks; without a network it goes on with what it has. */
async function hear(phone) {
  try {
    await readClock(phone);
    const standing = await readStanding(phone);
    if (standing.status === "unknown" && phone.kept.phoneId) await phone.change({ phoneId: null });
    if (!phone.kept.phoneId) {
      await connect(phone, phoneName(words.rider, navigator.userAgent, standing.taken), { anew: false });
    }
    if (!phone.tokenNow()) await askForTokens(phone);
  } catch (error) {
    if (!phone.tokenNow() && !words.ticket) say(error.message || words.none);
  }
}

async function renewPay(phone) {
  const token = phone.tokenNow();
  if (!token || phone.clockWentBack()) {
    hide();
    say(token ? words.clock : words.none);
    return;
  }
  const text = await makePaymentCode(phone.kept.keyPair.privateKey, token.token, {
    madeAt: Math.floor(phone.now() / 1000),
    counter: await phone.nextCounter(token.cti, "pay"),
  });
  await put(text);
}

/** The ticket's token for this phone, from the server, or as this phone kept it. */
async function ticketOf(phone) {
  const kept = phone.kept.tickets ?? {};
  try {
    const answer = await fetch(`/wallet/tickets/${words.ticket}/token`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ phone_id: phone.kept.phoneId }),
    });
    const given = await answer.json();
    if (!answer.ok) {
      if (answer.status < 500) await phone.change({ tickets: { ...kept, [words.ticket]: undefined } });
      say(given.user_message ?? given.detail);
      return null;
    }
    await phone.change({ tickets: { ...kept, [words.ticket]: given } });
    return given;
  } catch {
    return kept[words.ticket] ?? null;
  }
}

async function renewTicket(phone, given) {
  if (!given) return hide();
  const now = phone.now();
  if (now >= Date.parse(given.expires_at)) {
    hide();
    say(words.over);
    return;
  }
  const token = Uint8Array.from(atob(given.token), (character) => character.charCodeAt(0));
  const text = await makeTicketCode(phone.kept.keyPair.privateKey, token, {
    madeAt: Math.floor(now / 1000),
    counter: await phone.nextCounter(given.cti, "ticket"),
  });
  await put(text);
  if (now < Date.parse(given.begins_at)) say(words.early);
}

async function put(text) {
  await drawText(show("picture"), text).catch(() => say(words.missing));
  show("frame").hidden = false;
  show("text").value = text;
  area.dataset.shown = text;
  say("");
}

function hide() {
  show("frame").hidden = true;
  area.dataset.shown = "";
}

function say(told) {
  show("says").textContent = told;
  show("says").hidden = !told;
}
