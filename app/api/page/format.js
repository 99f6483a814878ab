/** Numbers and times as people read them. Shares and scores are in [0, 1], times in ms since 1970. */

const plain = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export const count = (n) => plain.format(n);
export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
export const score = (q) => q.toFixed(3);
export const parse = (text) => Date.parse(text);
export const time = (ms) => clock.format(ms);
export const dayTime = (ms) => `${day.format(ms)} ${clock.format(ms)}`;
export const date = (ms) => day.format(ms);

/** USD with as many digits as tell something. */
export function usd(value) {
  const size = Math.abs(value);
  const digits = size >= 1000 ? 0 : size >= 0.1 || size === 0 ? 2 : Math.min(6, 1 - Math.floor(Math.log10(size)));
  return `${value < 0 ? "−" : ""}$${size.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

export const ms = (value) => (value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : `${count(value)} ms`);

/** With its sign, a true minus. */
export const signed = (value, digits) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;

/** A change of a metric as decisions tell it, without its unit. */
export const bare = (metric, value) => (metric === "reward" ? signed(value, 3) : signed(100 * value, 1));

/** With it: points of 100 for quality and errors, per cent else. */
export function change(metric, value) {
  if (value === null || value === undefined) return "unknown";
  return bare(metric, value) + ({ quality: " points", errors: " points", reward: "" }[metric] ?? " %");
}

export function duration(ms) {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.round(minutes / 1440)} d`;
}
