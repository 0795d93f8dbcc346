// The wallet without a network: pages and files come from the network when it is there, and from this phone when not.
// Requests for money back that could not be sent are sent when the network is back, where a browser does so.

importScripts("/static/js/outbox.js");

const FILES = "hansa-files";
const PAGES = "hansa-pages";
const PATIENCE_MS = 2500;
const FORM = "/wallet/refund-form"; // stands in for the page of a ride that this phone has not kept
const RIDE = /^\/wallet\/journeys\/[0-9a-f-]{36}(\/refund)?$/;

const SHELL = [
  "/static/disputes.css",
  "/static/hansa.css",
  "/static/icon.svg",
  "/static/js/base45.js",
  "/static/js/cbor.js",
  "/static/js/cose.js",
  "/static/js/issuer.js",
  "/static/js/live.js",
  "/static/js/outbox.js",
  "/static/js/phone.js",
  "/static/js/phone-proof.js",
  "/static/js/phone-words.js",
  "/static/js/place.js",
  "/static/js/qr.js",
  "/static/js/refunds.js",
  "/static/js/ride-code.js",
  "/static/js/trusted.js",
  "/static/js/wallet.js",
  "/vendor/qr/index.js",
  "/wallet/manifest.webmanifest",
];

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(Promise.allSettled([...SHELL, FORM, "/wallet/home"].map((address) => fetchAndKeep(new Request(address)))));
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
  const kept = await caches.match(request, { ignoreVary: true, ignoreSearch: isVersioned(request) });
  const fresh = fetchAndKeep(request);
  if (!kept) return (await withForm(request, fresh)) ?? fresh;
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, null));
  const answer = await Promise.race([fresh.catch(() => null), late]);
  return answer && answer.status < 500 ? answer : marked(kept);
}

/** A file of ours under its version is as good under another, where there is no network. */
function isVersioned(request) {
  return new URL(request.url).pathname.startsWith("/static/");
}

/** Where the page of a ride cannot be had, the form in which its money is asked back; else null. */
async function withForm(request, fresh) {
  if (request.mode !== "navigate" || !RIDE.test(new URL(request.url).pathname)) return null;
  const answer = await fresh.catch(() => null);
  if (answer && answer.status < 500) return answer;
  const form = await caches.match(FORM, { ignoreVary: true });
  return form ? marked(form) : answer;
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

self.addEventListener("sync", (event) => {
  if (event.tag === self.hansaOutbox.SYNC) event.waitUntil(sendOutbox());
});

async function sendOutbox() {
  const left = await self.hansaOutbox.send(tellPages);
  if (left) throw new Error(`${left} requests wait; the browser tries again`);
}

async function tellPages() {
  for (const page of await self.clients.matchAll()) page.postMessage("outbox");
}
