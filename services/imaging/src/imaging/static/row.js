// One file on its way: what is shown of it until it is in the gallery, or has failed.

import { changed, join } from "/static/batch.js";
import { $, copyOf, label, say } from "/static/dom.js";
import { bytes } from "/static/format.js";
import { preview } from "/static/preview.js";

// How much of the way sending is, for the progress of the whole.
const SENDING = 0.4;

export class Row {
  constructor(name, file) {
    [this.node, this.part] = copyOf("row-template");
    this.name = name;
    this.size = file?.size;
    // What its buttons do at present: set by whoever is at work on the file.
    this.stop = null;
    this.again = null;
    this.part(".name").textContent = name;
    this.part(".name").title = name;
    this.part(".bar").setAttribute("aria-label", `Progress of ${name}`);
    label(this.part(".again"), `Retry ${name}`);
    this.part(".stop").addEventListener("click", () => this.press());
    this.part(".again").addEventListener("click", () => this.again?.());
    if (file) preview(this.part(".preview"), file);
    this.queued();
    $("rows").append(this.node);
    join(this);
  }

  get over() { return ["failed", "cancelled", "done"].includes(this.state); }

  show(state, text, sent, done) {
    this.state = state;
    this.fraction = (SENDING * sent + (1 - SENDING) * done) / 100;
    this.node.dataset.state = state;
    delete this.node.dataset.lost;
    this.text = text;
    this.part(".state").textContent = text;
    this.part(".sent i").style.width = `${sent}%`;
    this.part(".done i").style.width = `${done}%`;
    this.part(".bar").setAttribute("aria-valuenow", String(Math.round(100 * this.fraction)));
    this.part(".bar").setAttribute("aria-valuetext", text);
    this.part(".again").hidden = !(this.over && this.again);
    label(this.part(".stop"), `${this.over ? "Dismiss" : "Cancel"} ${this.name}`);
    changed();
  }

  queued() { this.show("queued", "Waiting to be sent", 0, 0); }

  sending(loaded, total) {
    const share = total ? (100 * loaded) / total : 0;
    const sent = this.size ? bytes(Math.round((share / 100) * this.size)) : "0 B";
    this.show("sending", `Sending ${sent} of ${bytes(this.size ?? total)}`, share, 0);
  }

  // The service is full and said when to come again.
  pausing(seconds) { this.show("queued", `The service is busy. Next try in ${seconds} s`, 0, 0); }

  waiting() { this.show("waiting", "Waiting for its turn", 100, 0); }

  processing(percent) { this.show("processing", `Processing ${percent} %`, 100, percent); }

  cancelling() {
    this.stop = null;
    this.node.dataset.state = "cancelling";
    this.part(".state").textContent = "Cancelling";
  }

  // Nothing has happened to the upload: only its news do not arrive.
  lost(isLost) {
    if (this.over) return;
    this.node.toggleAttribute("data-lost", isLost);
    this.part(".state").textContent = isLost ? "Reconnecting…" : this.text;
  }

  fail(reason, again = null) {
    this.again = again;
    this.show("failed", reason, 0, 0);
    say(`${this.name}: ${reason}`);
  }

  cancelled(again = null) {
    this.again = again;
    this.show("cancelled", "Cancelled", 0, 0);
    say(`${this.name} was cancelled.`);
  }

  done() {
    this.show("done", "Ready", 100, 100);
    this.leave();
  }

  press() {
    if (!this.over) this.stop?.();
    else {
      this.leave();
      this.dismissed?.();
    }
  }

  leave() {
    const next = this.node.nextElementSibling || this.node.previousElementSibling;
    const hadFocus = this.node.contains(document.activeElement);
    this.node.remove();
    // Never leave a keyboard on an element that is gone.
    if (hadFocus) (next?.querySelector(".stop") || $("choose")).focus();
    changed();
  }
}
