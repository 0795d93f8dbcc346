// Proof that this phone has its key (RFC 9449 section 4.2): what it asks, whom, when, and with which number of the
// server's, signed. The key cannot leave the phone, so nobody else can make one.

/** The text of a proof for this request. at: seconds since 1970 by the server's clock. */
export async function prove(keyPair, { method, address, nonce, at }) {
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", keyPair.publicKey);
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } };
  const claims = { jti: crypto.randomUUID(), htm: method, htu: address, iat: at, nonce };
  const signed = `${toBase64url(asBytes(header))}.${toBase64url(asBytes(claims))}`;
  const bytes = new TextEncoder().encode(signed);
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, keyPair.privateKey, bytes);
  return `${signed}.${toBase64url(new Uint8Array(signature))}`;
}

function asBytes(value) {
  return new TextEncoder().encode(JSON.stringify(value));
}

function toBase64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
