// The gate's screen: reads codes from the camera or from the field, and shows what the gate says to each.

import { startChecking } from "./gate-check.js";
import { inWords, pageLanguage } from "./words.js";

const screen = document.querySelector("[data-gate]");
const part = (name) => screen.querySelector(`[data-${name}]`);
const form = part("form");
const field = part("text");
const SAME_CODE_MS = 4000; // a phone held still before the camera is one code, not forty

let clockAhead = Date.parse(part("time").getAttribute("datetime")) - Date.now();
let lastText = "";
let lastAt = 0;
const check = screen.dataset.root ? startChecking(screen.dataset) : async () => null; // no list is signed yet
const MEMORY = ["ok", "replay", "offline_cap"]; // only the gate's own program knows which of these it is

form.addEventListener("submit", (event) => {
  event.preventDefault();
  read(field.value.trim());
});

async function read(text) {
  if (!text) return;
  const found = check(text, (Date.now() + clockAhead) / 1000);
  try {
    const answer = await fetch(form.dataset.read, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ text }),
    });
    const said = await answer.json();
    if (!answer.ok) return show({ accepted: false, title: said.title, words: said.detail });
    clockAhead = Date.parse(said.gate_time) - Date.now();
    show(said);
    field.value = "";
    tellIfOdd(said.reason, await found);
  } catch {
    const reason = (await found) ?? "";
    const words = inWords("This page cannot reach its gate, so nothing opens. Is Hansa running?");
    const good = reason === "ok" ? inWords("The code itself is good.") : inWords("The code itself is refused, too.");
    const told = reason === "" ? words : `${words} ${good}`;
    show({ accepted: false, title: inWords("No answer"), words: told, reason: reason === "ok" ? "" : reason });
  }
}

/** Two verifiers that disagree are a fault of one of them: somebody should know. */
function tellIfOdd(said, found) {
  const same = said === found || (MEMORY.includes(said) && MEMORY.includes(found));
  part("reason").dataset.found = found ?? "";
  if (found !== null && !same) part("reason").textContent = inWords("{said}, but this page finds: {found}", { said, found });
}

function show(said) {
  const result = part("result");
  result.dataset.state = said.accepted ? "accepted" : "refused";
  part("title").textContent = said.title;
  part("words").textContent = said.words;
  part("reason").textContent = said.accepted ? "" : (said.reason ?? said.code ?? "");
  if (part("sound").checked) tone(said.accepted);
}

function tone(good) {
  const audio = new AudioContext();
  const note = (hertz, from, seconds) => {
    const sound = audio.createOscillator();
    const volume = audio.createGain();
    sound.frequency.value = hertz;
    volume.gain.value = 0.12;
    sound.connect(volume).connect(audio.destination);
    sound.start(audio.currentTime + from);
    sound.stop(audio.currentTime + from + seconds);
  };
  if (good) {
    note(880, 0, 0.09);
    note(1320, 0.1, 0.14);
  } else {
    note(220, 0, 0.32);
  }
  setTimeout(() => audio.close(), 800);
}

part("camera-start").addEventListener("click", async () => {
  const video = part("video");
  const says = part("camera-says");
  if (!navigator.mediaDevices?.getUserMedia) {
    says.textContent = inWords("Browsers give the camera only to pages served over HTTPS or from this machine.");
    return;
  }
  const Detector = await detector();
  if (!Detector) {
    says.textContent = inWords("The camera reader is not installed: run “make setup” once. Pasting works meanwhile.");
    return;
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  } catch (error) {
    const facts = { why: error.name };
    says.textContent = inWords("The browser did not give the camera ({why}). Allow it in the address bar, or paste.", facts);
    return;
  }
  await video.play();
  screen.dataset.scanning = "yes";
  says.textContent = inWords("Hold the code before the camera.");
  scan(video, new Detector({ formats: ["qr_code"] }));
});

async function detector() {
  if (globalThis.BarcodeDetector) {
    const formats = await globalThis.BarcodeDetector.getSupportedFormats().catch(() => []);
    if (formats.includes("qr_code")) return globalThis.BarcodeDetector;
  }
  return import("/vendor/qr/decode.js").then((module) => module.BarcodeDetector).catch(() => null);
}

async function scan(video, reader) {
  const frame = document.createElement("canvas");
  const pen = frame.getContext("2d", { willReadFrequently: true });
  for (;;) {
    if (video.videoWidth && !document.hidden) {
      frame.width = video.videoWidth;
      frame.height = video.videoHeight;
      pen.drawImage(video, 0, 0);
      const [code] = await reader.detect(frame).catch(() => []);
      const text = code?.rawValue ?? "";
      if (text && (text !== lastText || Date.now() - lastAt > SAME_CODE_MS)) await read(text);
      if (text) [lastText, lastAt] = [text, Date.now()];
    }
    await new Promise((resolve) => setTimeout(resolve, 90));
  }
}

setInterval(() => {
  const now = new Date(Date.now() + clockAhead);
  part("time").textContent = new Intl.DateTimeFormat(pageLanguage(), {
    timeStyle: "medium",
    hourCycle: "h23",
    timeZone: screen.dataset.zone,
  }).format(now);
}, 1000);
