// How long a quote still holds. The server decides; this only tells the time, and closes the button in the end.

const panel = document.querySelector("[data-quote]");

if (panel) {
  const began = performance.now();
  const lasts = Number(panel.dataset.lasts);
  const left = panel.querySelector("[data-left]");
  const told = panel.querySelector("[data-told]");
  const button = panel.querySelector("[data-use] button");

  const show = () => {
    const seconds = Math.max(0, Math.ceil(lasts - (performance.now() - began) / 1000));
    left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    left.hidden = false;
    if (seconds > 0) return;
    clearInterval(clock);
    panel.classList.add("is-over");
    button.disabled = true;
    told.textContent = panel.dataset.ended;
    told.hidden = false;
    document.querySelector("[data-anew] button").classList.remove("second");
  };

  const clock = setInterval(show, 1000);
  show();
}
