// Forms that need a passkey. Before such a form is sent, its passkey is made or used, and goes along in `credential`:
//   <form data-passkey="create|get" data-options="/where/options/come/from" data-failed="Nothing was done."
//     data-verify="/where/one/proves/anew/who/one/is">
//     <input type="hidden" name="credential"> … <p data-told role="status" hidden></p> <button type="submit">
// The options are asked for by POST with the form's other fields, at the moment they are needed, so they are never old.
// A form with data-in-field also offers passkeys in its field `autocomplete="username webauthn"` (conditional UI).

import { create, forget, get, known, offersInFields } from "./passkey.js";

const RENEW_MS = 240_000; // a challenge is good for five minutes
const SAID_NO = ["NotAllowedError", "AbortError"];

for (const form of document.querySelectorAll("form[data-passkey]")) prepare(form);
for (const one of document.querySelectorAll("[data-unknown-credential]")) {
  if (known()) forget(one.dataset.rp, one.dataset.unknownCredential);
}

function prepare(form) {
  if (!known()) {
    tell(form, form.dataset.unknown ?? "");
    return;
  }
  let waiting = new AbortController();
  let sent = false;

  form.addEventListener("submit", async (event) => {
    if (sent) return;
    event.preventDefault();
    waiting.abort();
    form.setAttribute("aria-busy", "true");
    try {
      const options = await optionsOf(form);
      send(form.dataset.passkey === "create" ? await create(options) : await get(options));
    } catch (error) {
      tell(form, SAID_NO.includes(error.name) ? form.dataset.failed : error.message);
      offer();
    } finally {
      form.removeAttribute("aria-busy");
    }
  });

  /** Offer passkeys where a name is typed; anew before the challenge is too old. */
  async function offer() {
    if (!("inField" in form.dataset) || !(await offersInFields())) return;
    waiting = new AbortController();
    const { signal } = waiting;
    const renew = setTimeout(() => {
      waiting.abort();
      offer();
    }, RENEW_MS);
    try {
      send(await get(await optionsOf(form), { inField: true, signal }));
    } catch (error) {
      if (!SAID_NO.includes(error.name) && !signal.aborted) tell(form, error.message);
    } finally {
      clearTimeout(renew);
    }
  }

  function send(credential) {
    form.elements.credential.value = credential;
    sent = true;
    form.submit();
  }

  offer();
}

async function optionsOf(form) {
  const answer = await fetch(form.dataset.options, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    headers: { accept: "application/json" },
  });
  const told = await answer.json();
  if (told.code === "identity.verify_anew" && form.dataset.verify) {
    location.assign(form.dataset.verify);
    return new Promise(() => undefined); // the page goes away
  }
  if (!answer.ok) throw new Error(told.user_message ?? told.detail);
  return told;
}

function tell(form, words) {
  const place = form.querySelector("[data-told]");
  if (!place || !words) return;
  place.textContent = words;
  place.hidden = false;
}
