// The files that were added until all were over, as one: how far are they together?

import { $, say } from "/static/dom.js";
import { counted } from "/static/format.js";

let rows = [];

export function join(row) {
  if (rows.every((one) => one.over)) rows = [];
  rows.push(row);
  changed();
}

export function changed() {
  // Those of the batch before it may still be there, with their messages.
  const shown = $("rows").children.length;
  const open = rows.filter((row) => !row.over).length;
  $("activity").hidden = shown === 0;
  $("activity-title").textContent = open ? "In progress" : "Not processed";
  $("cancel-all").hidden = open < 2;
  $("clear").hidden = shown - open < 2;
  $("batch").hidden = rows.length < 2 || shown === 0;
  if (!$("batch").hidden) summarise(open);
}

function summarise(open) {
  const [ready, failed, cancelled] = ["done", "failed", "cancelled"]
    .map((state) => rows.filter((row) => row.state === state).length);
  const words = [`${ready} of ${counted(rows.length, "picture")} ready`];
  if (failed) words.push(`${failed} failed`);
  if (cancelled) words.push(`${cancelled} cancelled`);
  const percent = Math.round(
    (100 * rows.reduce((sum, row) => sum + (row.over ? 1 : row.fraction), 0)) / rows.length,
  );
  $("batch-text").textContent = words.join(", ");
  $("batch-percent").textContent = open ? `${percent} %` : "Done";
  $("batch-bar").firstElementChild.style.width = `${percent}%`;
  $("batch-bar").setAttribute("aria-valuenow", String(percent));
  if (!open) say(`${words.join(", ")}.`);
}

$("cancel-all").addEventListener("click", () => {
  for (const row of rows.filter((one) => !one.over)) row.stop?.();
  $("choose").focus();
});

$("clear").addEventListener("click", () => {
  const over = "[data-state=failed] .stop, [data-state=cancelled] .stop";
  for (const button of $("rows").querySelectorAll(over)) button.click();
  $("choose").focus();
});
