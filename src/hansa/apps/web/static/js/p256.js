// The little of P-256 that WebCrypto leaves out: a public key from its x and the sign of its y (SEC 1 section 2.3.4).

const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The uncompressed point, 65 bytes, or null when no point of the curve has this x. */
export function decompress(xBytes, yIsOdd) {
  const x = toNumber(xBytes);
  if (x >= P) return null;
  const square = mod(x * x * x - 3n * x + B);
  let y = power(square, (P + 1n) / 4n);
  if (mod(y * y) !== square) return null;
  if ((y & 1n) === 1n !== yIsOdd) y = P - y;
  const point = new Uint8Array(65);
  point[0] = 4;
  point.set(xBytes, 1);
  for (let i = 64; i > 32; i -= 1) {
    point[i] = Number(y & 0xffn);
    y >>= 8n;
  }
  return point;
}

/** Whether s (32 bytes) is in the upper half: the twin that anybody can make of a signature. */
export function isHighS(sBytes) {
  return toNumber(sBytes) > ORDER >> 1n;
}

function mod(number) {
  const rest = number % P;
  return rest < 0n ? rest + P : rest;
}

function power(base, exponent) {
  let result = 1n;
  for (; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % P;
    base = (base * base) % P;
  }
  return result;
}

function toNumber(bytes) {
  return bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}
