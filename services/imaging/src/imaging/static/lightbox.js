// One picture as large as the screen, with its measures and versions.

import { appear, placeholder, versions } from "/static/card.js";
import { $, copyOf, label, say } from "/static/dom.js";
import { bytes, format, moment, pixels, saved, titled } from "/static/format.js";
import { ask } from "/static/http.js";

const dialog = $("lightbox");
const image = $("stage-image");
let gallery = null;
let shown = null;
let node = null;

// What it is in the middle of: `beside(node, step)` and `remove(item, node)`.
export const among = (ways) => { gallery = ways; };

export function open(item, card) {
  if (!dialog.open) dialog.showModal();
  show(item, card);
  $("close").focus();
}

async function show(item, card) {
  [shown, node] = [item, card];
  fill(item);
  edges();
  // Slow versions come later than the picture itself, and signed links end some day.
  const fresh = await ask(`/uploads/${encodeURIComponent(item.id)}`).catch(() => null);
  if (fresh?.variants && shown === item) {
    shown = fresh;
    list(fresh);
  }
}

function fill(item) {
  $("lightbox-name").textContent = item.filename;
  const dark = item.colour ? `color-mix(in srgb, ${item.colour} 26%, #0c0f0e)` : "";
  $("stage").style.backgroundColor = dark;
  placeholder($("stage-hash"), item);
  $("original").hidden = !item.original_url;
  if (item.original_url) $("original").href = item.original_url;
  $("delete").setAttribute("aria-label", `Delete ${item.filename}`);
  measure(item);
  list(item);
  view(item, versions(item).large);
}

function measure(item) {
  const rows = [
    ["Original", `${pixels(item)} · ${format(item.format)} · ${bytes(item.size)}`],
    ["Taken", item.taken_at && moment(item.taken_at)],
    ["Uploaded", item.created_at && moment(item.created_at)],
  ];
  $("measures").replaceChildren(...rows.filter(([, value]) => value).flatMap(([term, value]) => {
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    dt.textContent = term;
    dd.textContent = value;
    return [dt, dd];
  }));
}

function list(item) {
  const had = dialog.querySelector(".variants :focus")?.className;
  $("variants").replaceChildren(...versions(item).all.map((one) => line(item, one)));
  mark(image.dataset.name);
  if (had) $("close").focus();
}

function line(item, one) {
  const [row, part] = copyOf("variant-template");
  const name = titled(one.name);
  row.dataset.name = one.name;
  part(".title").textContent = name;
  part(".saved").textContent = saved(item.size, one.bytes);
  part(".variant-facts").textContent = [pixels(one), format(one.format), bytes(one.bytes)].join(" · ");
  part(".view").addEventListener("click", () => view(item, one));
  part(".get").href = one.url;
  part(".get").download = "";
  label(part(".get"), `Download ${name}`);
  label(part(".copy"), `Copy link to ${name}`);
  // Browsers give the clipboard to pages of a safe origin only.
  part(".copy").hidden = !navigator.clipboard;
  part(".copy").addEventListener("click", (event) => copy(event.currentTarget, one.url));
  return row;
}

function view(item, one) {
  image.dataset.name = one.name;
  image.alt = item.filename;
  $("frame").style.setProperty("--width", one.width);
  $("frame").style.setProperty("--height", one.height);
  appear(image, one.url);
  mark(one.name);
}

function mark(name) {
  for (const row of $("variants").children) {
    row.querySelector(".view").setAttribute("aria-pressed", String(row.dataset.name === name));
  }
}

async function copy(button, url) {
  try {
    await navigator.clipboard.writeText(new URL(url, location.href).href);
    button.classList.add("well");
    setTimeout(() => button.classList.remove("well"), 1600);
    say("The link was copied.");
  } catch {
    say("The browser does not allow copying.");
  }
}

async function go(step) {
  const from = shown;
  const found = await gallery.beside(node, step);
  if (!found || shown !== from) return;
  await show(...found);
  say(found[0].filename);
}

async function edges() {
  const at = node;
  const [back, on] = [await gallery.beside(at, -1), await gallery.beside(at, 1)];
  if (at !== node) return;
  $("previous").disabled = !back;
  $("next").disabled = !on;
}

$("previous").addEventListener("click", () => go(-1));
$("next").addEventListener("click", () => go(1));
$("close").addEventListener("click", () => dialog.close());
// A click beside everything is one on the dialog itself.
dialog.addEventListener("click", (event) => { if (event.target === dialog || event.target === $("stage")) dialog.close(); });
dialog.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  event.preventDefault();
  go(step);
});
dialog.addEventListener("close", () => {
  image.removeAttribute("src");
  // Not where it was opened, but where one has come to.
  if (node.isConnected) node.querySelector(".picture").focus();
});
$("delete").addEventListener("click", async () => {
  const [item, card] = [shown, node];
  const next = await gallery.beside(card, 1) || await gallery.beside(card, -1);
  if (!await gallery.remove(item, card)) return;
  if (next) open(...next);
  else dialog.close();
});
