// One upload in the gallery: a picture, or the reason why there is none.

import { $, copyOf, label } from "/static/dom.js";
import { bytes, saved } from "/static/format.js";
import { told } from "/static/http.js";
import { paint } from "/static/thumbhash.js";

// `on.open`, `on.retry` and `on.remove` are called with the item and its node.
export function card(item, on) {
  const [node, part] = copyOf(item.status === "SUCCESS" ? "card-template" : "failed-template");
  node.dataset.id = item.id;
  node.dataset.status = item.status;
  part(".name").textContent = item.filename;
  part(".name").title = item.filename;
  part(".before").textContent = bytes(item.size);
  part(".remove").addEventListener("click", () => on.remove(item, node));
  label(part(".remove"), `Delete ${item.filename}`);
  if (item.status === "SUCCESS") picture(item, node, part, on);
  else reason(item, node, part, on);
  return node;
}

// The largest that is not yet more than a screen, for a look; the thumbnail for a list.
export function versions(item) {
  const all = Object.entries(item.variants).map(([name, facts]) => ({ name, ...facts }));
  all.sort((a, b) => b.width * b.height - a.width * a.height || a.bytes - b.bytes);
  const find = (name) => all.find((one) => one.name === name);
  return { all, large: find("resized_compressed") || all[0], small: find("thumbnail") || all.at(-1) };
}

// What stands where the picture will be.  Colours are set by script: the page's policy
// forbids style attributes, and means those in markup.
export function placeholder(canvas, item) {
  canvas.style.backgroundColor = item.colour || "";
  canvas.hidden = !item.thumbhash;
  if (item.thumbhash) paint(canvas, item.thumbhash);
}

export function appear(image, source) {
  image.classList.add("coming");
  image.onload = () => image.classList.remove("coming");
  image.src = source;
}

function picture(item, node, part, on) {
  const { large, small } = versions(item);
  const image = part("img");
  placeholder(part(".hash"), item);
  part(".picture").style.backgroundColor = item.colour || "";
  image.alt = item.filename;
  image.sizes = "(max-width: 34rem) 50vw, 18rem";
  image.srcset = `${small.url} ${small.width}w, ${large.url} ${large.width}w`;
  appear(image, small.url);
  label(part(".picture"), `Open ${item.filename}`);
  part(".picture").addEventListener("click", () => on.open(item, node));
  part(".after").textContent = bytes(large.bytes);
  part(".saved").textContent = saved(item.size, large.bytes);
}

function reason(item, node, part, on) {
  const problem = item.error && told(200, item.error);
  part(".why").textContent = problem ? problem.message : "Cancelled";
  part(".again").hidden = problem ? !problem.retryable : false;
  label(part(".again"), `Retry ${item.filename}`);
  part(".again").addEventListener("click", () => on.retry(item, node));
}

export function confirmed(item) {
  const dialog = $("confirm");
  $("confirm-title").textContent = `Delete ${item.filename}?`;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
