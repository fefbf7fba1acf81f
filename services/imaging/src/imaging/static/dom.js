// Finding, copying and saying.  Text from outside only ever becomes textContent.

export const $ = (id) => document.getElementById(id);

export function copyOf(template) {
  const node = $(template).content.firstElementChild.cloneNode(true);
  return [node, (selector) => node.querySelector(selector)];
}

// For those who do not see the page.  An open dialog silences what is outside of it.
export function say(text) {
  $($("lightbox").open ? "lightbox-announce" : "announce").textContent = text;
}

export function label(button, text) {
  button.setAttribute("aria-label", text);
  button.title = text;
}
