/** Pages for developers: a button that copies each command, and a field that finds an operation. */

const words = document.documentElement.lang === "zh" ? ["复制", "已复制"] : document.documentElement.lang === "fr" ? ["Copier", "Copié"] : ["Copy", "Copied"];

for (const box of document.querySelectorAll(".snippet")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "second";
  button.textContent = words[0];
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(box.querySelector("pre").innerText);
    button.textContent = words[1];
    setTimeout(() => (button.textContent = words[0]), 1500);
  });
  box.append(button);
}

const finder = document.querySelector("[data-finder]");
if (finder) {
  finder.hidden = false;
  finder.querySelector("input").addEventListener("input", ({ target }) => {
    const wanted = target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const group of document.querySelectorAll("[data-group]")) {
      let found = 0;
      for (const one of group.querySelectorAll("[data-op]")) {
        const fits = wanted.every((word) => one.textContent.toLowerCase().includes(word));
        one.hidden = !fits;
        found += fits ? 1 : 0;
      }
      group.hidden = found === 0;
    }
  });
}
