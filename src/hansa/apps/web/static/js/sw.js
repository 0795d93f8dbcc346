// The wallet without a network: pages and files come from the network when it is there, and from this phone when not.

const FILES = "hansa-files";
const PAGES = "hansa-pages";
const PATIENCE_MS = 2500;

const SHELL = [
  "/static/hansa.css",
  "/static/icon.svg",
  "/static/js/base45.js",
  "/static/js/cbor.js",
  "/static/js/cose.js",
  "/static/js/issuer.js",
  "/static/js/live.js",
  "/static/js/phone.js",
  "/static/js/phone-proof.js",
  "/static/js/phone-words.js",
  "/static/js/place.js",
  "/static/js/qr.js",
  "/static/js/ride-code.js",
  "/static/js/wallet.js",
  "/vendor/qr/index.js",
  "/wallet/manifest.webmanifest",
];

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(Promise.allSettled([...SHELL, "/wallet/home"].map((address) => fetchAndKeep(new Request(address)))));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  const ours = ["/wallet/", "/static/", "/vendor/"].some((start) => pathname.startsWith(start));
  if (request.method !== "GET" || origin !== location.origin || !ours) return;
  event.respondWith(networkFirst(request));
});

async function networkFirst(request) {
  const kept = await caches.match(request, { ignoreVary: true });
  const fresh = fetchAndKeep(request);
  if (!kept) return fresh;
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, null));
  const answer = await Promise.race([fresh.catch(() => null), late]);
  return answer ?? marked(kept);
}

async function fetchAndKeep(request) {
  const answer = await fetch(request);
  if (answer.ok && answer.type === "basic" && !answer.redirected) {
    const pathname = new URL(request.url).pathname;
    const cache = await caches.open(pathname.startsWith("/wallet/") ? PAGES : FILES);
    await cache.put(request, answer.clone());
  }
  return answer;
}

/** The page can tell that what it got is what the phone had kept. */
function marked(kept) {
  const headers = new Headers(kept.headers);
  headers.set("x-from-cache", "1");
  return new Response(kept.body, { status: kept.status, headers });
}
