// What this phone says to its issuer when there is a network: it asks the time, connects itself, and asks for tokens.
// Each of them is proved by the phone's key (docs/phones.md).

import { newKey } from "./phone.js";
import { prove } from "./phone-proof.js";

/** The issuer answered, and refused. code: stable, as in the interface's description. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || `The issuer answered ${status}.`);
    this.status = status;
    this.code = problem.code || "";
  }
}

const PATIENCE_MS = 10_000; // a network that says nothing for so long is none

/** There is no network, or none that answers. */
export class Unreached extends Error {}

/** Set the phone by the league's clock. */
export async function readClock(phone) {
  const asked = Date.now();
  const { now } = await call("GET", "/v1/clock");
  const middle = (asked + Date.now()) / 2;
  const clockAhead = Math.round(Date.parse(now) - middle);
  // Over a slow network the middle says little; a clock that is right is left alone.
  if (Math.abs(clockAhead - phone.kept.clockAhead) > 250) await phone.change({ clockAhead, lastNow: 0 });
}

/**
 * How the account and this phone stand, as the server has it. live: how many of this phone's tokens are good; taken: names
 * of phones that are connected.
 */
export async function readStanding(phone) {
  const { standing, phones } = await call("GET", "/v1/me/phones");
  const own = phones.find((one) => one.phone_id === phone.kept.phoneId);
  const taken = phones.filter((one) => one.status === "active").map((one) => one.name);
  const [status, live] = own ? [own.status, own.live_tokens] : ["unknown", 0];
  return { standing: standing.level, since: standing.since, status, live, taken };
}

/** Connect this phone under a name; anew: with a new key, in the place of what it was. */
export async function connect(phone, name, { anew = false } = {}) {
  const keyPair = anew ? await newKey() : phone.kept.keyPair;
  const connected = await proved(phone, keyPair, "POST", "/v1/me/phones", { name });
  const fresh = anew ? { tokens: [], counters: {} } : {};
  await phone.change({ ...fresh, keyPair, phoneId: connected.phone.phone_id, ended: "", askAgain: 0 });
  await navigator.storage?.persist?.().catch(() => undefined);
}

/** Ask for the tokens that this phone lacks. */
export async function askForTokens(phone) {
  const hold = phone.kept.tokens.map((one) => one.cti);
  const path = `/v1/me/phones/${phone.kept.phoneId}/tokens`;
  await phone.takeTokens(await proved(phone, phone.kept.keyPair, "POST", path, { hold }));
}

/** A request that this phone's key signs, with a number of the server's; once more when that came too late. */
async function proved(phone, keyPair, method, path, body) {
  for (let attempt = 1; ; attempt += 1) {
    const { nonce } = await call("POST", "/v1/me/nonces");
    const at = Math.floor(phone.now() / 1000);
    const proof = await prove(keyPair, { method, address: new URL(path, location.href).href, nonce, at });
    try {
      return await call(method, path, { body, headers: { dpop: proof } });
    } catch (error) {
      if (attempt > 1 || error.code !== "identity.nonce_refused") throw error;
    }
  }
}

async function call(method, path, { body, headers = {} } = {}) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const asked = {
    method,
    cache: "no-store",
    signal: AbortSignal.timeout(PATIENCE_MS),
    ...sent,
    headers: { accept: "application/json", ...sent.headers, ...headers },
  };
  const answer = await reached(fetch(path, asked));
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
  return reached(answer.json());
}

function reached(answering) {
  return answering.catch((error) => {
    throw new Unreached(error.message);
  });
}
