// Core deterministic CBOR (RFC 8949 section 4.2.1), as much of it as a ride code needs: whole numbers, bytes, text,
// lists and maps. A gate refuses a code whose bytes are not exactly these.

/** Bytes that are CBOR already and stand as they are. */
export class Encoded {
  constructor(bytes) {
    this.bytes = bytes;
  }
}

/** Deterministic CBOR of a number, string, Uint8Array, array, Map or Encoded. */
export function encode(value) {
  if (value instanceof Encoded) return value.bytes;
  if (value instanceof Uint8Array) return concat([head(2, value.length), value]);
  if (value instanceof Map) return encodeMap(value);
  if (Array.isArray(value)) return concat([head(4, value.length), ...value.map(encode)]);
  if (typeof value === "string") {
    const text = new TextEncoder().encode(value);
    return concat([head(3, text.length), text]);
  }
  if (Number.isSafeInteger(value)) return value >= 0 ? head(0, value) : head(1, -1 - value);
  throw new TypeError(`cbor.js does not encode ${typeof value}`);
}

/** One array of bytes after another. */
export function concat(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function encodeMap(map) {
  const entries = [...map].map(([key, value]) => [encode(key), encode(value)]);
  entries.sort(([a], [b]) => compareBytes(a, b));
  return concat([head(5, entries.length), ...entries.flat()]);
}

function head(major, number) {
  const first = major << 5;
  if (number < 24) return Uint8Array.of(first | number);
  if (number < 0x100) return Uint8Array.of(first | 24, number);
  if (number < 0x10000) return Uint8Array.of(first | 25, number >> 8, number & 0xff);
  const bytes = new Uint8Array(number < 0x100000000 ? 5 : 9);
  const view = new DataView(bytes.buffer);
  if (bytes.length === 5) {
    bytes[0] = first | 26;
    view.setUint32(1, number);
  } else {
    bytes[0] = first | 27;
    view.setBigUint64(1, BigInt(number));
  }
  return bytes;
}

function compareBytes(a, b) {
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
    if (a[i] !== b[i]) return a[i] - b[i];
  }
  return a.length - b.length;
}
