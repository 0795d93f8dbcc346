// Reading codes on a page: by the camera, or out of a picture. The reader is ZXing compiled to WebAssembly; it and its
// loader come from our own address, and only once somebody turns the camera on or chooses a picture.
//
// <section data-scan="form-id">, with the parts data-start, data-stop, data-video, data-says and data-file. What is read goes
// into the form's field [data-text], and the form is sent, unless a listener to "hansa:scanned" calls preventDefault.

const READER = "/vendor/zxing-wasm/dist/es/reader/index.js";
const WASM = "/vendor/zxing-wasm/dist/reader/zxing_reader.wasm";
const EVERY_MS = 120;
const SAME_CODE_MS = 4000; // a code held still before the camera is read once, not thirty times
const WIDE = 1280;

let reader;

/** The function that reads the codes of an image; it is loaded once. Throws where the reader is not installed. */
async function load() {
  reader ??= import(READER).then(async (zxing) => {
    await zxing.prepareZXingModule({ overrides: { locateFile: () => WASM }, fireImmediately: true });
    return (image) => zxing.readBarcodes(image, { formats: ["QRCode"], tryHarder: true, maxNumberOfSymbols: 4 });
  });
  try {
    return await reader;
  } catch (error) {
    reader = undefined;
    throw error;
  }
}

for (const area of document.querySelectorAll("[data-scan]")) begin(area);

function begin(area) {
  const part = (name) => area.querySelector(`[data-${name}]`);
  const form = document.getElementById(area.dataset.scan);
  const field = form.querySelector("[data-text]");
  const said = part("says");
  const words = area.dataset;
  let stream = null;
  let last = { text: "", at: 0 };
  area.hidden = false;

  part("start").addEventListener("click", start);
  part("stop").addEventListener("click", stop);
  part("file")?.addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) readPicture(file);
    event.target.value = "";
  });

  async function start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      said.textContent = words.insecure;
      return;
    }
    part("start").disabled = true;
    said.textContent = words.loading;
    try {
      const read = await load();
      stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "environment", width: { ideal: WIDE } },
        audio: false,
      });
      const video = part("video");
      video.srcObject = stream;
      await video.play();
      video.hidden = part("stop").hidden = false;
      part("start").hidden = true;
      said.textContent = words.hold;
      watch(video, read, stream);
    } catch (error) {
      said.textContent = error?.name === "NotAllowedError" ? words.denied : `${words.failed} (${error?.name ?? error})`;
      stop();
    } finally {
      part("start").disabled = false;
    }
  }

  function stop() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    part("video").hidden = part("stop").hidden = true;
    part("start").hidden = false;
  }

  async function watch(video, read, mine) {
    const frame = document.createElement("canvas");
    const pen = frame.getContext("2d", { willReadFrequently: true });
    while (stream === mine) {
      if (video.videoWidth && !document.hidden) {
        frame.width = video.videoWidth;
        frame.height = video.videoHeight;
        pen.drawImage(video, 0, 0);
        const found = await read(pen.getImageData(0, 0, frame.width, frame.height)).catch(() => []);
        const text = found.find((one) => one.isValid !== false && one.text)?.text ?? "";
        const again = text === last.text && Date.now() - last.at < SAME_CODE_MS;
        if (text) last = { text, at: Date.now() };
        if (text && !again) take(text);
      }
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  }

  async function readPicture(file) {
    said.textContent = words.loading;
    try {
      const read = await load();
      const found = (await read(await inPixels(file))).filter((one) => one.text);
      if (found.length === 0) said.textContent = words.none;
      else if (found.length > 1) said.textContent = words.many;
      else take(found[0].text);
    } catch (error) {
      said.textContent = `${words.failed} (${error?.name ?? error})`;
    }
  }

  function take(text) {
    said.textContent = words.read;
    field.value = text;
    navigator.vibrate?.(60);
    const event = new CustomEvent("hansa:scanned", { detail: text, bubbles: true, cancelable: true });
    if (!area.dispatchEvent(event)) return;
    stop();
    form.requestSubmit();
  }
}

/** The picture's pixels, made smaller where it is larger than a code needs. */
async function inPixels(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, 2000 / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return pen.getImageData(0, 0, canvas.width, canvas.height);
}
