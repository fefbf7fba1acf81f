// The page: files go up one by one, their progress comes back as server-sent events,
// finished ones move to the gallery.

import { show, counted } from "/static/gallery.js";
import { $, bytes, getJson, pool, say } from "/static/lib.js";
import { Row } from "/static/row.js";

// A browser opens six connections to one server.  Streams hold theirs, so uploads and
// streams together stay below that, or the page would stop loading pictures.
const uploads = pool(2);
const streams = pool(3);
const OVER = new Set(["complete", "failed", "dead", "cancelled"]);

// ------------------------------------------------------------------- sending

let limits = null;
const limitsKnown = getJson("/limits").then((answer) => {
  limits = answer;
  const megapixels = Math.round(limits.max_pixels / 1e6);
  $("limits").textContent =
    `JPEG, PNG, WebP, GIF or AVIF · up to ${bytes(limits.max_bytes)} and ${megapixels} megapixels each`;
}).catch(() => {});

async function add(files) {
  await limitsKnown;
  for (const file of files) {
    // The service says the same; this saves the wait for a long upload in vain.
    if (limits && file.size > limits.max_bytes) {
      new Row(file.name, null).fail(`This file is too large. At most ${bytes(limits.max_bytes)} are accepted.`);
    } else send(file);
  }
}

function send(file) {
  const row = new Row(file.name || "pasted picture", file);
  let aborted = false;
  row.stop = () => { aborted = true; row.cancelled(); };
  uploads((done) => {
    if (aborted) { done(); return; }
    const request = new XMLHttpRequest();
    let unwanted = false;
    row.stop = () => request.abort();
    // Once all bytes are there the service has the file, whether or not we hear so: from
    // here on it must be told.
    request.upload.onload = () => {
      row.stop = () => { unwanted = true; row.part(".state").textContent = "Cancelling"; };
    };
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) row.sending(Math.floor((100 * event.loaded) / event.total));
    };
    request.onload = () => answered(row, request, unwanted);
    request.onerror = () => row.fail("The service cannot be reached. Is it still running?");
    request.onabort = () => row.cancelled();
    request.onloadend = done;
    const form = new FormData();
    form.append("file", file, file.name || "pasted.png");
    request.open("POST", "/upload");
    request.responseType = "json";
    request.send(form);
    row.sending(0);
  });
}

function answered(row, request, unwanted) {
  const body = request.response || {};
  if (request.status !== 202) {
    row.fail(body.detail || "The service did not accept this file.");
    return;
  }
  row.waiting();
  follow(row, body.id);
  if (unwanted) row.stop();
}

// ------------------------------------------------------------------- following

function follow(row, id) {
  row.stop = () => cancel(row, id);
  streams((done) => {
    const source = new EventSource(`/upload/${encodeURIComponent(id)}/events`);
    const finish = () => { source.close(); done(); settle(row, id); };
    source.onmessage = (event) => {
      const { progress, status } = JSON.parse(event.data);
      if (OVER.has(status)) finish();
      else if (status === "running") row.processing(progress);
      else row.waiting();
    };
    // The browser reconnects by itself; CLOSED means that it was told not to.
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) finish(); };
  });
}

async function cancel(row, id) {
  row.stop = null;
  row.part(".state").textContent = "Cancelling";
  try {
    await getJson(`/upload/${encodeURIComponent(id)}/cancel`, { method: "POST" });
  } catch (error) {
    row.fail(error.message);
  }
}

async function settle(row, id) {
  try {
    const item = await getJson(`/uploads/${encodeURIComponent(id)}`);
    if (item.status === "SUCCESS") {
      row.processing(100);
      row.remove();
      show(item, true);
      say(`${item.filename} is ready.`);
    } else if (item.status === "REVOKED") row.cancelled();
    else if (item.status === "FAILURE") row.fail(item.error.detail);
    else follow(row, id);
  } catch (error) {
    row.fail(error.message);
  }
}

// ------------------------------------------------------------------- taking up again

let before = null;
async function load() {
  $("more").disabled = true;
  try {
    const gallery = await getJson(`/uploads?limit=24${before ? `&before=${before}` : ""}`);
    before = gallery.next;
    $("more").hidden = !before;
    for (const item of gallery.uploads) {
      if (item.status === "SUCCESS") show(item, false);
      // Still at work when the page was closed or reloaded: take it up again.
      else if (["PENDING", "PROGRESS"].includes(item.status)) resume(item);
    }
  } catch (error) {
    say(error.message);
  }
  $("more").disabled = false;
  counted();
}

function resume(item) {
  const row = new Row(item.filename, null);
  row.waiting();
  follow(row, item.id);
}

// ------------------------------------------------------------------- the ways in

$("choose").addEventListener("click", () => $("files").click());
$("files").addEventListener("change", (event) => {
  add([...event.target.files]);
  event.target.value = "";
});
document.addEventListener("paste", (event) => add([...event.clipboardData.files]));

// Entering a child fires before leaving its parent, so depth and not one flag.
let depth = 0;
const carriesFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
const dragging = (delta) => {
  depth = delta === 0 ? 0 : Math.max(0, depth + delta);
  document.body.classList.toggle("dragging", depth > 0);
};
document.addEventListener("dragenter", (event) => { if (carriesFiles(event)) dragging(1); });
document.addEventListener("dragleave", (event) => { if (carriesFiles(event)) dragging(-1); });
document.addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
document.addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  dragging(0);
  add([...event.dataTransfer.files]);
});

$("more").addEventListener("click", load);
load();
