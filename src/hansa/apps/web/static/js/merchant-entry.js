// The door of an attraction: each ticket that the camera reads is shown to the gate, and the camera goes on.

const result = document.querySelector("[data-entry]");
const form = document.getElementById("entry-form");
const part = (name) => result.querySelector(`[data-${name}]`);

document.addEventListener("hansa:scanned", (event) => {
  event.preventDefault();
  ask(event.detail);
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask(form.querySelector("[data-text]").value.trim());
});

async function ask(text) {
  try {
    const answer = await fetch(form.dataset.read, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ text }),
    });
    const said = await answer.json();
    show(answer.ok ? said : { accepted: false, title: said.title, words: said.detail, reason: said.code });
    form.querySelector("[data-text]").value = "";
  } catch {
    show({ accepted: false, title: "", words: form.dataset.lost, reason: "" });
  }
}

function show(said) {
  result.dataset.state = said.accepted ? "accepted" : "refused";
  part("title").textContent = said.title;
  part("words").textContent = said.words;
  part("reason").textContent = said.accepted ? "" : said.reason;
}
