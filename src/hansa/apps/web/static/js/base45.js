// Base45 (RFC 9285): bytes as the 45 characters a QR code packs tightest.

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

const VALUES = new Map([...ALPHABET].map((letter, value) => [letter, value]));

/** The text of these bytes: three characters for two bytes, two for a last single one. */
export function toBase45(bytes) {
  let text = "";
  for (let i = 0; i + 1 < bytes.length; i += 2) {
    const number = bytes[i] * 256 + bytes[i + 1];
    text += ALPHABET[number % 45] + ALPHABET[Math.floor(number / 45) % 45] + ALPHABET[Math.floor(number / 2025)];
  }
  if (bytes.length % 2 === 1) {
    const last = bytes[bytes.length - 1];
    text += ALPHABET[last % 45] + ALPHABET[Math.floor(last / 45)];
  }
  return text;
}

/** The bytes of this text, or null when it is no base45: each text has one meaning, and each meaning one text. */
export function fromBase45(text) {
  if (text.length % 3 === 1) return null;
  const bytes = new Uint8Array(Math.floor((text.length * 2) / 3));
  let at = 0;
  for (let i = 0; i < text.length; i += 3) {
    const last = i + 2 === text.length;
    const low = VALUES.get(text[i]);
    const middle = VALUES.get(text[i + 1]);
    const high = last ? 0 : VALUES.get(text[i + 2]);
    if (low === undefined || middle === undefined || high === undefined) return null;
    const number = low + 45 * middle + 2025 * high;
    if (number > (last ? 0xff : 0xffff)) return null;
    if (!last) bytes[at++] = number >> 8;
    bytes[at++] = number & 0xff;
  }
  return bytes;
}
