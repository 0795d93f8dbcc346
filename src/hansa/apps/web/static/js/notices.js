// The page of notices keeps itself fresh: it follows a stream while somebody looks at it, and is given a list that the
// server made. The list comes as a document of its own, in which no script runs, and its nodes are moved here. Without
// a stream it asks for the list from time to time; a page that nobody looks at has no line open.

const line = document.querySelector("[data-stream]");
const place = document.getElementById("notices");
const POLL_MS = 30000;
let source = null;
let timer = 0;
let after = line ? Number(new URL(line.dataset.stream, location.href).searchParams.get("after")) : 0;

if (line) {
  line.textContent = line.dataset.liveWords;
  document.addEventListener("visibilitychange", look);
  look();
}

function look() {
  clearTimeout(timer);
  if (document.hidden) {
    source?.close();
    source = null;
  } else if (!source) {
    follow();
  }
}

function follow() {
  const address = new URL(line.dataset.stream, location.href);
  address.searchParams.set("after", String(after));
  source = new EventSource(address);
  source.addEventListener("notice", (event) => {
    after = Math.max(after, Number(event.lastEventId));
    line.textContent = JSON.parse(event.data).text;
    clearTimeout(timer);
    timer = setTimeout(fetchList, 50); // several that came at once are one list
  });
  source.addEventListener("error", () => {
    if (source && source.readyState === EventSource.CLOSED) {
      source = null;
      poll();
    }
  });
}

function poll() {
  timer = setTimeout(() => {
    fetchList();
    if (!document.hidden) poll();
  }, POLL_MS);
}

function fetchList() {
  const asked = new XMLHttpRequest();
  asked.open("GET", line.dataset.list);
  asked.responseType = "document";
  asked.setRequestHeader("accept", "text/html");
  asked.onload = () => {
    if (asked.status === 200 && asked.response && !place.contains(document.activeElement)) {
      place.replaceChildren(...asked.response.body.childNodes);
    }
  };
  asked.send();
}
