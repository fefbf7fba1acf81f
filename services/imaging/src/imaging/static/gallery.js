// Finished pictures, newest first.

import { $, bytes } from "/static/lib.js";

const cards = $("cards");

export function show(item, fresh) {
  const card = $("card-template").content.firstElementChild.cloneNode(true);
  const part = (selector) => card.querySelector(selector);
  const { resized_compressed: resized, thumbnail } = item.outputs;
  const image = part("img");
  image.alt = item.filename;
  image.width = thumbnail.width;
  image.height = thumbnail.height;
  image.sizes = "(max-width: 34rem) 50vw, 16rem";
  image.srcset = `${item.result.thumbnail} ${thumbnail.width}w, ${item.result.resized_compressed} ${resized.width}w`;
  image.src = item.result.thumbnail;
  part(".picture").href = item.result.resized_compressed;
  part(".picture").title = `Open ${item.filename}`;
  part(".name").textContent = item.filename;
  part(".name").title = item.filename;
  part(".before").textContent = bytes(item.size);
  part(".after").textContent = bytes(resized.bytes);
  part(".saved").textContent = saved(item.size, resized.bytes);
  part(".pixels").textContent =
    `${item.width} × ${item.height} → ${resized.width} × ${resized.height}`;
  part(".download").href = item.result.resized_compressed;
  part(".download").download = item.result.resized_compressed.split("/").pop();
  part(".download").setAttribute("aria-label", `Download ${item.filename}`);
  part(".download").title = "Download";
  if (fresh) { card.classList.add("fresh"); cards.prepend(card); }
  else cards.append(card);
  counted();
}

function saved(before, after) {
  const percent = Math.round((100 * (before - after)) / before);
  return percent > 0 ? `−${percent} %` : "";
}

export function counted() {
  const n = cards.children.length;
  $("empty").hidden = n > 0;
  $("count").textContent = n ? `${n}${$("more").hidden ? "" : "+"} ${n === 1 ? "picture" : "pictures"}` : "";
}
