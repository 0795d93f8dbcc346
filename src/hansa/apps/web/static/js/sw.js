// The wallet without a network: pages come from the network when it is there, and from this phone when not; files of ours
// under a version never change, so they come from this phone at once. Requests for money back that could not be sent are
// sent when the network is back, where a browser does so.

const VERSION = new URL(self.location.href).searchParams.get("v") || "";
const OURS = VERSION ? `/static/${VERSION}/` : "/static/";

importScripts(`${OURS}js/outbox.js`);

const FILES = "hansa-files";
const PAGES = "hansa-pages";
const PATIENCE_MS = 2500;
const FORM = "/wallet/refund-form"; // stands in for the page of a ride that this phone has not kept
const RIDE = /^\/wallet\/journeys\/[0-9a-f-]{36}(\/refund)?$/;
const VERSIONED = /^\/static\/[0-9a-f]{12}\//;

const SHELL = [
  "disputes.css",
  "hansa.css",
  "icon.svg",
  "js/outbox.js",
  "js/packs/home.js",
  "js/refunds.js",
].map((name) => OURS + name);
const ALSO = ["/vendor/qr/index.js", "/wallet/manifest.webmanifest", FORM, "/wallet/home"];

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(Promise.allSettled([...SHELL.map(keepOnce), ...ALSO.map((one) => fetchAndKeep(new Request(one)))]));
});

self.addEventListener("activate", (event) => event.waitUntil(Promise.all([self.clients.claim(), dropOlder()])));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  const ours = ["/wallet/", "/static/", "/vendor/"].some((start) => pathname.startsWith(start));
  if (request.method !== "GET" || origin !== location.origin || !ours) return;
  if (request.headers.get("accept") === "text/event-stream") return; // it never ends, so it cannot be kept
  event.respondWith(VERSIONED.test(pathname) ? phoneFirst(request, pathname) : networkFirst(request));
});

/** A file of ours under its version; where it cannot be had, the same file of another version. */
async function phoneFirst(request, pathname) {
  const kept = await caches.match(request, { ignoreVary: true });
  if (kept) return kept;
  try {
    return await fetchAndKeep(request);
  } catch (error) {
    const name = pathname.replace(VERSIONED, "");
    const files = await caches.open(FILES);
    const other = (await files.keys()).find((one) => new URL(one.url).pathname.replace(VERSIONED, "") === name);
    if (other) return files.match(other, { ignoreVary: true });
    throw error;
  }
}

async function networkFirst(request) {
  const kept = await caches.match(request, { ignoreVary: true });
  const fresh = fetchAndKeep(request);
  if (!kept) return (await withForm(request, fresh)) ?? fresh;
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, null));
  const answer = await Promise.race([fresh.catch(() => null), late]);
  return answer && answer.status < 500 ? answer : marked(kept);
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

async function keepOnce(address) {
  return (await caches.match(address, { ignoreVary: true })) ?? fetchAndKeep(new Request(address));
}

/** What this phone keeps of versions before this one; kept as long as this one is not all here. */
async function dropOlder() {
  const files = await caches.open(FILES);
  const held = (await files.keys()).map((one) => [one, new URL(one.url).pathname]);
  if (!SHELL.every((address) => held.some(([, pathname]) => pathname === address))) return;
  const older = held.filter(([, pathname]) => pathname.startsWith("/static/") && !pathname.startsWith(OURS));
  await Promise.all(older.map(([one]) => files.delete(one)));
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
