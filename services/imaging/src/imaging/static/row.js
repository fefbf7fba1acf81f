// One file on its way: what is shown of it until it is in the gallery or has failed.
// Text from outside only ever becomes textContent.

import { $, pool, say } from "/static/lib.js";

const rows = $("rows");

// One at a time: a large picture takes a browser a second and hundreds of megabytes.
const previews = pool(1);

// Decoded and shrunk off the page's own thread, which an <img> of this size would block.
async function paint(canvas, file) {
  try {
    const small = await createImageBitmap(file, { resizeHeight: canvas.height });
    const scale = Math.max(canvas.width / small.width, 1);
    const [width, height] = [small.width * scale, small.height * scale];
    const [left, top] = [(canvas.width - width) / 2, (canvas.height - height) / 2];
    canvas.getContext("2d").drawImage(small, left, top, width, height);
    canvas.classList.remove("blank");
    small.close();
  } catch {
    // Not a picture to this browser; the service says what it is.
  }
}

export class Row {
  constructor(name, preview) {
    this.node = $("row-template").content.firstElementChild.cloneNode(true);
    this.part = (selector) => this.node.querySelector(selector);
    this.name = name;
    this.stop = null;
    this.part(".name").textContent = name;
    this.part(".name").title = name;
    if (preview) previews((done) => paint(this.part(".preview"), preview).finally(done));
    this.part(".bar").setAttribute("aria-label", `Progress of ${name}`);
    this.part("button").addEventListener("click", () => this.press());
    this.show("queued", "Waiting to be sent");
    rows.append(this.node);
    refresh();
  }

  get over() { return ["failed", "cancelled"].includes(this.node.dataset.state); }

  show(state, text) {
    this.node.dataset.state = state;
    this.part(".state").textContent = text;
    const label = `${this.over ? "Dismiss" : "Cancel"} ${this.name}`;
    this.part("button").setAttribute("aria-label", label);
    this.part("button").title = this.over ? "Dismiss" : "Cancel";
  }

  fill(segment, percent) {
    this.part(`.${segment} i`).style.width = `${percent}%`;
    this.part(".bar").setAttribute("aria-valuenow", String(percent));
  }

  sending(percent) {
    this.fill("sent", percent);
    this.show("sending", `Sending ${percent} %`);
  }

  waiting() {
    this.fill("sent", 100);
    this.show("waiting", "Waiting");
  }

  processing(percent) {
    this.fill("sent", 100);
    this.fill("done", percent);
    this.show("processing", `Processing ${percent} %`);
  }

  fail(reason) {
    this.show("failed", reason);
    say(`${this.name}: ${reason}`);
    refresh();
  }

  cancelled() {
    this.show("cancelled", "Cancelled");
    say(`${this.name} was cancelled.`);
    refresh();
  }

  press() {
    if (this.over) this.remove();
    else if (this.stop) this.stop();
  }

  remove() {
    const hadFocus = this.node.contains(document.activeElement);
    this.node.remove();
    // Never leave a keyboard on an element that is gone.
    if (hadFocus) (rows.querySelector("button") || $("choose")).focus();
    refresh();
  }
}

function refresh() {
  const all = [...rows.children];
  const over = all.filter((row) => ["failed", "cancelled"].includes(row.dataset.state));
  $("activity").hidden = all.length === 0;
  $("clear").hidden = over.length < 2;
  $("activity-title").textContent = over.length === all.length ? "Not processed" : "In progress";
}

$("clear").addEventListener("click", () => {
  for (const row of [...rows.children]) {
    if (["failed", "cancelled"].includes(row.dataset.state)) row.querySelector("button").click();
  }
});
