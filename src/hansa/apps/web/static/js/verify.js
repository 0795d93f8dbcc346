// A gate in JavaScript: verifies ride codes (HRC-1) without network, with WebCrypto and nothing else. Written from
// docs/ride-code and not from the Python gate, so that each of the two shows where the other errs.

import { fromBase45 } from "./base45.js";
import { BadCbor, decode } from "./cbor-read.js";
import { encode } from "./cbor.js";
import { decompress, isHighS } from "./p256.js";

const PREFIX = "HR1:";
const TEXT_MAX = 1500;
const SECONDS = [0x10000, 0xffffffff];
const OLDEST_S = 20;
const NEWEST_S = 30;
const TOKEN_LIFE_S = 24 * 3600;
const COMPANIONS_MAX = 15;
const CHALLENGE_MAX = 9999;
const DAYS_END_S = 253402300799; // the last second of the year 9999
const [ES256, EDDSA] = [-7, -8];
const [ALG, CONTENT_TYPE, KID, KCWT] = [1, 3, 4, 13];
const TRUST_LIST = "application/hansa-trust-list+cbor";
const DENY_LIST = "application/hansa-deny-list+cbor";
const SETTINGS = "application/hansa-settings+cbor";
const [VERSION, CTI_LENGTH] = [[0, Number.MAX_SAFE_INTEGER], 8];
const PRODUCTS = ["metro", "bus", "tram", "rail", "ferry", "cable_car", "attraction", "parking", "bicycle"];
const MODES = ["metro", "bus", "tram", "rail", "ferry", "cable_car"];
const RIDER_CLASSES = ["adult", "child", "senior", "student"];
const STATUSES = ["active", "retired", "compromised"];

/** The code opens no gate, or the list is not to be used; reason is a word of docs/ride-code. */
export class Refused extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/** The fields of a code, none of them believed yet. Throws Refused. */
export function readCode(text) {
  if (!text.startsWith(PREFIX)) throw new Refused(/^HR[0-9A-Z]:/.test(text) ? "unknown_suite" : "malformed");
  if (text.length > TEXT_MAX && [...text].length > TEXT_MAX) throw new Refused("wrong_length");
  const bytes = fromBase45(text.slice(PREFIX.length));
  if (bytes === null) throw new Refused("malformed");
  return strictly(() => {
    const code = readMessage(decode(bytes), ES256, [ALG, KCWT]);
    const token = code.header.get(KCWT);
    insist(Array.isArray(token));
    insist(hasLabels(code.payload, [6, 7, 10], [8, 11]));
    const fields = {
      madeAt: number(code.payload.get(6), ...SECONDS),
      counter: number(code.payload.get(7), 0, 0xffff),
      companion: code.payload.has(8) ? number(code.payload.get(8), 1, COMPANIONS_MAX) : 0,
      cell: bytesOf(code.payload.get(10), 3),
      challenge: code.payload.has(11) ? number(code.payload.get(11), 0, CHALLENGE_MAX) : null,
      signature: bytesOf(code.signature, 64),
      signed: code.signed,
    };
    return { ...fields, token: readToken(token) };
  });
}

function readToken(parts) {
  const token = readMessage(parts, EDDSA, [ALG, KID]);
  const kid = bytesOf(token.header.get(KID), 4);
  insist(hasLabels(token.payload, [4, 7, 8, 9]));
  const expiresAt = number(token.payload.get(4), ...SECONDS);
  const cti = bytesOf(token.payload.get(7), 8);
  const cnf = token.payload.get(8);
  insist(cnf instanceof Map && hasLabels(cnf, [1]));
  const key = cnf.get(1);
  insist(key instanceof Map && hasLabels(key, [1, -1, -2, -3]) && typeof key.get(-3) === "boolean");
  number(key.get(1), 2, 2);
  number(key.get(-1), 1, 1);
  const x = bytesOf(key.get(-2), 32);
  const scope = bytesOf(token.payload.get(9), 5);
  const signature = bytesOf(token.signature, 64);
  return { kid, expiresAt, cti, x, yIsOdd: key.get(-3), scope, signature, signed: token.signed };
}

/** A COSE_Sign1 (RFC 9052 section 4.2) with exactly these protected headers. signed: what its signature is over. */
function readMessage(parts, algorithm, labels) {
  insist(Array.isArray(parts) && parts.length === 4);
  const [protectedBytes, unprotected, payloadBytes, signature] = parts;
  insist(protectedBytes instanceof Uint8Array && unprotected instanceof Map);
  insist(payloadBytes instanceof Uint8Array && signature instanceof Uint8Array);
  const header = decode(protectedBytes);
  insist(header instanceof Map);
  if (unprotected.size > 0 || !hasLabels(header, labels) || header.get(ALG) !== algorithm) {
    throw new Refused("wrong_header");
  }
  const payload = decode(payloadBytes);
  insist(payload instanceof Map);
  return { header, payload, signature, signed: sigStructure(protectedBytes, payloadBytes) };
}

function sigStructure(protectedBytes, payloadBytes) {
  return encode(["Signature1", protectedBytes, new Uint8Array(0), payloadBytes]);
}

/**
 * The trust list, if the league's root (32 bytes) signed it, it lasts and is newer than the one in use. now: seconds.
 * listKey: whose signature deny lists and settings bear, 32 bytes, or null. Throws Refused.
 */
export function readTrustList(bytes, root, { now, newerThan = -1 }) {
  return readSigned(bytes, root, TRUST_LIST, "trust_list_refused", (payload) => {
    insist(hasLabels(payload, [1, 2, 3, 4], [5]) && Array.isArray(payload.get(4)));
    const version = number(payload.get(1), ...VERSION);
    number(payload.get(2), 0, DAYS_END_S);
    const expiresAt = number(payload.get(3), 0, DAYS_END_S);
    const keys = new Map(payload.get(4).map(readKey));
    const listKey = payload.has(5) ? bytesOf(payload.get(5), 32) : null;
    insist(keys.size === payload.get(4).length && now < expiresAt && version > newerThan);
    return { version, expiresAt, keys, listKey };
  });
}

/**
 * An update of the deny list, if the league's list key (32 bytes, or null) signed it. groups: [{ endsAt, ctis }], ctis in
 * hex. Whether it goes on from the list in use, the gate knows (`Gate.takeDenyUpdate`). Throws Refused.
 */
export function readDenyUpdate(bytes, listKey) {
  return readSigned(bytes, listKey, DENY_LIST, "deny_list_refused", (payload) => {
    insist(hasLabels(payload, [1, 2, 3, 4]) && Array.isArray(payload.get(4)));
    const version = number(payload.get(1), ...VERSION);
    const since = number(payload.get(2), 0, version);
    const issuedAt = number(payload.get(3), 0, DAYS_END_S);
    const groups = payload.get(4).map(readDenied);
    insist(ascending(groups.map((group) => group.endsAt)));
    return { version, since, issuedAt, groups };
  });
}

/**
 * The deny list { version, issuedAt, ctis, by } after an update that this list key signed. It must go on from the one in
 * use: begin at its version or before (0 where there is none, and where another key signed it, by in hex), and be no
 * older. A whole list, from 0, takes its place. Throws Refused.
 */
export function grown(denyList, { version, since, issuedAt, groups }, listKey) {
  const by = toHex(listKey);
  const inUse = denyList.by === by ? denyList : { version: 0, issuedAt: 0, ctis: [] };
  const said = inUse.issuedAt ?? 0;
  const isOlder = version < inUse.version || (version === inUse.version && issuedAt < said);
  if (since > inUse.version || isOlder) throw new Refused("deny_list_refused");
  const added = groups.flatMap((group) => group.ctis);
  return { version, issuedAt: Math.max(issuedAt, said), ctis: new Set([...(since ? inUse.ctis : []), ...added]), by };
}

function readDenied(row) {
  insist(Array.isArray(row) && row.length === 2 && row[1] instanceof Uint8Array);
  insist(row[1].length > 0 && row[1].length % CTI_LENGTH === 0);
  const ctis = [];
  for (let at = 0; at < row[1].length; at += CTI_LENGTH) ctis.push(toHex(row[1].subarray(at, at + CTI_LENGTH)));
  insist(ascending(ctis));
  return { endsAt: number(row[0], 0, Math.floor(DAYS_END_S / 3600)) * 3600, ctis };
}

/**
 * Settings of this device, if the league's list key signed them for it and they are newer than those in use. Throws
 * Refused.
 */
export function readSettings(bytes, listKey, { deviceId, newerThan = -1 }) {
  return readSigned(bytes, listKey, SETTINGS, "settings_refused", (payload) => {
    insist(hasLabels(payload, [1, 2, 3, 4]));
    const version = number(payload.get(1), ...VERSION);
    const issuedAt = number(payload.get(2), 0, DAYS_END_S);
    insist(payload.get(3) === deviceId && version > newerThan);
    return { version, issuedAt, values: readValues(payload.get(4)) };
  });
}

function readValues(text) {
  insist(typeof text === "string");
  let values = null;
  try {
    values = JSON.parse(text);
  } catch {
    insist(false);
  }
  insist(typeof values === "object" && values !== null && !Array.isArray(values));
  return values;
}

/** What a COSE_Sign1 of exactly this content type says, if this key signed it; else Refused with this reason. */
async function readSigned(bytes, publicKey, contentType, reason, read) {
  try {
    insist(publicKey !== null);
    const parts = decode(bytes);
    insist(Array.isArray(parts) && parts.length === 4 && parts[1] instanceof Map && parts[1].size === 0);
    insist([parts[0], parts[2], parts[3]].every((part) => part instanceof Uint8Array));
    const header = decode(parts[0]);
    insist(header instanceof Map && hasLabels(header, [ALG, CONTENT_TYPE]));
    insist(header.get(ALG) === EDDSA && header.get(CONTENT_TYPE) === contentType);
    insist(await signedByEd25519(publicKey, parts[3], sigStructure(parts[0], parts[2])));
    const payload = decode(parts[2]);
    insist(payload instanceof Map);
    return read(payload);
  } catch (error) {
    if (error instanceof Refused || error instanceof BadCbor) throw new Refused(reason);
    throw error;
  }
}

function ascending(values) {
  return values.every((value, place) => place === 0 || value > values[place - 1]);
}

function readKey(row) {
  insist(Array.isArray(row) && row.length === 7);
  const [kid, issuer, publicKey, notBefore, notAfter, products, status] = row;
  insist(typeof issuer === "string");
  return [
    toHex(bytesOf(kid, 4)),
    {
      issuer,
      publicKey: bytesOf(publicKey, 32),
      notBefore: number(notBefore, 0, DAYS_END_S),
      notAfter: number(notAfter, 0, DAYS_END_S),
      products: names(number(products, 0, 0xffff), PRODUCTS),
      status: STATUSES[number(status, 0, STATUSES.length - 1)],
    },
  ];
}

/**
 * One gate: its lists, what it has seen, and its decision on each text.
 *
 * place: { product, action, cell }. lists: { trustList, denyList: { version, ctis, by } }, ctis a Set of hex; by: in hex
 * the list key that signed it.
 * state: what an earlier gate of this place remembered (`remembered`); the caller keeps it where power loss cannot reach.
 */
export class Gate {
  constructor({ product, action, cell }, { trustList, denyList }, state = {}) {
    Object.assign(this, { product, action, cell, trustList, denyList });
    this.counters = new Map(state.counters);
    this.offlineRides = new Map(state.offlineRides);
    this.last = Promise.resolve();
  }

  /** What must not be forgotten: store it before the gate opens. */
  get remembered() {
    return { counters: [...this.counters], offlineRides: [...this.offlineRides] };
  }

  useTrustList(trustList) {
    if (trustList.version > this.trustList.version) this.trustList = trustList;
  }

  /** Take a signed update of the deny list (bytes). Throws Refused, and nothing changed. */
  async takeDenyUpdate(bytes) {
    const { listKey } = this.trustList;
    this.denyList = grown(this.denyList, await readDenyUpdate(bytes, listKey), listKey);
  }

  /**
   * "ok", or the reason of the refusal, in { reason } with the code's fields where it is accepted. now: the gate's
   * clock, in seconds. challenge: the digits on its screen, null for none. online: whether it has its network.
   */
  decide(text, { now, challenge = null, online = true }) {
    // One code after another: two at once would both find a counter unused.
    const decision = this.last.then(() => this.#decide(text, now, challenge, online));
    this.last = decision.catch(() => undefined);
    return decision;
  }

  async #decide(text, now, challenge, online) {
    if (online) this.offlineRides.clear();
    try {
      const code = await verifyCode(text, { ...this, now, challenge });
      const token = code.kid + code.cti;
      const rider = `${token}/${code.companion}`;
      if (code.counter <= (this.counters.get(rider) ?? -1)) throw new Refused("replay");
      const rides = this.offlineRides.get(token) ?? 0;
      const counts = !online && this.action !== "exit";
      if (counts && rides >= code.scope.offlineCap) throw new Refused("offline_cap");
      this.counters.set(rider, code.counter);
      if (counts) this.offlineRides.set(token, rides + 1);
      return { reason: "ok", code };
    } catch (error) {
      if (error instanceof Refused) return { reason: error.reason, code: null };
      throw error;
    }
  }
}

/** What the code says, if it is to be believed; repeats and caps are the gate's to know. Throws Refused. */
export async function verifyCode(text, { trustList, denyList, product, cell, now, challenge }) {
  const code = readCode(text);
  const { token } = code;
  const refuseIf = (holds, reason) => {
    if (holds) throw new Refused(reason);
  };

  refuseIf(now >= trustList.expiresAt, "trust_list_expired");
  const issuer = trustList.keys.get(toHex(token.kid));
  refuseIf(!issuer || issuer.status === "compromised", "untrusted_issuer");
  refuseIf(now < issuer.notBefore || now >= issuer.notAfter, "issuer_outside_dates");
  refuseIf(!(await signedByEd25519(issuer.publicKey, token.signature, token.signed)), "bad_token_signature");
  const scope = readScope(token.scope);
  const point = decompress(token.x, token.yIsOdd);
  refuseIf(scope === null || point === null, "malformed");

  refuseIf(now >= token.expiresAt, "token_expired");
  refuseIf(token.expiresAt - now > TOKEN_LIFE_S + NEWEST_S, "token_not_yet_valid");
  refuseIf(!issuer.products.includes(product) || !allows(scope, product), "product_not_allowed");
  refuseIf(isHighS(code.signature.subarray(32)), "high_s");
  refuseIf(!(await signedByP256(point, code.signature, code.signed)), "bad_code_signature");
  refuseIf(code.madeAt < now - OLDEST_S || code.madeAt > now + NEWEST_S, "clock_skew");
  refuseIf(code.companion > scope.companions, "companion_not_allowed");
  refuseIf(code.challenge !== challenge, "wrong_challenge");
  refuseIf(!areNear(code.cell, cell), "wrong_place");
  refuseIf(denyList.ctis.has(toHex(token.cti)), "revoked");
  return {
    issuer: issuer.issuer,
    kid: toHex(token.kid),
    cti: toHex(token.cti),
    counter: code.counter,
    companion: code.companion,
    madeAt: code.madeAt,
    cell: toHex(code.cell),
    scope,
    expiresAt: token.expiresAt,
  };
}

function readScope(bytes) {
  const riderClass = RIDER_CLASSES[bytes[0] & 0x0f];
  const [products, modes] = [bytes[1] * 256 + bytes[2], bytes[3]];
  if (riderClass === undefined || products >> PRODUCTS.length || modes >> MODES.length) return null;
  return {
    riderClass,
    companions: bytes[0] >> 4,
    products: names(products, PRODUCTS),
    modes: names(modes, MODES),
    offlineCap: bytes[4],
  };
}

function allows(scope, product) {
  if (!scope.products.includes(product)) return false;
  return scope.modes.length === 0 || !MODES.includes(product) || scope.modes.includes(product);
}

function names(bits, vocabulary) {
  insist(bits >> vocabulary.length === 0);
  return vocabulary.filter((_, place) => (bits >> place) & 1);
}

/** Whether two cells are the same or touch; the columns close to a ring, the rows do not. Cell 0 is anywhere. */
export function areNear(one, other) {
  const [a, b] = [one, other].map((cell) => cell[0] * 0x10000 + cell[1] * 0x100 + cell[2]);
  if (a === 0 || b === 0) return true;
  const columns = Math.abs((a & 0xfff) - (b & 0xfff));
  return Math.abs((a >> 12) - (b >> 12)) <= 1 && Math.min(columns, 0x1000 - columns) <= 1;
}

async function signedByEd25519(publicKey, signature, message) {
  const key = await crypto.subtle
    .importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"])
    .catch((error) => {
      if (error.name === "NotSupportedError") throw error; // an old browser is no forger
      return null;
    });
  return key !== null && crypto.subtle.verify({ name: "Ed25519" }, key, signature, message);
}

async function signedByP256(point, signature, message) {
  const key = await crypto.subtle.importKey("raw", point, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
  return crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, message);
}

function strictly(read) {
  try {
    return read();
  } catch (error) {
    if (error instanceof BadCbor) throw new Refused(error.reason);
    throw error;
  }
}

function hasLabels(map, wanted, allowed = []) {
  const labels = [...map.keys()];
  return wanted.every((label) => map.has(label)) && labels.every((label) => [...wanted, ...allowed].includes(label));
}

function number(value, least, most) {
  insist(typeof value === "number" && value >= least && value <= most);
  return value;
}

function bytesOf(value, length) {
  insist(value instanceof Uint8Array);
  if (value.length !== length) throw new Refused("wrong_length");
  return value;
}

function insist(holds) {
  if (!holds) throw new Refused("malformed");
}

export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fromHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
