// The payer's code: the phone's token, the time, a counter and the word "pay", signed by this phone, wrapped as EMVCo's
// consumer-presented mode. Made with or without a network (docs/payment-codes.md). Also draws the code of an entry ticket,
// which is signed in the same way as a ride's.

import { encode, Encoded } from "./cbor.js";
import { sign1 } from "./cose.js";
import { makeCode } from "./ride-code.js";

const ALG = 1;
const ES256 = -7;
const KCWT = 13;
const MADE_AT = 6;
const COUNTER = 7;
const SCOPE = 9;
const PAY = "pay";
const APPLICATION = [0xf0, 0x48, 0x41, 0x4e, 0x53, 0x41]; // F0 HANSA
const QUIET_ZONE = 4;

/** The text of a payer's code. madeAt: seconds since 1970. counter: above that of the last payer's code of this token. */
export async function makePaymentCode(privateKey, token, { madeAt, counter }) {
  const message = encode(
    await sign1(privateKey, {
      protectedHeader: new Map([[ALG, ES256], [KCWT, new Encoded(token)]]),
      payload: new Map([[MADE_AT, madeAt], [COUNTER, counter], [SCOPE, PAY]]),
    }),
  );
  const inner = [0xdf, 0x01, 0x81, message.length, ...message];
  const application = [...object([0x4f], APPLICATION), ...object([0x63], inner)];
  const bytes = [...object([0x85], [...new TextEncoder().encode("CPV01")]), ...object([0x61], application)];
  return btoa(String.fromCharCode(...bytes));
}

/** The text of a ticket's code: as a ride's, on the ticket's token. */
export async function makeTicketCode(privateKey, token, { madeAt, counter }) {
  const text = await makeCode(privateKey, token, { madeAt, counter });
  return text.replace(/^HR1:/, "HRT:");
}

/** A data object of BER-TLV. */
function object(tag, value) {
  const length = value.length < 0x80 ? [value.length] : [0x81, value.length];
  return [...tag, ...length, ...value];
}

/** Draw a text of any letters as a QR picture into this svg. Throws where the QR library is not installed. */
export async function drawText(svg, text) {
  const { encodeQR } = await import("/vendor/qr/index.js");
  const encoding = /^[0-9A-Z $%*+\-./:]+$/.test(text) ? "alphanumeric" : "byte";
  const rows = encodeQR(text, "raw", { ecc: "low", encoding, border: QUIET_ZONE });
  let path = "";
  rows.forEach((row, y) => {
    for (let x = 0; x < row.length; x += 1) {
      if (!row[x]) continue;
      const start = x;
      while (row[x + 1]) x += 1;
      path += `M${start} ${y}h${x + 1 - start}v1h-${x + 1 - start}z`;
    }
  });
  svg.setAttribute("viewBox", `0 0 ${rows.length} ${rows.length}`);
  svg.querySelector("path").setAttribute("d", path);
}
