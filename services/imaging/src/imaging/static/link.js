// Whether news arrive, said to whoever looks: a page that stands still must say why.

import { $ } from "/static/dom.js";

const SHOWN_MS = 2500;
const waiting = new Set();
let hiding = 0;

export function lost(what) {
  waiting.add(what);
  show("The connection is lost. Reconnecting…", false);
}

export function found(what) {
  if (!waiting.delete(what) || waiting.size) return;
  show("Connected again.", true);
  hiding = setTimeout(() => { $("link-state").hidden = true; }, SHOWN_MS);
}

function show(text, well) {
  clearTimeout(hiding);
  const pill = $("link-state");
  pill.hidden = false;
  pill.classList.toggle("well", well);
  // Said again with each try, it would be noise.
  if (pill.textContent !== text) pill.textContent = text;
}
