// Where this phone is, as a ride code says it: a cell some kilometres wide (docs/ride-code/format.md). Only if the rider
// turned it on; what the browser tells stays on this phone but for the three bytes of the cell.

const SIDE = 4096;
const FRESH_MS = 60_000; // a train goes 5 km in a minute: still the same cell or the next

export const NO_PLACE = new Uint8Array(3);

/** The cell of a place in degrees (WGS 84): 3 bytes. */
export function placeCell(latitude, longitude) {
  const row = Math.min(SIDE - 1, Math.floor(((latitude + 90) * SIDE) / 180));
  const column = (((Math.floor(((longitude + 180) * SIDE) / 360)) % SIDE) + SIDE) % SIDE;
  const number = row * SIDE + column;
  return Uint8Array.of(number >> 16, (number >> 8) & 0xff, number & 0xff);
}

/** Follows where the phone is while it is on. */
export class Place {
  cell = NO_PLACE;
  foundAt = -Infinity;
  state = "off"; // off, finding, found, refused, unknown

  /** The cell to sign: of the last minute, else none. */
  now() {
    return this.state !== "off" && performance.now() - this.foundAt < FRESH_MS ? this.cell : NO_PLACE;
  }

  turnOff() {
    this.state = "off";
    this.cell = NO_PLACE;
    this.foundAt = -Infinity;
  }

  /** Ask the browser, which asks the rider the first time. */
  async find() {
    if (this.state === "off") this.state = "finding";
    try {
      const { coords } = await new Promise((resolve, reject) => {
        if (!navigator.geolocation) reject(new Error("no geolocation"));
        navigator.geolocation.getCurrentPosition(resolve, reject, { maximumAge: 30_000, timeout: 8_000 });
      });
      if (this.state === "off") return;
      this.cell = placeCell(coords.latitude, coords.longitude);
      this.foundAt = performance.now();
      this.state = "found";
    } catch (error) {
      if (this.state !== "off") this.state = error.code === 1 ? "refused" : "unknown";
    }
  }
}
