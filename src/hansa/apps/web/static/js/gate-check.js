// What the gate's screen finds out by itself: the lists as anybody may fetch them, and the verifier of verify.js. The
// gate's own program decides, for it remembers what was shown before; this page tells when the two disagree, and what
// is wrong with a code while the program cannot be reached.

import { fromHex, grown, readDenyUpdate, readTrustList, Refused, toHex, verifyCode } from "./verify.js";

const FRESHEN_EVERY = 60_000;

/** Begin to hold the lists; gives check(text, now), which answers "ok", a reason, or null while there is no list yet. */
export function startChecking({ root, product, cell }) {
  let trustList = null;
  let denyList = { version: 0, ctis: new Set(), by: null };

  async function freshen() {
    await unlessRefused(async () => {
      const now = Date.now() / 1000;
      const newerThan = trustList?.version ?? -1;
      trustList = await readTrustList(await get("/v1/trust-list"), fromHex(root), { now, newerThan });
    });
    await unlessRefused(async () => {
      const listKey = trustList?.listKey ?? null;
      if (listKey === null) return; // no list that could be checked
      const since = denyList.by === toHex(listKey) ? denyList.version : 0;
      const update = await get(`/v1/deny-list.cose?since=${since}`);
      denyList = grown(denyList, await readDenyUpdate(update, listKey), listKey);
    });
  }

  freshen();
  setInterval(freshen, FRESHEN_EVERY);

  return async function check(text, now) {
    if (trustList === null) return null;
    try {
      await verifyCode(text, { trustList, denyList, product, cell: fromHex(cell), now, challenge: null });
      return "ok";
    } catch (error) {
      return error instanceof Refused ? error.reason : null;
    }
  };
}

/** Without network, or nothing newer: the lists in hand serve until they end. */
async function unlessRefused(take) {
  try {
    await take();
  } catch (error) {
    if (!(error instanceof Refused || error instanceof Unanswered || error instanceof TypeError)) throw error;
  }
}

class Unanswered extends Error {}

async function get(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Unanswered(`${address} answered ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}
