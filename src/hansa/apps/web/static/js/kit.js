// Answers the questions of the conformance kit (docs/ride-code/conformance.md) with the gate of verify.js.

import { fromHex, Gate, readSettings, readTrustList, Refused, toHex } from "./verify.js";

/** A verifier that starts knowing nothing. answer: { id, reason } to a question of the kit. */
export function makeVerifier() {
  const gates = new Map();
  const roots = new Map();
  const settingsVersions = new Map();

  const ask = {
    async gate({ gate, product, action, cell, root, trust_list, deny_list, now }) {
      roots.set(gate, fromHex(root));
      settingsVersions.delete(gate);
      const trustList = await readTrustList(fromHex(trust_list), fromHex(root), { now });
      const by = trustList.listKey && toHex(trustList.listKey);
      const denyList = { version: deny_list.version, ctis: new Set(deny_list.ctis), by };
      gates.set(gate, new Gate({ product, action, cell: fromHex(cell) }, { trustList, denyList }));
      return "ok";
    },
    async trust_list({ gate, trust_list, now }) {
      const { version } = gates.get(gate).trustList;
      const list = await readTrustList(fromHex(trust_list), roots.get(gate), { now, newerThan: version });
      gates.get(gate).useTrustList(list);
      return "ok";
    },
    async deny_list({ gate, update }) {
      await gates.get(gate).takeDenyUpdate(fromHex(update));
      return "ok";
    },
    async settings({ gate, device, settings }) {
      const { listKey } = gates.get(gate).trustList;
      const newerThan = settingsVersions.get(gate) ?? -1;
      const { version } = await readSettings(fromHex(settings), listKey, { deviceId: device, newerThan });
      settingsVersions.set(gate, version);
      return "ok";
    },
    async show({ gate, text, now, challenge, online }) {
      const digits = challenge === null ? null : Number(challenge);
      return (await gates.get(gate).decide(text, { now, challenge: digits, online })).reason;
    },
  };

  return async function answer(question) {
    try {
      return { id: question.id, reason: await ask[question.do](question) };
    } catch (error) {
      if (error instanceof Refused) return { id: question.id, reason: error.reason };
      throw error;
    }
  };
}
