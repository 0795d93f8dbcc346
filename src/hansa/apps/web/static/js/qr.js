// Drawing a code as a QR picture: in the browser, or by the server when the browser files are not installed.

const MODULES = "/vendor/qr/index.js";
const QUIET_ZONE = 4; // modules of white around it, ISO/IEC 18004 section 5.3.8

let encoder;

/** Have the library ready before there is anything to draw. */
export function readyQr() {
  encoder ??= import(MODULES).then((module) => module.encodeQR);
  encoder.catch(() => undefined); // told when something is to be drawn
}

/** Draw the text into this svg element. Gives "browser" or "server": who drew it. Throws when neither can. */
export async function drawQr(svg, text) {
  readyQr();
  const encodeQR = await encoder.catch(() => null);
  const drawing = encodeQR ? drawHere(encodeQR, text) : await drawThere(text);
  svg.setAttribute("viewBox", `0 0 ${drawing.size} ${drawing.size}`);
  svg.querySelector("path").setAttribute("d", drawing.path);
  return encodeQR ? "browser" : "server";
}

function drawHere(encodeQR, text) {
  const rows = encodeQR(text, "raw", { ecc: "low", encoding: "alphanumeric", border: QUIET_ZONE });
  let path = "";
  rows.forEach((row, y) => {
    for (let x = 0; x < row.length; x += 1) {
      if (!row[x]) continue;
      const start = x;
      while (row[x + 1]) x += 1;
      path += `M${start} ${y}h${x + 1 - start}v1h-${x + 1 - start}z`;
    }
  });
  return { size: rows.length, path };
}

async function drawThere(text) {
  const answer = await fetch("/wallet/qr", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ text }),
  });
  if (!answer.ok) throw new Error("The code cannot be drawn.");
  return answer.json();
}
