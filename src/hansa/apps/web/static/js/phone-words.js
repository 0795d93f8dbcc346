// What the wallet says of its phone: for each state one sentence of what is, and one of what to do.

import { inWords, pageLanguage } from "./words.js";

const MINUTE = 60_000;

/** A state's words, its kind (good, warm, bad), and what can be done about it ("sign_in", "phones", "" for nothing). */
export const STATES = {
  making: { words: inWords("Making your code…"), kind: "good", act: "" },
  ready: { words: "", kind: "good", act: "" },
  no_network: { words: inWords("No network, and no pass for now. Go online once and your code comes back."), kind: "warm", act: "" },
  waiting: { words: inWords("Your issuer gave no pass just now. This page asks again by itself."), kind: "warm", act: "" },
  signed_out: {
    words: inWords("You are signed out. The passes on this phone still work; sign in again to renew them."),
    kind: "warm",
    act: "sign_in",
  },
  connect: {
    words: inWords("This phone is not connected: it is new here, or its key went when browser data were cleared. Sign in again to connect it."),
    kind: "warm",
    act: "connect",
  },
  step_up: {
    words: inWords("Your issuer wants to be sure that it is you. Sign in again and connect this phone anew; until then it has one short pass."),
    kind: "warm",
    act: "connect",
  },
  blocked: { words: inWords("Your issuer has blocked this account. Please ask them; nothing on this phone can change it."), kind: "bad", act: "" },
  ended: { words: inWords("This phone makes no codes any more."), kind: "bad", act: "connect" },
  too_many: { words: inWords("Your account has as many phones as it may have. Remove one, then open this page again."), kind: "warm", act: "phones" },
  too_many_tokens: { words: inWords("This account had very many passes replaced today. It gets new ones again tomorrow."), kind: "bad", act: "" },
  clock_back: {
    words: inWords("This phone’s clock went back, so it does not know the time. Go online once, or set the clock."),
    kind: "bad",
    act: "",
  },
  insecure: {
    words: inWords("Your browser keeps keys only on pages served over HTTPS or from this machine. Open the wallet that way."),
    kind: "bad",
    act: "",
  },
};

/** The state that follows from what the issuer refused. */
export const STATE_OF_CODE = {
  "trust.not_signed_in": "signed_out",
  "identity.sign_in_anew": "connect",
  "identity.account_blocked": "blocked",
  "identity.phone_ended": "ended",
  "identity.phone_key_taken": "connect",
  "identity.too_many_phones": "too_many",
  "rides.too_many_tokens": "too_many_tokens",
};

/** How wrong this phone's clock is, in words; empty when it is right to half a minute. */
export function clockWords(aheadMs) {
  if (Math.abs(aheadMs) <= 30_000) return "";
  const [size, unit] = Math.abs(aheadMs) < 2 * MINUTE ? [1000, "second"] : [MINUTE, "minute"];
  const figures = new Intl.NumberFormat(pageLanguage(), { style: "unit", unit, unitDisplay: "long" });
  const span = figures.format(Math.round(Math.abs(aheadMs) / size));
  return aheadMs > 0
    ? inWords("This phone’s clock is {span} slow. Your codes are corrected by it; set the clock when you can.", { span })
    : inWords("This phone’s clock is {span} fast. Your codes are corrected by it; set the clock when you can.", { span });
}

/** "Good until Thursday 14:10", by the wall clock of this phone. */
export function goodUntilWords(until, now) {
  if (!until) return "";
  const at = new Date(until);
  const language = pageLanguage();
  const day = until - now < 6 * 24 * 60 * MINUTE ? { weekday: "long" } : { weekday: "short", day: "numeric", month: "short" };
  const time = [at.getHours(), at.getMinutes()].map((one) => String(one).padStart(2, "0")).join(":");
  if (at.toDateString() === new Date(now).toDateString()) return inWords("Good until today {time}", { time });
  return inWords("Good until {day} {time}", { day: at.toLocaleDateString(language, day), time });
}

/** A default name for this phone, unlike those that are taken, for its rider to change. */
export function phoneName(rider, agent, taken) {
  const kinds = [
    [/iPhone/, "iPhone"],
    [/iPad/, "iPad"],
    [/Android.*Mobile/, inWords("Android phone")],
    [/Android/, inWords("Android tablet")],
    [/Windows/, inWords("Windows computer")],
    [/Macintosh/, "Mac"],
    [/Linux|CrOS/, inWords("computer")],
  ];
  const kind = kinds.find(([pattern]) => pattern.test(agent))?.[1] ?? inWords("phone");
  const name = [...inWords("{rider}’s {kind}", { rider, kind })].slice(0, 56).join("");
  let number = 1;
  while (taken.includes(number === 1 ? name : `${name} ${number}`)) number += 1;
  return number === 1 ? name : `${name} ${number}`;
}
