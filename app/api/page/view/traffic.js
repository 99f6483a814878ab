/** Traffic of one service over time: who answers, and what that costs, scores and takes. */

import { lineChart } from "../chart/lines.js";
import { stackChart } from "../chart/stack.js";
import { asTable, table } from "../chart/table.js";
import { h, s } from "../dom.js";
import { count, dayTime, ms, parse, percent, score, usd } from "../format.js";
import { marks } from "./decide.js";

const FEWEST = 12;

/** A series without the time before the service's first request, but of some length. */
export function lived(series) {
  const first = series.times.findIndex((_, index) => series.arms.some((arm) => arm.count[index] > 0));
  const from = Math.max(0, Math.min(first < 0 ? 0 : first, series.times.length - FEWEST));
  const cut = (arm) => Object.fromEntries(Object.entries(arm).map(([name, value]) => [name, Array.isArray(value) ? value.slice(from) : value]));
  return { ...series, times: series.times.slice(from), arms: series.arms.map(cut) };
}

/** Who answers. */
export function shares(width, series, events, palette) {
  if (!series.arms.length) return nothing();
  const times = series.times.map(parse);
  const layers = palette.names.map((arm) => series.arms.find((one) => one.arm === arm)).filter(Boolean).map(({ arm, share }) => ({ arm, shares: share }));
  const chart = { key: "shares", label: "Share of the requests each arm answered, over time", width, height: 230, times, bucketMs: 1000 * series.bucket_s, layers, palette, marks: marks(events) };
  return [
    stackChart(chart),
    h("p", { class: "quiet small keys" }, ["○ trial opened", "▲ next step", "★ promoted", "✕ rolled back", "‖ frozen", "• configured"].map((text) => h("span", {}, text))),
    asTable("shares", "Share of requests", ["from", ...layers.map(({ arm }) => arm)], () =>
      times.map((at, index) => [dayTime(at), ...layers.map(({ shares: known }) => (known[index] === null ? "–" : percent(known[index], 1)))])),
  ];
}

export const METRICS = [
  { key: "cost", title: "Cost of 1,000 requests", field: "cost_usd_per_1000", format: usd, range: {} },
  { key: "quality", title: "Quality (0 to 1)", field: "quality", format: (v) => v.toFixed(2), exact: score, range: { free: true, least: 0, most: 1 } },
  { key: "latency", title: "Mean latency", field: "latency_ms", format: (v) => (v >= 1000 ? `${v / 1000} s` : `${v} ms`), exact: ms, range: {} },
];

/** One metric over time, a line and a band for each arm. */
export function metric(width, series, events, palette, { key, title, field, format, exact = format, range }) {
  const lines = palette.names.map((arm) => series.arms.find((one) => one.arm === arm)).filter(Boolean)
    .map((one) => ({ arm: one.arm, points: one[field] })).filter(({ points }) => points.some(Boolean));
  if (!lines.length) return nothing();
  const times = series.times.map(parse);
  const chart = { key, label: `${title} by arm, over time, with 95 % intervals`, width, height: 190, times, bucketMs: 1000 * series.bucket_s, lines, palette, format, exact, range, marks: marks(events) };
  return [
    legend(lines, palette, exact),
    lineChart(chart),
    asTable(key, `${title}: mean (95 % interval)`, ["from", ...lines.map(({ arm }) => arm)], () =>
      times.map((at, index) => [dayTime(at), ...lines.map(({ points }) => around(points[index], exact))])),
  ];
}

function legend(lines, palette, exact) {
  return h("ul", { class: "legend" }, lines.map(({ arm, points }) => {
    const newest = points.filter(Boolean).at(-1);
    const swatch = s("svg", { class: `line ${palette.tone(arm)}`, width: 26, height: 10, viewBox: "0 0 26 10", "aria-hidden": "true" },
      s("polyline", { points: "1,5 25,5", "stroke-dasharray": palette.dash(arm) }));
    return h("li", {}, swatch, h("span", {}, `${palette.mark(arm)} ${arm}`), h("b", {}, exact(newest.mean)));
  }));
}

function around(point, exact) {
  if (!point) return "–";
  return point.low === null ? exact(point.mean) : `${exact(point.mean)} (${exact(point.low)} to ${exact(point.high)})`;
}

/** The last hour by arm, in numbers. */
export function hour(windows, palette, channel) {
  const arms = windows.filter(({ arm, slice, segment, count: n }) => arm !== "*" && slice === "*" && segment && n > 0);
  const total = arms.reduce((sum, one) => sum + one.count, 0);
  if (!total) return nothing();
  const rows = arms.sort((a, b) => b.count - a.count).map((one) => [
    h("span", {}, h("span", { class: `key ${palette.tone(one.arm)}` }, `${palette.mark(one.arm)} `), one.segment === "*" ? one.arm : `${one.arm}, ${one.segment}`),
    percent(one.count / total, 1), count(one.count), one.costed ? usd((1000 * one.cost_usd) / one.costed) : "–",
    one.latency_ms_p50 === null ? "–" : ms(one.latency_ms_p50), one.latency_ms_p95 === null ? "–" : ms(one.latency_ms_p95),
    one.quality[channel] ? score(one.quality[channel].mean) : "–", percent(one.errors / one.count, 1),
  ]);
  return [h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "The last hour by arm" },
    table("The newest 60 closed minutes", ["arm", "share", "requests", "cost of 1,000", "p50", "p95", "quality", "errors"], rows))];
}

const nothing = () => [h("p", { class: "quiet" }, "No closed minute with traffic in this time.")];
