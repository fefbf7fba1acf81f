// The ways in: drop, paste, the file picker, a phone's camera.

import { $ } from "/static/dom.js";
import { send } from "/static/send.js";

const closed = () => $("work").hidden || document.querySelector("dialog[open]");

function add(files) {
  if (closed() || !files.length) return;
  [...files].forEach(send);
  // On a phone it is below the fold.
  $("activity").scrollIntoView({ block: "nearest" });
}

for (const [button, input] of [["choose", "files"], ["photograph", "camera"]]) {
  $(button).addEventListener("click", () => $(input).click());
  $(input).addEventListener("change", ({ target }) => {
    add(target.files);
    // Or the same file could not be chosen twice.
    target.value = "";
  });
}

document.addEventListener("paste", (event) => add(event.clipboardData.files));

// Entering a child fires before leaving its parent, so depth and not one flag.
let depth = 0;
const carriesFiles = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
const dragging = (delta) => {
  depth = delta === 0 ? 0 : Math.max(0, depth + delta);
  document.body.classList.toggle("dragging", depth > 0 && !closed());
};
document.addEventListener("dragenter", (event) => { if (carriesFiles(event)) dragging(1); });
document.addEventListener("dragleave", (event) => { if (carriesFiles(event)) dragging(-1); });
document.addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
document.addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  dragging(0);
  add(event.dataTransfer.files);
});
