// Parts of a page that keep themselves fresh: <div data-live="/address" data-every="5">. The server renders the part;
// without JavaScript the page is simply as old as its last load. The browser parses it as a document of its own, in which
// no script runs, and its nodes are moved here: no text is ever made into markup.

for (const part of document.querySelectorAll("[data-live]")) {
  const every = Number(part.dataset.every || 5) * 1000;
  const refresh = async () => {
    if (!document.hidden) {
      try {
        const answer = await ask(part.dataset.live);
        if (answer.fresh) {
          const words = answer.fresh.body.innerHTML;
          if (words !== part.dataset.last && !part.contains(document.activeElement)) {
            part.replaceChildren(...answer.fresh.body.childNodes);
            part.dataset.last = words;
            document.dispatchEvent(new CustomEvent("hansa:fresh"));
          }
        }
        tell(!answer.kept);
      } catch {
        tell(false);
      }
    }
    setTimeout(refresh, every);
  };
  setTimeout(refresh, every);
}

/** fresh: the part as a document, null where the server gave no part. kept: it came from this phone, not from there. */
function ask(address) {
  return new Promise((resolve, reject) => {
    const asked = new XMLHttpRequest();
    asked.open("GET", address);
    asked.responseType = "document";
    asked.setRequestHeader("accept", "text/html");
    asked.onerror = asked.ontimeout = () => reject(new TypeError(`${address} was not reached`));
    asked.onload = () => {
      const here = new URL(asked.responseURL).pathname === new URL(address, location.href).pathname;
      const good = asked.status >= 200 && asked.status < 300 && here;
      resolve({ fresh: good ? asked.response : null, kept: asked.getResponseHeader("x-from-cache") !== null });
    };
    asked.send();
  });
}

function tell(reachable) {
  document.dispatchEvent(new CustomEvent("hansa:reach", { detail: { reachable } }));
}
