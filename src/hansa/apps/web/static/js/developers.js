/** Pages for developers: a button that copies each command. */

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
