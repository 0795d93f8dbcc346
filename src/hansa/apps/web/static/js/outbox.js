// Requests for money back that a rider has written and the server has not taken yet. They are kept in this browser before
// anything is sent, and sent until there is an answer; the id of each makes sending it twice harmless. Pages load this
// file as a module, the service worker by importScripts: so it exports nothing and puts itself under one name.

globalThis.hansaOutbox = (() => {
  const REQUESTS = "requests";
  const FACTS = "facts";
  const PATIENCE_MS = 20_000;
  const LATER = new Set([401, 403, 408, 425, 429]); // answers that say nothing about the request itself
  const SYNC = "hansa-outbox";

  function open() {
    return new Promise((resolve, reject) => {
      const opening = indexedDB.open("hansa-outbox", 1);
      opening.onupgradeneeded = () => {
        opening.result.createObjectStore(REQUESTS, { keyPath: "dispute_id" });
        opening.result.createObjectStore(FACTS);
      };
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = () => reject(opening.error);
    });
  }

  /** One question to a store; resolved once what it wrote is durable. */
  async function ask(store, mode, question) {
    const database = await open();
    try {
      return await new Promise((resolve, reject) => {
        const work = database.transaction(store, mode, { durability: "strict" });
        const asking = question(work.objectStore(store));
        work.oncomplete = () => resolve(asking.result);
        work.onabort = work.onerror = () => reject(work.error ?? asking.error);
      });
    } finally {
      database.close();
    }
  }

  const list = async () => {
    const found = await ask(REQUESTS, "readonly", (store) => store.getAll());
    return found.sort((one, other) => one.asked_at - other.asked_at);
  };
  const find = (id) => ask(REQUESTS, "readonly", (store) => store.get(id));
  const remove = (id) => ask(REQUESTS, "readwrite", (store) => store.delete(id));
  const put = (entry) => ask(REQUESTS, "readwrite", (store) => store.put(entry));
  const account = () => ask(FACTS, "readonly", (store) => store.get("account"));

  /** One at a time in this browser, of all its pages and the service worker. */
  const alone = (work) => (navigator.locks ? navigator.locks.request("hansa-outbox", work) : work());

  /** Whose wallet this browser shows: only that rider's requests are sent. What is being sent is first let go through. */
  async function setAccount(id) {
    if ((await account()) === id) return;
    await alone(() => ask(FACTS, "readwrite", (store) => store.put(id, "account")));
  }

  /** Keep a request. Nothing was sent when this returns, and nothing is lost any more. */
  async function keep({ journey_id, title, reason, words }) {
    const entry = {
      dispute_id: crypto.randomUUID(),
      account: await account(),
      journey_id,
      title,
      reason,
      words,
      asked_at: Date.now(),
      state: "waiting",
      told: "",
    };
    await put(entry);
    return entry;
  }

  /** Send what waits, one sender in this browser at a time; how many still wait. changed is called as states change. */
  function send(changed = () => undefined) {
    const work = async () => {
      const own = await account();
      const waiting = (await list()).filter((one) => one.account === own && ["waiting", "sending"].includes(one.state));
      let left = waiting.length;
      for (const entry of waiting) {
        await put({ ...entry, state: "sending" });
        changed();
        const after = await post(entry);
        await put({ ...entry, ...after });
        changed();
        if (after.state === "waiting") break; // the others would fare no better just now
        left -= 1;
      }
      return left;
    };
    return alone(work);
  }

  /** What becomes of a request: sent, refused with the reason, or waiting where there was no answer to it. */
  async function post({ dispute_id, journey_id, reason, words }) {
    try {
      const answer = await fetch("/v1/refunds", {
        method: "POST",
        credentials: "same-origin",
        headers: { "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify({ dispute_id, journey_id, reason, words }),
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      if (answer.ok) return { state: "sent", told: "" };
      if (answer.status >= 500 || LATER.has(answer.status)) {
        return { state: "waiting", told: answer.status === 401 ? "sign_in" : "" };
      }
      const problem = await answer.json();
      const told = (problem.violations ?? []).map((one) => `${one.detail ?? ""}. ${one.remedy ?? ""}`).join(" ");
      return { state: "refused", told: told || problem.detail || problem.title || "" };
    } catch {
      return { state: "waiting", told: "" };
    }
  }

  return { keep, find, list, remove, send, setAccount, account, SYNC };
})();
