// A file's way: its bytes up, its processing, and then the gallery or a reason.

import { say } from "/static/dom.js";
import { follow } from "/static/follow.js";
import { bytes } from "/static/format.js";
import * as gallery from "/static/gallery.js";
import { ask, post, told } from "/static/http.js";
import { Row } from "/static/row.js";
import { turns } from "/static/turns.js";

const uploads = turns(2);
const ACCEPTED = 202;
const TOO_MANY = 429;
const PAUSE_SECONDS = 5;

let limits = null;
let resumed;
const all = new Promise((resolve) => { resumed = resolve; });
export const knowing = (answer) => { limits = answer; };

export function send(file) {
  const row = new Row(file.name || "pasted picture.png", file);
  // The service says the same; this saves the wait for a long upload in vain.
  if (limits && file.size > limits.max_bytes) {
    row.fail(`This file is too large. At most ${bytes(limits.max_bytes)} are accepted.`);
  } else begin(row, file);
}

// An upload that the service has already: from before a reload, or tried again.
export function resume(item) {
  track(new Row(item.filename, null), item.id);
}

function begin(row, file) {
  const again = () => begin(row, file);
  let unwanted = false;
  row.queued();
  row.stop = () => { unwanted = true; row.cancelled(again); };
  // What is sent while the page still asks what runs would be found among that, and shown twice.
  all.then(() => uploads((done) => {
    if (unwanted) done();
    else transfer(row, file, done);
  }));
}

function transfer(row, file, done) {
  const again = () => begin(row, file);
  const request = new XMLHttpRequest();
  let unwanted = false;
  row.stop = () => request.abort();
  // Once all bytes are there the service has the file, whether or not we hear so: from
  // here on it must be told.
  request.upload.onload = () => { row.stop = () => { unwanted = true; row.cancelling(); }; };
  request.upload.onprogress = ({ loaded, total }) => row.sending(loaded, total);
  request.onerror = () => row.fail(told(0).message, again);
  request.onabort = () => row.cancelled(again);
  request.onloadend = done;
  request.onload = () => {
    if (request.status === ACCEPTED) {
      track(row, request.response.id);
      if (unwanted) row.stop();
    } else if (unwanted) row.cancelled(again);
    else if (request.status === TOO_MANY) pause(row, request, again);
    else refused(row, told(request.status, request.response), again);
  };
  const form = new FormData();
  form.append("file", file, row.name);
  request.open("POST", "/upload");
  request.responseType = "json";
  row.sending(0, file.size);
  request.send(form);
}

function pause(row, request, again) {
  const seconds = Number(request.getResponseHeader("Retry-After")) || PAUSE_SECONDS;
  const waiting = setTimeout(again, 1000 * seconds);
  row.pausing(seconds);
  row.stop = () => { clearTimeout(waiting); row.cancelled(again); };
}

function refused(row, problem, again) {
  row.fail(problem.message, problem.retryable ? again : null);
}

function track(row, id) {
  const path = `/upload/${encodeURIComponent(id)}`;
  row.waiting();
  row.stop = async () => {
    row.cancelling();
    // Too late is no fault: the stream tells how it ended.
    await post(`${path}/cancel`).catch((problem) => row.fail(problem.message));
  };
  const again = () => retry(row, path);
  follow(id, {
    moved: (status, progress) => {
      if (row.node.dataset.state === "cancelling") return;
      if (status === "running") row.processing(progress);
      else row.waiting();
    },
    lost: (isLost) => row.lost(isLost),
    failed: (problem) => row.fail(problem.message),
    ended: (item) => ended(row, item, again),
  });
}

function ended(row, item, again) {
  if (item.status === "SUCCESS") {
    gallery.arrived(item);
    row.done();
    say(`${item.filename} is ready.`);
    return;
  }
  row.dismissed = () => gallery.arrived(item);
  if (item.status === "REVOKED") row.cancelled(again);
  else refused(row, told(200, item.error), again);
}

async function retry(row, path) {
  row.part(".again").hidden = true;
  try {
    track(row, (await post(`${path}/retry`)).id);
    row.part(".stop").focus();
  } catch (problem) {
    row.fail(problem.message, problem.retryable ? () => retry(row, path) : null);
  }
}

// From the gallery: the new try is a row, the old one stays what it was.
export async function retryItem(item) {
  const { id } = await post(`/upload/${encodeURIComponent(item.id)}/retry`);
  resume({ id, filename: item.filename });
}

// Those that wait are asked for first: one that begins meanwhile is then seen twice, not never.
export async function resumeAll() {
  const known = new Map();
  try {
    for (const status of ["PENDING", "PROGRESS"]) {
      const page = await ask(`/uploads?limit=100&status=${status}`);
      page.uploads.forEach((item) => known.set(item.id, item));
    }
    [...known.values()].reverse().forEach(resume);
  } finally {
    resumed();
  }
}
