// What this phone keeps for one account: its signing key, which cannot leave it; the ride token of the issuer; the
// counter of its codes; how far the server's clock is ahead of its own. All of it works with the network off.

const STORE = "phones";

/** What is kept for an account; a fresh key when there is none yet. */
export async function openPhone(account) {
  const database = await openDatabase();
  const known = await ask(database, "readonly", (store) => store.get(account));
  if (known) return new Phone(database, known);
  const keyPair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  const fresh = { account, keyPair, token: null, expiresAt: 0, counter: 0, clockAhead: 0 };
  await ask(database, "readwrite", (store) => store.add(fresh)).catch(() => undefined); // another tab was first
  return new Phone(database, await ask(database, "readonly", (store) => store.get(account)));
}

class Phone {
  constructor(database, kept) {
    this.database = database;
    this.kept = kept;
  }

  /** The instant as the gates see it, in milliseconds. */
  now() {
    return Date.now() + this.kept.clockAhead;
  }

  /** How long the token still holds, in milliseconds; none or less when a new one is needed. */
  tokenLeft() {
    return this.kept.token ? this.kept.expiresAt - this.now() : 0;
  }

  /** Ask the issuer for a token bound to this phone's key. Throws when there is no network. */
  async fetchToken(address) {
    const raw = await crypto.subtle.exportKey("raw", this.kept.keyPair.publicKey);
    const asked = Date.now();
    const answer = await fetch(address, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ device_key: toBase64(new Uint8Array(raw)) }),
    });
    if (!answer.ok) throw new TokenRefused(answer.status, await answer.json().catch(() => ({})));
    const given = await answer.json();
    const middle = (asked + Date.now()) / 2;
    await this.change({
      token: fromBase64(given.token),
      expiresAt: Date.parse(given.expires_at),
      counter: 0,
      clockAhead: Math.round(Date.parse(given.server_time) - middle),
    });
  }

  /** The next counter of this token. Two tabs never get the same one. */
  async nextCounter() {
    const counter = await new Promise((resolve, reject) => {
      const transaction = this.database.transaction(STORE, "readwrite", { durability: "strict" });
      const store = transaction.objectStore(STORE);
      const read = store.get(this.kept.account);
      let next = 0;
      read.onsuccess = () => {
        next = read.result.counter + 1;
        store.put({ ...read.result, counter: next });
      };
      transaction.oncomplete = () => resolve(next);
      transaction.onerror = () => reject(transaction.error);
    });
    if (counter > 0xffff) throw new Error("This token has made all its codes. Go online once for a new one.");
    return counter;
  }

  async change(values) {
    const kept = await ask(this.database, "readonly", (store) => store.get(this.kept.account));
    this.kept = { ...kept, ...values };
    await ask(this.database, "readwrite", (store) => store.put(this.kept));
  }
}

/** The issuer did not give a token, and says why. */
export class TokenRefused extends Error {
  constructor(status, problem) {
    super(problem.detail || `The issuer answered ${status}.`);
    this.status = status;
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

function toBase64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
