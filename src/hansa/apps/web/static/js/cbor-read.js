// Reading CBOR as a gate must: once, from left to right, and not one byte further than the first that a Hansa phone
// would not have written. What comes through is deterministic (RFC 8949 section 4.2.1), so nothing is compared again.

const DEPTH_MAX = 8;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const [UINT, NINT, BYTES, TEXT, ARRAY, MAP] = [0, 1, 2, 3, 4, 5];
const SIMPLE = new Map([[0xf4, false], [0xf5, true], [0xf6, null]]);

/** These bytes are refused; reason is "malformed" or "not_canonical". */
export class BadCbor extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * The value of these bytes: whole numbers (a BigInt past 2^53), Uint8Array, string, true, false, null, arrays, Maps.
 * Throws BadCbor.
 */
export function decode(bytes) {
  const reader = new Reader(bytes);
  const value = reader.item(0);
  if (reader.at !== bytes.length) throw new BadCbor("not_canonical");
  return value;
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  item(depth) {
    const first = this.bytes[this.at];
    if (SIMPLE.has(first)) {
      this.at += 1;
      return SIMPLE.get(first);
    }
    const { major, number } = this.head();
    if (major === UINT) return number;
    if (major === NINT) return typeof number === "bigint" ? -1n - number : -1 - number;
    if (major === BYTES) return this.take(number);
    if (major === TEXT) return this.text(number);
    if (depth === DEPTH_MAX) throw new BadCbor("malformed");
    return major === ARRAY ? this.array(number, depth + 1) : this.map(number, depth + 1);
  }

  /** The head of an item: its kind, and its number in the shortest form there is. */
  head() {
    const first = this.take(1)[0];
    const major = first >> 5;
    const info = first & 0x1f;
    if (major > MAP) throw new BadCbor("malformed");
    if (info < 24) return { major, number: info };
    if (info === 31 && major >= BYTES) throw new BadCbor("not_canonical");
    if (info > 27) throw new BadCbor("malformed");
    const start = this.at;
    this.take(2 ** (info - 24));
    if (info === 24) return { major, number: atLeast(24, this.view.getUint8(start)) };
    if (info === 25) return { major, number: atLeast(0x100, this.view.getUint16(start)) };
    if (info === 26) return { major, number: atLeast(0x10000, this.view.getUint32(start)) };
    const large = atLeast(0x100000000n, this.view.getBigUint64(start));
    return { major, number: large < 2n ** 53n ? Number(large) : large };
  }

  take(length) {
    if (length > this.bytes.length - this.at) throw new BadCbor("malformed");
    const end = this.at + Number(length);
    const taken = this.bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }

  text(length) {
    const bytes = this.take(length);
    try {
      return UTF8.decode(bytes);
    } catch {
      throw new BadCbor("malformed");
    }
  }

  array(length, depth) {
    const items = [];
    while (items.length < length) items.push(this.item(depth));
    return items;
  }

  map(length, depth) {
    const items = new Map();
    let before = new Uint8Array(0);
    while (items.size < length) {
      const start = this.at;
      if (this.head().major > TEXT) throw new BadCbor("malformed");
      this.at = start;
      const key = this.item(depth);
      const written = this.bytes.subarray(start, this.at);
      if (!isGreater(written, before)) throw new BadCbor("not_canonical");
      before = written;
      items.set(key, this.item(depth));
    }
    return items;
  }
}

function atLeast(least, number) {
  if (number < least) throw new BadCbor("not_canonical");
  return number;
}

function isGreater(a, b) {
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
    if (a[i] !== b[i]) return a[i] > b[i];
  }
  return a.length > b.length;
}
