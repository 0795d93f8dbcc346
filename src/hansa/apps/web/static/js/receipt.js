// A receipt checked in the reader's own browser: the transfer, its place in the city's log, and who signed for that log.
// Formats: docs/tamper-evidence.md; C2SP tlog-proof, tlog-checkpoint, tlog-cosignature, signed-note; RFC 9162, 2.1.

const FIELDS = ["index", "origin", "partition", "proof", "row", "salt", "transfer", "version"];
const ROW_BYTES = 141;
const SIZE_MAX = 2n ** 63n;
const SIGNATURES_MAX = 64;
const LOG = 1; // signature types of signed-note
const WITNESS = 4;
const CONTROL = /[\u0000-\u0009\u000b-\u001f]|\p{Cs}/u;
const NO_NAME = /[\u0000-\u0020+\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

const utf8 = new TextEncoder();

/** What a step found: a sentence, by its English with the figures that stand in it, for pages in other languages. */
class Said {
  constructor(english, facts) {
    Object.assign(this, { english, facts });
  }

  toString() {
    return this.english.replaceAll(/\{(\w+)\}/g, (place, name) => (name in this.facts ? String(this.facts[name]) : place));
  }
}

function inWords(english, facts = {}) {
  return new Said(english, facts);
}

/** Something does not hold; the message says what. */
class Unproven extends Error {}

/** This browser cannot check it, so nothing is said either way. */
class CannotCheck extends Error {
  constructor(said) {
    super(String(said));
    this.said = said;
  }
}

/**
 * Check a receipt (its parsed JSON) against a policy: logKey, a verifier key's text; witnesses, a list of them; quorum,
 * how many of these must have signed, all if not given. Gives every step as {name, ok, detail}, where ok is null for
 * what was not asked or cannot be checked here, and ok for the whole: whether all that was asked for is proven. With say,
 * names and details are what it makes of their English and their figures; why something does not hold stays English.
 */
export async function verifyReceipt(receipt, policy = {}, say = undefined) {
  const steps = [];
  const told = (words) => (say && words instanceof Said ? say(words.english, words.facts) : String(words));
  const take = async (name, work) => {
    try {
      const { value, detail } = await work();
      steps.push({ name: told(name), ok: true, detail: told(detail) });
      return value;
    } catch (error) {
      if (!(error instanceof Unproven || error instanceof CannotCheck)) throw error;
      steps.push({ name: told(name), ok: error instanceof Unproven ? false : null, detail: told(error.said ?? error.message) });
      return undefined;
    }
  };

  const read = await take(inWords("The receipt agrees with itself"), async () => ({
    value: readReceipt(receipt),
    detail: inWords("What it shows is what its row says, and the proof is for its place."),
  }));
  if (!read) return { steps, ok: false };
  const { proof, salt, row } = read;
  const { checkpoint } = proof;

  await take(inWords("The transfer is in the log"), async () => {
    const entry = await sha256(salt, row);
    const root = await rootOfPath(await sha256([0], entry), proof.index, checkpoint.size, proof.path);
    if (!same(root, checkpoint.root)) throw new Unproven("The row and its salt do not lead to the root of the checkpoint.");
    const facts = { index: proof.index, size: checkpoint.size, hashes: proof.path.length };
    return { detail: inWords("Entry {index} of {size}; {hashes} hashes lead to the root.", facts) };
  });

  await take(inWords("The checkpoint is signed by its log"), async () => {
    if (!policy.logKey) throw new Unproven("No log key was given, so nobody answers for these books.");
    const key = await readKey(policy.logKey, LOG);
    if (key.name !== checkpoint.origin) {
      throw new Unproven(`The log key is of ${shown(key.name)}, the books of ${shown(checkpoint.origin)}.`);
    }
    await verifySignature(checkpoint, key);
    return { detail: shown(key.name) };
  });

  const texts = policy.witnesses ?? [];
  const quorum = policy.quorum ?? texts.length;
  await take(inWords("Witnesses saw the same books"), async () => {
    if (texts.length === 0 && quorum === 0) throw new CannotCheck(inWords("No witness was asked for."));
    return { detail: await witnessed(checkpoint, texts, quorum, policy.logKey) };
  });

  const asked = texts.length === 0 && quorum === 0 ? steps.slice(0, 3) : steps;
  return { steps, ok: asked.every((step) => step.ok === true) };
}

/**
 * Check a receipt and list the steps in this element. The receipt is the text that is given, a script of type
 * application/json within the element, or is fetched from data-receipt-url. data-log-key, data-witnesses (separated by
 * spaces) and data-quorum are the policy; data-zone is where its instants are told, else where this device is. say: makes a sentence in the page's language of its English and its figures.
 */
export async function mount(element, text = undefined, say = (english, facts) => String(inWords(english, facts))) {
  const list = document.createElement("ol");
  const words = document.createElement("p");
  words.setAttribute("role", "status");
  element.append(list, words);
  element.dataset.state = "checking";
  const told = ({ english, facts }) => say(english, facts);
  words.textContent = told(inWords("Checking on this device …"));
  try {
    const { logKey, witnesses, quorum, zone } = element.dataset;
    const result = await verifyReceipt(await given(element, text), {
      logKey,
      witnesses: (witnesses ?? "").split(/\s+/).filter(Boolean),
      quorum: quorum ? Number(quorum) : undefined,
    }, say);
    list.replaceChildren(...result.steps.map((step) => line(step, zone)));
    element.dataset.state = result.ok ? "proven" : "unproven";
    words.textContent = told(result.ok
      ? inWords("Proven on this device: the transfer stands in these books.")
      : inWords("Not proven. The steps above say why."));
    return result;
  } catch (error) {
    element.dataset.state = "unproven";
    words.textContent = told(inWords("Cannot check this receipt: {why}", { why: error.message }));
    return undefined;
  }
}

async function given(element, text) {
  if (text !== undefined) return JSON.parse(text);
  const script = element.querySelector('script[type="application/json"]');
  if (script) return JSON.parse(script.textContent);
  const answer = await fetch(element.dataset.receiptUrl, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`the receipt was not given out (${answer.status})`);
  return answer.json();
}

function line(step, zone) {
  const item = document.createElement("li");
  const name = document.createElement("strong");
  const detail = document.createElement("span");
  item.dataset.state = step.ok === null ? "open" : step.ok ? "passed" : "failed";
  name.textContent = `${step.ok === null ? "–" : step.ok ? "✓" : "✗"} ${step.name}`;
  detail.textContent = ` ${step.detail.replace(INSTANT, (at) => moment(at, zone))}`;
  item.append(name, detail);
  return item;
}

const INSTANT = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;

function moment(at, timeZone) {
  return new Date(at).toLocaleString(document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang, { dateStyle: "medium", timeStyle: "short", timeZone });
}

// The receipt and its row

function readReceipt(told) {
  if (!isObject(told) || Object.keys(told).sort().join() !== FIELDS.join()) {
    throw new Unproven(`A receipt has exactly these fields: ${FIELDS.join(", ")}.`);
  }
  for (const name of ["version", "partition", "index"]) {
    if (!Number.isSafeInteger(told[name]) || told[name] < 0) throw new Unproven(`${name} is no whole number.`);
  }
  for (const name of ["origin", "salt", "row", "proof"]) {
    if (typeof told[name] !== "string") throw new Unproven(`${name} is no text.`);
  }
  if (told.version !== 1) throw new Unproven(`This receipt is of version ${told.version}; version 1 is known here.`);
  const salt = fromHex(told.salt, "salt");
  if (salt.length !== 16) throw new Unproven("A salt has 16 bytes.");
  const row = fromHex(told.row, "row");
  const transfer = readRow(row);
  compare(transfer, told.transfer);
  if (told.partition !== transfer.partition) {
    throw new Unproven(`The receipt says partition ${told.partition}, its row ${transfer.partition}.`);
  }
  const proof = readProof(told.proof);
  if (BigInt(told.index) !== proof.index) {
    throw new Unproven(`The receipt says entry ${told.index}, its proof ${proof.index}.`);
  }
  if (told.origin !== proof.checkpoint.origin) {
    throw new Unproven(`The receipt says the books of ${shown(told.origin)}, its proof ${shown(proof.checkpoint.origin)}.`);
  }
  return { salt, row, proof };
}

/** The row's fields as a receipt shows them: 141 bytes, big-endian, in this order, then the memo. */
function readRow(bytes) {
  if (bytes.length < ROW_BYTES) throw new Unproven(`A row has at least ${ROW_BYTES} bytes.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let at = 0;
  const next = (size) => (at += size) - size;
  const row = {
    partition: view.getUint16(next(2)),
    block: String(view.getBigUint64(next(8))),
    position: view.getUint32(next(4)),
    transfer_id: uuid(bytes, next(16)),
    debit_account: uuid(bytes, next(16)),
    credit_account: uuid(bytes, next(16)),
    amount: String((view.getBigUint64(next(8)) << 64n) | view.getBigUint64(next(8))),
    pending_id: uuidOrNone(bytes, next(16)),
    reference: uuidOrNone(bytes, next(16)),
    tag: view.getUint32(next(4)),
    timeout_s: view.getUint32(next(4)),
    currency: String.fromCharCode(...bytes.subarray(next(3), at)),
    code: view.getUint16(next(2)),
    flags: view.getUint16(next(2)),
    event_at: instant(view.getBigInt64(next(8))),
    booked_at: instant(view.getBigInt64(next(8))),
    memo: text(bytes.subarray(at)),
  };
  if (!/^[A-Z]{3}$/.test(row.currency)) throw new Unproven("The row's currency is not three capital letters.");
  return row;
}

function compare(row, said) {
  if (!isObject(said)) throw new Unproven("The receipt has no readable transfer.");
  for (const name of [...new Set([...Object.keys(row), ...Object.keys(said)])].sort()) {
    if (!Object.hasOwn(row, name) || !Object.hasOwn(said, name) || row[name] !== said[name]) {
      throw new Unproven(`The receipt shows ${shown(name)} as ${shown(said[name])}, the row says ${shown(row[name])}.`);
    }
  }
}

function uuid(bytes, at) {
  const hex = toHex(bytes.subarray(at, at + 16));
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function uuidOrNone(bytes, at) {
  return bytes.subarray(at, at + 16).every((byte) => byte === 0) ? null : uuid(bytes, at);
}

/** Microseconds since 1970 as a receipt writes them. A browser's own dates know milliseconds only. */
function instant(microseconds) {
  const within = ((microseconds % 1000n) + 1000n) % 1000n;
  const date = new Date(Number((microseconds - within) / 1000n));
  const year = date.getUTCFullYear();
  if (!(year >= 1 && year <= 9999)) throw new Unproven("The row has a time that no calendar has.");
  return `${date.toISOString().slice(0, -1)}${String(within).padStart(3, "0")}Z`;
}

function text(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Unproven("The row's memo is not text in UTF-8.");
  }
}

// Proofs, checkpoints, keys and signatures

function readProof(told) {
  const [head, note] = cut(told, told.indexOf("\n\n"));
  const [first, ...lines] = head.split("\n");
  if (first !== "c2sp.org/tlog-proof@v1") throw new Unproven("The proof is of a kind not known here.");
  if (lines[0]?.startsWith("extra ") && fromBase64(lines.shift().slice(6)).length === 0) {
    throw new Unproven("The proof's extra data are not base64.");
  }
  if (!lines[0]?.startsWith("index ")) throw new Unproven("The proof names no index.");
  const path = lines.slice(1).map(fromBase64);
  if (path.length > 63 || path.some((node) => node.length !== 32)) {
    throw new Unproven("The proof's path is not made of hashes.");
  }
  return { index: number(lines[0].slice(6)), path, checkpoint: readCheckpoint(note) };
}

function readCheckpoint(note) {
  const [body, tail] = cut(note, note.lastIndexOf("\n\n"));
  if (!tail.endsWith("\n") || CONTROL.test(note)) throw new Unproven("This is no signed note.");
  const lines = body.split("\n");
  if (lines.length < 3 || lines.includes("")) {
    throw new Unproven("A checkpoint has at least three lines, and no empty one.");
  }
  const signatures = tail.slice(0, -1).split("\n").map(readSignature);
  if (signatures.length > SIGNATURES_MAX) throw new Unproven(`There are more than ${SIGNATURES_MAX} signatures.`);
  const root = fromBase64(lines[2]);
  if (root.length !== 32) throw new Unproven("A root has 32 bytes.");
  return { origin: lines[0], size: number(lines[1]), root, text: `${body}\n`, signatures };
}

function readSignature(told) {
  const [dash, name, encoded, ...more] = told.split(" ");
  const value = fromBase64(encoded ?? "");
  if (dash !== "—" || !name || NO_NAME.test(name) || more.length || value.length <= 4) {
    throw new Unproven("A line under the checkpoint is no signature.");
  }
  return { name, id: toHex(value.subarray(0, 4)), value: value.subarray(4) };
}

async function readKey(told, kind) {
  const [name, id, ...rest] = told.split("+");
  const material = fromBase64(rest.join("+"));
  if (!name || NO_NAME.test(name) || material.length !== 33 || material[0] !== kind) {
    throw new Unproven(`${shown(told)} is no verifier key of a ${kind === LOG ? "log" : "witness"}.`);
  }
  const workedOut = toHex((await sha256(utf8.encode(`${name}\n`), material)).subarray(0, 4));
  if (workedOut !== id) throw new Unproven(`The id of the key of ${shown(name)} is ${workedOut}, not ${shown(id)}.`);
  return { name, id, kind, public: material.subarray(1) };
}

/** Go on only if this key signed the checkpoint, and no line in its name is another's; gives a witness's time. */
async function verifySignature(checkpoint, key) {
  const lines = checkpoint.signatures.filter(({ name, id }) => name === key.name && id === key.id);
  if (lines.length === 0) throw new Unproven(`${shown(key.name)} has not signed this checkpoint.`);
  let at;
  for (const { value } of lines) {
    let [signature, message] = [value, checkpoint.text];
    if (key.kind === WITNESS) {
      const seconds = BigInt(`0x0${toHex(value.subarray(0, 8))}`);
      [signature, message] = [value.subarray(8), `cosignature/v1\ntime ${seconds}\n${checkpoint.text}`];
      at ??= instant(seconds * 1_000_000n);
    }
    if (!(await ed25519Verify(key.public, signature, utf8.encode(message)))) {
      throw new Unproven(`A signature in the name of ${shown(key.name)} was not made by its key.`);
    }
  }
  return at;
}

async function witnessed(checkpoint, texts, quorum, logKey) {
  const keys = await Promise.all(texts.map((told) => readKey(told, WITNESS)));
  const material = keys.map((key) => toHex(key.public));
  if (logKey) material.push(toHex(fromBase64(logKey.split("+").slice(2).join("+")).subarray(1)));
  if (new Set(material).size !== material.length) {
    throw new Unproven("The same key is given twice; under two names it is still one signer.");
  }
  if (!Number.isInteger(quorum) || quorum < 0 || quorum > keys.length) {
    throw new Unproven(`A quorum of ${quorum} cannot be had from ${keys.length} witnesses.`);
  }
  let signed = 0;
  let forged = false;
  const told = [];
  for (const key of keys) {
    try {
      const at = await verifySignature(checkpoint, key);
      signed += 1;
      told.push(`${shown(key.name)}, ${at}`);
    } catch (error) {
      if (!(error instanceof Unproven)) throw error;
      forged ||= checkpoint.signatures.some(({ name, id }) => name === key.name && id === key.id);
      told.push(error.message);
    }
  }
  const detail = inWords("{signed} signed, {asked} asked for: {told}.", { signed, asked: quorum, told: told.join("; ") });
  if (forged || signed < quorum) throw new Unproven(String(detail));
  return detail;
}

async function ed25519Verify(publicKey, signature, message) {
  if (!globalThis.crypto?.subtle) throw new CannotCheck(INSECURE);
  let key;
  try {
    key = await crypto.subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    if (error.name === "NotSupportedError" || error.name === "TypeError") {
      throw new CannotCheck(
        inWords("This browser cannot check Ed25519 signatures. A newer one can, and so can hansa_verify.py."),
      );
    }
    throw new Unproven("A public key is no point of Ed25519.");
  }
  return crypto.subtle.verify({ name: "Ed25519" }, key, signature, message);
}

// The Merkle tree

/**
 * The root to which a path leads. On each level a node with an odd number is a right child; so is the last one, but if
 * it stands alone there, it is its own parent.
 */
async function rootOfPath(leaf, index, size, path) {
  if (index >= size) throw new Unproven(`A log of ${size} entries has no entry ${index}.`);
  let node = leaf;
  let step = 0;
  const next = () => {
    if (step === path.length) throw new Unproven("The proof's path is too short.");
    return path[step++];
  };
  for (let last = size - 1n; last > 0n; last >>= 1n, index >>= 1n) {
    if (index & 1n) node = await sha256([1], next(), node);
    else if (index < last) node = await sha256([1], node, next());
  }
  if (step !== path.length) throw new Unproven("The proof's path is too long.");
  return node;
}

const INSECURE = inWords("Browsers compute this only on pages served over HTTPS or from this machine.");

async function sha256(...parts) {
  if (!globalThis.crypto?.subtle) throw new CannotCheck(INSECURE);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(parts.flatMap((part) => [...part]))));
}

// Small change

function cut(told, at) {
  if (at < 0) throw new Unproven("An empty line is missing in the proof.");
  return [told.slice(0, at), told.slice(at + 2)];
}

function number(told) {
  if (!/^(0|[1-9][0-9]{0,18})$/.test(told) || BigInt(told) >= SIZE_MAX) {
    throw new Unproven(`${shown(told.slice(0, 40))} is no number below 2^63.`);
  }
  return BigInt(told);
}

/** The bytes of standard base64 in its one right form; of anything else, none. */
function fromBase64(told) {
  try {
    const binary = atob(told);
    return btoa(binary) === told ? Uint8Array.from(binary, (sign) => sign.charCodeAt(0)) : new Uint8Array(0);
  } catch {
    return new Uint8Array(0);
  }
}

function fromHex(told, name) {
  if (!/^([0-9a-f]{2})*$/.test(told)) throw new Unproven(`${name} is not hexadecimal in small letters.`);
  return Uint8Array.from(told.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function toHex(bytes) {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function same(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Text from a stranger, with what could mislead a reader made visible. */
function shown(value) {
  return String(value).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (sign) => `\\u{${sign.codePointAt(0).toString(16)}}`);
}
