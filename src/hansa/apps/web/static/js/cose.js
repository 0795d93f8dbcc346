// COSE_Sign1 with ES256 (RFC 9052 section 4.4, RFC 9053 section 2.1), signed by a WebCrypto key.

import { encode } from "./cbor.js";

// The order of P-256 (FIPS 186-5).
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The parts of a COSE_Sign1: protected header bytes, an empty unprotected map, payload bytes, 64 signature bytes. */
export async function sign1(privateKey, { protectedHeader, payload }) {
  const header = encode(protectedHeader);
  const body = encode(payload);
  const toBeSigned = encode(["Signature1", header, new Uint8Array(0), body]);
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, privateKey, toBeSigned);
  return [header, new Map(), body, lowS(new Uint8Array(signature))];
}

/**
 * The one of the two valid twins (r, s) and (r, n - s) whose s is the lower. Gates refuse the other, so that nobody
 * can make a second code out of a first.
 */
export function lowS(signature) {
  const s = toNumber(signature.subarray(32));
  if (s <= ORDER >> 1n) return signature;
  const normal = signature.slice();
  normal.set(toBytes(ORDER - s), 32);
  return normal;
}

function toNumber(bytes) {
  return bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

function toBytes(number) {
  const bytes = new Uint8Array(32);
  for (let i = 31; i >= 0; i -= 1) {
    bytes[i] = Number(number & 0xffn);
    number >>= 8n;
  }
  return bytes;
}
