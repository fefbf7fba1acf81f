// Asking the service, and what its answers mean to a person.

// What to do about it.  What is wrong, the service says itself, with the numbers.
const ADVICE = {
  too_large: "Make it smaller and try again.",
  too_many_pixels: "Make it smaller and try again.",
  empty_file: "Copy it again from where it came.",
  truncated_image: "Copy it again from where it came.",
  damaged_image: "Copy it again from where it came.",
  insufficient_storage: "Delete some pictures, or tell whoever runs the service.",
};
const CUT_OFF = "The upload was cut off on its way. Please try again.";
// By themselves these would say nothing to a person.
const OWN_WORDS = {
  bad_request: CUT_OFF,
  cross_site: "The service takes uploads from its own page only. Open it by its own address.",
  internal_error: "Something went wrong inside the service. Please try again.",
  missing_file: CUT_OFF,
  not_found: "This upload is gone: it was deleted elsewhere.",
  not_multipart: CUT_OFF,
  not_retryable: "This upload cannot be tried again: it is not over yet, or it went well.",
  unauthorized: "Please sign in first.",
  unreachable: "The service cannot be reached. Is it still running?",
};
// Sending the same file again would end the same way.
const FINAL = new Set(["unsupported_type", "not_an_image", "too_large", "too_many_pixels",
  "empty_file", "truncated_image", "damaged_image"]);

export class Problem extends Error {
  constructor(status, body) {
    const code = body?.code || (status ? "error" : "unreachable");
    const words = OWN_WORDS[code]
      || [body?.detail || `The service answered ${status}, which it should not.`, ADVICE[code]]
        .filter(Boolean).join(" ");
    super(words);
    this.status = status;
    this.code = code;
  }

  get mayPass() { return this.status === 0 || this.status >= 500; }
  get retryable() { return !FINAL.has(this.code); }
}

export function told(status, body) {
  if (status === 401) document.dispatchEvent(new Event("signed-out"));
  return new Problem(status, body);
}

export async function ask(url, options) {
  const response = await fetch(url, options).catch(() => null);
  if (!response) throw told(0);
  const body = await response.json().catch(() => null);
  if (!response.ok) throw told(response.status, body);
  return body;
}

export const post = (url, body) => ask(url, {
  method: "POST",
  ...(body && { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
});

export const erase = (url) => ask(url, { method: "DELETE" });
