// The one Trusted Types policy of these pages: addresses of workers that are our own files. Nothing makes markup or
// code out of text here, so there is no other.

const OURS = ["/wallet/sw.js"];

const policy = globalThis.trustedTypes?.createPolicy("hansa", {
  createScriptURL: (address) => {
    const { origin, pathname } = new URL(address, location.href);
    if (origin !== location.origin || !(OURS.includes(pathname) || pathname.startsWith("/static/js/"))) {
      throw new TypeError(`${address} is no worker of ours`);
    }
    return address;
  },
});

/** The address of a worker of ours, as a browser takes it: `new Worker(workerAddress("/static/js/…"))`. */
export const workerAddress = (address) => (policy ? policy.createScriptURL(address) : address);
