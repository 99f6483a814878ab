/** What was saved, with its interval hour by hour, and what the budget has left. */

import { lineChart } from "../chart/lines.js";
import { asTable } from "../chart/table.js";
import { h, s } from "../dom.js";
import { count, dayTime, parse, percent, usd } from "../format.js";
import { Palette } from "../palette.js";

export function savings(width, claims) {
  const newest = claims[0]?.data;
  if (!newest) return [h("p", { class: "quiet" }, "Nothing is claimed yet: a claim is made each closed hour, from a holdout that stays on the baseline.")];
  const known = newest.low !== null && newest.high !== null;
  const hours = [...claims].reverse();
  const points = hours.map(({ data }) => ({ mean: 1000 * data.saving, low: data.low === null ? null : 1000 * data.low, high: data.high === null ? null : 1000 * data.high, n: data.requests }));
  const palette = new Palette(["saved"]);
  const times = hours.map(({ time }) => parse(time) - 3_600_000);
  return [
    h("p", { class: "big" }, h("b", {}, usd(1000 * newest.saving)), " saved of 1,000 requests",
      h("span", { class: `pill ${newest.proven ? "proven" : "open"}` }, newest.proven ? "✓ proven" : "not proven yet")),
    h("p", { class: "sentence" }, known ? `Between ${usd(1000 * newest.low)} and ${usd(1000 * newest.high)}, ` : "",
      `by ${count(newest.holdout_requests)} of ${count(newest.requests)} requests that stayed on ${newest.baseline}`,
      newest.saved_usd ? `; ${usd(newest.saved_usd)} in all since ${dayTime(parse(newest.since))}.` : ".",
      newest.proven || !newest.why_not ? "" : ` Why not: ${newest.why_not}.`),
    newest.quality && h("p", { class: "sentence" }, `Quality meanwhile: ${quality(newest.quality)}`),
    times.length > 1 && lineChart({ key: "saved", label: "Saved of 1,000 requests, as claimed hour by hour, with its interval", width, height: 170, times, bucketMs: 3_600_000,
      lines: [{ arm: "saved", points }], palette, format: usd, marks: [] }),
    times.length > 1 && asTable("saved", "Saved of 1,000 requests", ["until", "saved", "low", "high", "proven"], () =>
      hours.map(({ time, data }, index) => [dayTime(parse(time)), usd(points[index].mean), bound(points[index].low), bound(points[index].high), data.proven ? "yes" : "no"])),
  ];
}

const bound = (value) => (value === null ? "unknown" : usd(value));

function quality({ change: by, low, high, non_inferior: kept, why_not: why }) {
  if (low === null || high === null || by === null) return why || "not known yet.";
  const points = (value) => `${value < 0 ? "−" : "+"}${Math.abs(100 * value).toFixed(1)}`;
  return `${points(by)} points (${points(low)} to ${points(high)})${kept ? ", proven to be kept." : why ? `: ${why}.` : "."}`;
}

/** @param {any} answer of /services/{service}/budget */
export function budget(width, answer) {
  const { day_usd: day, month_usd: month, cap_action: action } = answer.budget ?? {};
  return [
    gauge(width, "the last 24 hours", answer.spent_24h_usd, day, "a day"),
    gauge(width, "the last 30 days", answer.spent_30d_usd, month, "a month"),
    h("p", { class: "quiet small" }, day || month ? `At the cap: ${action === "reject" ? "refused" : "all goes to the cheapest admitted arm"}.` : "No budget is set in the service document.",
      answer.own_cost_30d_usd ? ` Judges and shadow traffic cost ${usd(answer.own_cost_30d_usd)} in 30 days.` : ""),
  ];
}

function gauge(width, when, spent, limit, each) {
  const part = limit ? Math.min(1, spent / limit) : 0;
  const kind = part >= 1 ? "bad" : part > 0.8 ? "near" : "good";
  return h("div", { class: "gauge" },
    h("div", { class: "gauge-head" }, h("span", {}, h("b", {}, usd(spent)), ` spent in ${when}`), h("span", { class: "quiet" }, limit ? `${percent(spent / limit)} of ${usd(limit)} ${each}` : `no limit ${each}`)),
    limit ? s("svg", { class: `meter ${kind}`, width, height: 10, viewBox: `0 0 ${width} 10`, role: "img", "aria-label": `${percent(spent / limit)} of the budget` },
      s("rect", { class: "all", width, height: 10, rx: 5 }), s("rect", { class: "used", width: Math.max(4, width * part), height: 10, rx: 5 })) : null);
}
