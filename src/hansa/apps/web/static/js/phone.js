// What this phone keeps for one account: its signing key, which cannot leave it; the issuer's ride tokens of today and
// of the days to come; the counters of its codes; how far the server's clock is ahead of its own. All of it works with
// the network off.

const STORE = "phones";
const COUNTER_MAX = 0xffff;
const BACK_MS = 60_000;

/** What is kept for an account; a fresh key when there is none yet. */
export async function openPhone(account) {
  const database = await openDatabase();
  const known = await ask(database, "readonly", (store) => store.get(account));
  if (known) return new Phone(database, { ...unconnected(account, known.keyPair), ...known });
  const fresh = unconnected(account, await newKey());
  await ask(database, "readwrite", (store) => store.add(fresh)).catch(() => undefined); // another tab was first
  return new Phone(database, await ask(database, "readonly", (store) => store.get(account)));
}

/** A key of P-256 that signs and cannot be taken out. */
export function newKey() {
  return crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
}

function unconnected(account, keyPair) {
  return {
    account,
    keyPair,
    phoneId: null, // what the issuer calls this phone, once it is connected
    tokens: [], // {cti, token, begins, ends, companions, offlineCap}; instants in milliseconds since 1970
    counters: {}, // of each token and companion, the last that was used: "cti/companion" -> number
    askAgain: 0, // when the issuer will give more tokens
    clockAhead: 0, // how far the server's clock is ahead of ours, in milliseconds
    lastNow: 0, // the latest instant at which a code was made
    standing: "clear",
    since: "",
    ended: "", // why this phone makes no codes any more, in words
    placeOn: false,
  };
}

class Phone {
  constructor(database, kept) {
    this.database = database;
    this.kept = kept;
  }

  /** Read what another tab may have changed. False when it is all gone: signed out, or browser data cleared. */
  async refresh() {
    const kept = await ask(this.database, "readonly", (store) => store.get(this.kept.account));
    if (kept) this.kept = { ...unconnected(kept.account, kept.keyPair), ...kept };
    return Boolean(kept);
  }

  /** The instant as the gates see it, in milliseconds. */
  now() {
    return Date.now() + this.kept.clockAhead;
  }

  /** The token for now: of those that have begun, the one that ends last. None when there is none. */
  tokenNow() {
    const now = this.now();
    const good = this.kept.tokens.filter((token) => token.begins <= now && now < token.ends);
    return good.reduce((best, token) => (best && best.ends >= token.ends ? best : token), null);
  }

  /** How many tokens it has that are good now or on a day to come. */
  liveTokens() {
    return this.kept.tokens.filter((token) => token.ends > this.now()).length;
  }

  /** Until when this phone can make codes without network, in milliseconds since 1970; 0 when it cannot now. */
  goodUntil() {
    let until = this.tokenNow()?.ends ?? 0;
    const later = this.kept.tokens.filter((token) => token.ends > until).sort((a, b) => a.begins - b.begins);
    for (const token of until ? later : []) {
      if (token.begins <= until) until = Math.max(until, token.ends);
    }
    return until;
  }

  /** Whether this phone's clock went back since its last code: then it does not know the time until it is online. */
  clockWentBack() {
    return this.now() < this.kept.lastNow - BACK_MS;
  }

  /** The next counter of this token and companion, made sure of before it is used. Two tabs never get the same one. */
  async nextCounter(cti, companion = 0) {
    const name = `${cti}/${companion}`;
    const counter = await new Promise((resolve, reject) => {
      const transaction = this.database.transaction(STORE, "readwrite", { durability: "strict" });
      const store = transaction.objectStore(STORE);
      const read = store.get(this.kept.account);
      let next = 0;
      read.onsuccess = () => {
        const counters = { ...read.result.counters };
        next = (counters[name] ?? 0) + 1;
        counters[name] = next;
        store.put({ ...read.result, counters, lastNow: Math.max(read.result.lastNow ?? 0, this.now()) });
      };
      transaction.oncomplete = () => resolve(next);
      transaction.onerror = () => reject(transaction.error);
    });
    if (counter > COUNTER_MAX) throw new Error("This token has made all its codes. Go online once for a new one.");
    return counter;
  }

  /** Keep these values beside what is there. */
  async change(values) {
    this.kept = await new Promise((resolve, reject) => {
      const transaction = this.database.transaction(STORE, "readwrite", { durability: "strict" });
      const store = transaction.objectStore(STORE);
      const read = store.get(this.kept.account);
      let kept = null;
      read.onsuccess = () => {
        kept = { ...this.kept, ...read.result, ...values };
        store.put(kept);
      };
      transaction.oncomplete = () => resolve(kept);
      transaction.onerror = () => reject(transaction.error);
    });
  }

  /** Take what the issuer gave: new tokens beside those held, without those that are good no more or have ended. */
  async takeTokens(given) {
    const now = this.now();
    const drop = new Set(given.drop);
    const fresh = given.tokens.map((one) => ({
      cti: one.cti,
      token: fromBase64(one.token),
      begins: Date.parse(one.begins_at),
      ends: Date.parse(one.expires_at),
      companions: one.companions,
      offlineCap: one.offline_cap,
    }));
    const tokens = [...this.kept.tokens, ...fresh].filter((one) => !drop.has(one.cti) && one.ends > now);
    const ctis = new Set(tokens.map((one) => one.cti));
    const stays = (name) => ctis.has(name.split("/")[0]) || name.endsWith("/ticket"); // tickets outlive ride tokens
    const entries = Object.entries(this.kept.counters).filter(([name]) => stays(name));
    await this.change({
      tokens,
      counters: Object.fromEntries(entries),
      askAgain: Date.parse(given.ask_again_at),
      standing: given.standing.level,
      since: given.standing.since,
      ended: "",
    });
  }

  /** This phone was lost, removed or its account blocked: it makes no codes any more. */
  async end(words) {
    await this.change({ tokens: [], counters: {}, askAgain: 0, ended: words });
  }
}

function openDatabase() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("hansa-wallet", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "account" });
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

function ask(database, mode, question) {
  return new Promise((resolve, reject) => {
    const asking = question(database.transaction(STORE, mode).objectStore(STORE));
    asking.onsuccess = () => resolve(asking.result);
    asking.onerror = () => reject(asking.error);
  });
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
