// One upload's progress as it happens, to its end, through lost connections and restarts.

import { ask } from "/static/http.js";
import { found, lost } from "/static/link.js";
import { turns } from "/static/turns.js";

const streams = turns(3);
const OVER = new Set(["complete", "failed", "dead", "cancelled"]);
const AT_WORK = new Set(["PENDING", "PROGRESS"]);
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15_000;

// Calls `moved(status, progress)`, `lost(isLost)`, and once `ended(item)` or `failed(problem)`.
export function follow(id, on) {
  streams((done) => {
    const source = new EventSource(`/upload/${encodeURIComponent(id)}/events`);
    const end = () => { source.close(); done(); settle(id, on); };
    source.onopen = () => connected(id, on);
    source.onmessage = (event) => {
      const { status, progress } = JSON.parse(event.data);
      if (OVER.has(status)) end();
      else on.moved(status, progress);
    };
    // The browser comes again by itself, and names what it has seen.  CLOSED means that it
    // was told not to: the upload is over, or something before the service has answered.
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) end();
      else disconnected(id, on);
    };
  });
}

async function settle(id, on, wait = FIRST_WAIT_MS) {
  try {
    const item = await ask(`/uploads/${encodeURIComponent(id)}`);
    connected(id, on);
    if (AT_WORK.has(item.status)) follow(id, on);
    else on.ended(item);
  } catch (problem) {
    if (!problem.mayPass) {
      found(id);
      on.failed(problem);
      return;
    }
    disconnected(id, on);
    setTimeout(() => settle(id, on, Math.min(2 * wait, LONGEST_WAIT_MS)), wait);
  }
}

function connected(id, on) {
  found(id);
  on.lost(false);
}

function disconnected(id, on) {
  lost(id);
  on.lost(true);
}
