// HRC-1, the ride code: the issuer's token, the time, a counter and a place, signed by this phone. No network needed.
// The layout is written down in docs/ride-code.

import { toBase45 } from "./base45.js";
import { encode, Encoded } from "./cbor.js";
import { sign1 } from "./cose.js";

const ALG = 1;
const ES256 = -7;
const KCWT = 13; // the token, a COSE message, stands here as it is (RFC 9528)
const MADE_AT = 6;
const COUNTER = 7;
const COMPANION = 8;
const CELL = 10;
const CHALLENGE = 11;
const NO_PLACE = new Uint8Array(3);

/**
 * The text of a ride code. madeAt: seconds since 1970. counter: 0 to 65,535, greater than in the last code of this token
 * and companion. companion: 0 for the holder, 1 to 15 for who rides along. challenge: the number on the gate's screen.
 */
export async function makeCode(privateKey, token, { madeAt, counter, cell = NO_PLACE, companion = 0, challenge = null }) {
  const ride = new Map([[MADE_AT, madeAt], [COUNTER, counter], [CELL, cell]]);
  if (companion > 0) ride.set(COMPANION, companion);
  if (challenge !== null) ride.set(CHALLENGE, challenge);
  const parts = await sign1(privateKey, {
    protectedHeader: new Map([[ALG, ES256], [KCWT, new Encoded(token)]]),
    payload: ride,
  });
  return `HR1:${toBase45(encode(parts))}`;
}
