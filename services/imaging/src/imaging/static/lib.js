// What the other modules share: finding, asking, saying, waiting for a turn.

export const $ = (id) => document.getElementById(id);

export function pool(size) {
  const waiting = [];
  let running = 0;
  const next = () => {
    while (running < size && waiting.length) {
      running += 1;
      waiting.shift()(() => { running -= 1; next(); });
    }
  };
  return (start) => { waiting.push(start); next(); };
}

export function bytes(n) {
  if (n < 1000) return `${n} B`;
  return n < 1e6 ? `${Math.round(n / 1000)} kB` : `${Number((n / 1e6).toFixed(1))} MB`;
}

export function say(text) { $("announce").textContent = text; }

export async function getJson(url, options) {
  const response = await fetch(url, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.detail || "The service did not answer as expected.");
  return body;
}
