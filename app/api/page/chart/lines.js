/** Means over time, a line for each arm, with its 95 % interval as a band. */

import { h, s } from "../dom.js";
import { dayTime } from "../format.js";
import { cursor } from "./cursor.js";
import { frame } from "./frame.js";
import { extent } from "./scale.js";

/**
 * @typedef {{mean: number, low: number | null, high: number | null, n: number}} Point
 * @typedef {{arm: string, points: (Point | null)[]}} Line
 * @param {{key: string, label: string, width: number, height: number, times: number[], bucketMs: number, lines: Line[],
 *   palette: import("../palette.js").Palette, format: (v: number) => string, exact?: (v: number) => string,
 *   marks?: import("./frame.js").Mark[], range?: object}} given
 */
export function lineChart({ key, label, width, height, times, bucketMs, lines, palette, format, exact = format, marks, range = {} }) {
  const means = lines.flatMap(({ points }) => points.filter(Boolean).map((point) => point.mean));
  const middle = [...means].sort((a, b) => a - b).at(Math.floor(means.length * 0.98)) ?? 0;
  const values = extent([...means, ...bounds(lines, middle)], range);
  const span = [times[0], times.at(-1) + bucketMs];
  const drawn = frame({ width, height, times: span, values, format, label, key, marks });
  const xs = times.map((at) => drawn.x(at + bucketMs / 2));
  for (const { arm, points } of lines) {
    const group = s("g", { class: `line ${palette.tone(arm)}`, "data-arm": arm });
    for (const run of runs(points)) group.append(band(run, xs, drawn.y), line(run, xs, drawn.y, palette.dash(arm)));
    drawn.plot.append(group);
  }
  const box = h("div", { class: "chart" }, drawn.svg);
  const tell = (index) => [h("b", {}, dayTime(times[index])), ...lines.map(({ arm, points }) => told(arm, points[index], palette, exact))];
  cursor(drawn.svg, box, { key, xs, top: drawn.top, bottom: drawn.bottom, tell });
  return box;
}

/** Bounds that may widen the axis: not those of a few requests that say next to nothing. */
function bounds(lines, middle) {
  const known = lines.flatMap(({ points }) => points.filter((point) => point && point.low !== null));
  return known.flatMap(({ low, high }) => [low, high]).filter((v) => Math.abs(v - middle) <= 0.35 * Math.abs(middle));
}

/** Stretches without a gap, as [index, point] pairs. */
function runs(points) {
  const found = [];
  points.forEach((point, index) => {
    if (!point) return;
    const last = found.at(-1);
    last && last.at(-1)[0] === index - 1 ? last.push([index, point]) : found.push([[index, point]]);
  });
  return found;
}

function band(run, xs, y) {
  const known = run.filter(([, point]) => point.low !== null);
  const upper = known.map(([index, { high }]) => `${xs[index]},${y(high)}`);
  const lower = known.map(([index, { low }]) => `${xs[index]},${y(low)}`).reverse();
  return s("polygon", { class: "band", points: [...upper, ...lower].join(" ") });
}

function line(run, xs, y, dash) {
  if (run.length === 1) return s("circle", { cx: xs[run[0][0]], cy: y(run[0][1].mean), r: 2.2 });
  return s("polyline", { points: run.map(([index, { mean }]) => `${xs[index]},${y(mean)}`).join(" "), "stroke-dasharray": dash });
}

function told(arm, point, palette, exact) {
  const name = h("span", { class: `key ${palette.tone(arm)}` }, `${palette.mark(arm)} `);
  if (!point) return h("div", {}, name, `${arm}: no requests`);
  const around = point.low === null ? "" : ` (${exact(point.low)} to ${exact(point.high)})`;
  return h("div", {}, name, `${arm}: ${exact(point.mean)}${around}`);
}
