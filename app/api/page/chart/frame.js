/** The axes every chart over time shares: a grid with units, a time axis, and the marks of decisions. */

import { s } from "../dom.js";
import { date, time } from "../format.js";
import { linear, ticks, timeTicks } from "./scale.js";

const LEFT = 52;
const RIGHT = 10;
const TOP = 24;
const BOTTOM = 24;
const NARROW = 500;

/**
 * @typedef {{at: number, sign: string, kind: "step" | "good" | "bad" | "note", text: string}} Mark
 * @typedef {{width: number, height: number, times: [number, number], values: [number, number],
 *   format: (value: number) => string, label: string, key: string, marks?: Mark[]}} Frame
 * @param {Frame} given
 */
export function frame({ width, height, times, values, format, label, key, marks = [] }) {
  const [left, right, top, bottom] = [LEFT, width - RIGHT, TOP, height - BOTTOM];
  const x = linear(times, [left, right]);
  const y = linear(values, [bottom, top]);
  const clip = `clip-${key}`;
  const plot = s("g", { "clip-path": `url(#${clip})` });
  const svg = s(
    "svg",
    { class: "plot", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, tabindex: 0, "data-key": key },
    s("defs", {}, s("clipPath", { id: clip }, s("rect", { x: left, y: top, width: right - left, height: bottom - top }))),
    ticks(values, 5).map((value) => s("g", { class: "tick" },
      s("line", { x1: left, x2: right, y1: y(value), y2: y(value) }),
      s("text", { x: left - 8, y: y(value), dy: "0.32em", "text-anchor": "end" }, format(value)))),
    timeAxis(times, x, bottom, width),
    plot,
    marks.filter(({ at }) => at >= times[0] && at <= times[1]).map((mark) => marked(mark, x(mark.at), top, bottom, width < NARROW)),
  );
  return { svg, plot, x, y, left, right, top, bottom };
}

function timeAxis(times, x, bottom, width) {
  const days = times[1] - times[0] > 36 * 3_600_000;
  return timeTicks(times, width / 90).filter((at) => x(at) < width - 18).map((at) =>
    s("text", { class: "when", x: x(at), y: bottom + 17, "text-anchor": "middle" }, days ? date(at) : time(at)));
}

/** In a narrow chart only the ends of trials have a sign: there is no room for the others. */
function marked({ sign, kind, text }, x, top, bottom, narrow) {
  return s("g", { class: `mark ${kind}` }, s("title", {}, text),
    s("line", { x1: x, x2: x, y1: top - 4, y2: bottom }),
    (!narrow || kind === "good" || kind === "bad") && s("text", { x, y: top - 9, "text-anchor": "middle" }, sign));
}
