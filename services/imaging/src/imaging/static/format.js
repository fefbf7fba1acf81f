// Numbers and times as people read them.

export function bytes(n) {
  if (n < 1000) return `${n} B`;
  return n < 1e6 ? `${Math.round(n / 1000)} kB` : `${Number((n / 1e6).toFixed(1))} MB`;
}

export const pixels = ({ width, height }) => `${width} × ${height}`;

export function saved(before, after) {
  const percent = Math.round((100 * (before - after)) / before);
  return percent > 0 ? `−${percent}\u00a0%` : "";
}

export function counted(n, thing) { return `${n} ${thing}${n === 1 ? "" : "s"}`; }

const FORMATS = { webp: "WebP" };
export const format = (name) => FORMATS[name] || name.toUpperCase();

// "resized_compressed" is a word for programs.
export function titled(name) {
  const words = name.replace(/[_-]+/g, " ").replace(/\b(avif|webp|jpeg|png)\b/g, format);
  return words[0].toUpperCase() + words.slice(1);
}

// A camera's clock has no zone: its time is shown as it stands.  The service's own are
// milliseconds since 1970 or ISO.
export function moment(time) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? null
    : date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
