// The page: who is there, what is accepted, what is at work, what is done.

import { $ } from "/static/dom.js";
import { bytes } from "/static/format.js";
import * as gallery from "/static/gallery.js";
import { ask } from "/static/http.js";
import "/static/intake.js";
import { knowing, resumeAll, retryItem } from "/static/send.js";
import { signedIn } from "/static/session.js";

async function accepted() {
  const limits = await ask("/limits");
  const megapixels = Math.round(limits.max_pixels / 1e6);
  $("limits").textContent = "JPEG, PNG, WebP, GIF or AVIF · "
    + `up to ${bytes(limits.max_bytes)} and ${megapixels} megapixels each`;
  knowing(limits);
}

async function begin() {
  // Without an answer the page says so below, where the pictures would be.
  if (!await signedIn().catch(() => true)) return;
  $("work").hidden = false;
  gallery.onRetry(retryItem);
  accepted().catch(() => {});
  // In this order nothing is missed that ends meanwhile; the gallery takes it once.
  await resumeAll().catch(() => {});
  await gallery.load();
}

begin();
