// Parts of a page that keep themselves fresh: <div data-live="/address" data-every="5">. The server renders the part;
// without JavaScript the page is simply as old as its last load.

for (const part of document.querySelectorAll("[data-live]")) {
  const every = Number(part.dataset.every || 5) * 1000;
  const refresh = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(part.dataset.live, { headers: { accept: "text/html" } });
        if (answer.ok && !answer.redirected) {
          const fresh = await answer.text();
          if (fresh !== part.dataset.last && !part.contains(document.activeElement)) {
            part.innerHTML = fresh;
            part.dataset.last = fresh;
            document.dispatchEvent(new CustomEvent("hansa:fresh"));
          }
        }
        tell(!answer.headers.has("x-from-cache"));
      } catch {
        tell(false);
      }
    }
    setTimeout(refresh, every);
  };
  setTimeout(refresh, every);
}

function tell(reachable) {
  document.dispatchEvent(new CustomEvent("hansa:reach", { detail: { reachable } }));
}
