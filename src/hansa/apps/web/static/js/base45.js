// Base45 (RFC 9285): bytes as the 45 characters a QR code packs tightest.

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

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
