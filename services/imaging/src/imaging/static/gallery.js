// What is over, newest first: pages of it, by state.

import { card, confirmed } from "/static/card.js";
import { $, say } from "/static/dom.js";
import { counted } from "/static/format.js";
import { ask, erase } from "/static/http.js";
import * as lightbox from "/static/lightbox.js";

const PAGE = 24;
const AT_WORK = new Set(["PENDING", "PROGRESS"]);
const NOTHING = {
  SUCCESS: "Nothing here yet. The first picture you drop will appear in this place.",
  FAILURE: "Nothing has failed.",
  REVOKED: "Nothing was cancelled.",
  "": "Nothing here yet. The first picture you drop will appear in this place.",
};
const cards = $("cards");
const items = new Map();
let before = null;
let status = "SUCCESS";
// Each change of the filter makes the answers for the one before it worthless.
let turn = 0;
let tryAgain = null;

export const onRetry = (retry) => { tryAgain = retry; };

export async function load({ afresh = false } = {}) {
  if (afresh) restart();
  const mine = turn;
  $("more").disabled = true;
  cards.setAttribute("aria-busy", "true");
  try {
    const query = new URLSearchParams({ limit: PAGE, ...(before && { before }), ...(status && { status }) });
    const page = await ask(`/uploads?${query}`);
    if (mine !== turn) return;
    before = page.next;
    page.uploads.filter((item) => !AT_WORK.has(item.status)).forEach((item) => add(item, "append"));
    count();
  } catch (problem) {
    if (mine !== turn) return;
    $("empty").textContent = problem.message;
    $("empty").hidden = false;
    $("more").hidden = false;
    say(problem.message);
  } finally {
    $("more").disabled = false;
    cards.removeAttribute("aria-busy");
  }
}

function restart() {
  turn += 1;
  before = null;
  items.clear();
  cards.replaceChildren();
}

// From the work above, when it is over.
export function arrived(item) {
  if (status && item.status !== status) return;
  add(item, "prepend");
  count();
}

function add(item, where) {
  // It may have arrived by itself before the page that has it, too.
  if (items.has(item.id)) return;
  const node = card(item, { open: lightbox.open, retry, remove });
  if (where === "prepend") node.classList.add("fresh");
  items.set(item.id, item);
  cards[where](node);
}

function count() {
  const n = cards.children.length;
  $("more").hidden = !before;
  $("empty").hidden = n > 0;
  $("empty").textContent = NOTHING[status];
  $("count").textContent = n ? counted(n, status === "SUCCESS" ? "picture" : "upload") + (before ? " shown" : "") : "";
}

async function retry(item, node) {
  const button = node.querySelector(".again");
  button.disabled = true;
  try {
    await tryAgain(item);
    $("rows").lastElementChild.querySelector(".stop").focus();
  } catch (problem) {
    node.querySelector(".why").textContent = problem.message;
    say(problem.message);
    button.disabled = false;
  }
}

async function remove(item, node) {
  if (!await confirmed(item)) return false;
  try {
    await erase(`/upload/${encodeURIComponent(item.id)}`);
  } catch (problem) {
    if (problem.code !== "not_found") {
      say(problem.message);
      return false;
    }
  }
  const next = node.nextElementSibling || node.previousElementSibling;
  items.delete(item.id);
  node.remove();
  count();
  say(`${item.filename} was deleted.`);
  (next?.querySelector("button") || $("gallery")).focus();
  return true;
}

// The next (1) or previous (-1) picture; pages that are not here yet are fetched.
async function beside(node, step) {
  const next = () => {
    let at = node;
    do at = step > 0 ? at.nextElementSibling : at.previousElementSibling;
    while (at && at.dataset.status !== "SUCCESS");
    return at;
  };
  if (step > 0 && !next() && before) await load();
  const found = next();
  return found && [items.get(found.dataset.id), found];
}

lightbox.among({ beside, remove });
$("more").addEventListener("click", async () => {
  const n = cards.children.length;
  await load();
  // On to what is new, for the button may be gone.
  cards.children[n]?.querySelector("button").focus();
});
$("filter").addEventListener("change", (event) => {
  status = event.target.value;
  load({ afresh: true });
});
