// Who is there: nobody needs to be, unless the service wants a key.

import { $ } from "/static/dom.js";
import { ask, erase, post } from "/static/http.js";

export async function signedIn() {
  const { required, owner } = await ask("/session");
  $("session").hidden = !(required && owner);
  $("owner").textContent = owner || "";
  if (required && !owner) {
    askForKey("");
    return false;
  }
  return true;
}

function askForKey(why) {
  $("work").hidden = true;
  $("session").hidden = true;
  $("sign-in").hidden = false;
  $("key-fault").textContent = why;
  $("key").focus();
}

$("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await post("/session", { key: $("key").value });
    // The key is in a cookie now that no script can read: it shall not stay here.
    $("key").value = "";
    location.reload();
  } catch (problem) {
    $("key-fault").textContent =
      problem.status === 401 ? "The service does not know this key." : problem.message;
    $("key").select();
  }
});

$("sign-out").addEventListener("click", async () => {
  await erase("/session").catch(() => {});
  location.reload();
});

document.addEventListener("signed-out", () => {
  if ($("sign-in").hidden) askForKey("Your session has ended. Please sign in again.");
});
