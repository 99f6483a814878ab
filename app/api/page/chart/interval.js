/**
 * Intervals against their tolerance. Every metric has its own row and its own scale: the change in units of what is
 * tolerated, worse to the right, so that one line is the limit of all of them.
 */

import { h, s } from "../dom.js";
import { bare, change } from "../format.js";
import { linear } from "./scale.js";

const ROW = 46;
const TOP = 24;
const SHOWN = [-2.2, 1.8];

/**
 * @typedef {{metric: string, estimate: number, low: number | null, high: number | null, tolerance: number}} Interval
 * @param {{key: string, label: string, width: number, intervals: Interval[]}} given
 */
export function intervalChart({ key, label, width, intervals }) {
  const height = TOP + ROW * intervals.length + 6;
  const x = linear(SHOWN, [8, width - 8]);
  const svg = s("svg", { class: "plot intervals", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, "data-key": key },
    s("rect", { class: "harm", x: x(1), y: TOP - 4, width: width - 8 - x(1), height: height - TOP }),
    s("line", { class: "zero", x1: x(0), x2: x(0), y1: TOP - 4, y2: height - 4 }),
    s("line", { class: "limit", x1: x(1), x2: x(1), y1: TOP - 4, y2: height - 4 }),
    s("text", { class: "when", x: x(0), y: 14, "text-anchor": "middle" }, "no change"),
    s("text", { class: "when", x: x(1), y: 14, "text-anchor": "middle" }, "limit"),
    s("text", { class: "when", x: 8, y: 14 }, "← better"),
    intervals.map((interval, index) => row(interval, TOP + ROW * index, x)));
  return h("div", { class: "chart" }, svg);
}

function row(interval, top, x) {
  const { metric, estimate, low, high, tolerance } = interval;
  const worse = (value) => ((metric === "quality" ? -value : value) / (tolerance || 1));
  const place = (value) => x(Math.max(SHOWN[0], Math.min(SHOWN[1], value)));
  const known = low !== null && high !== null;
  const [near, far] = known ? [worse(low), worse(high)].sort((a, b) => a - b) : [SHOWN[0], SHOWN[1]];
  const kind = !known ? "unknown" : near > 0 ? "bad" : far <= 1 ? "good" : "open";
  const y = top + 33;
  const at = worse(estimate);
  return s("g", { class: `interval ${kind}`, "data-metric": metric }, s("title", {}, sentence(interval)),
    s("text", { x: 8, y: top + 17, class: "name" }, metric),
    s("text", { x: 8 + 9 * metric.length, y: top + 17, class: "said" }, sentence(interval)),
    far >= SHOWN[0] && s("line", { class: "reach", x1: place(near), x2: place(far), y1: y, y2: y }),
    at < SHOWN[0] ? s("text", { class: "off", x: x(SHOWN[0]), y, dy: "0.35em" }, "◀") : s("circle", { cx: place(at), cy: y, r: 5 }));
}

/** The interval in words. @param {Interval} interval */
export function sentence({ metric, estimate, low, high, tolerance }) {
  const known = low !== null && high !== null;
  const limit = `limit ${bare(metric, metric === "quality" ? -tolerance : tolerance)}`;
  return `${change(metric, estimate)}${known ? ` (${bare(metric, low)} to ${bare(metric, high)})` : ", not known well yet"}, ${limit}`;
}
