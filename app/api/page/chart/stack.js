/** Shares over time, stacked to 1: who answers. */

import { h, s } from "../dom.js";
import { dayTime, percent } from "../format.js";
import { cursor } from "./cursor.js";
import { frame } from "./frame.js";

/**
 * @param {{key: string, label: string, width: number, height: number, times: number[], bucketMs: number,
 *   layers: {arm: string, shares: (number | null)[]}[], palette: import("../palette.js").Palette,
 *   marks: import("./frame.js").Mark[]}} given
 */
export function stackChart({ key, label, width, height, times, bucketMs, layers, palette, marks }) {
  const span = [times[0], times.at(-1) + bucketMs];
  const drawn = frame({ width, height, times: span, values: [0, 1], format: percent, label, key, marks });
  const under = times.map(() => 0);
  for (const { arm, shares } of layers) {
    const over = under.map((low, index) => low + (shares[index] ?? 0));
    drawn.plot.append(layer(arm, under, over, times, bucketMs, drawn, palette));
    over.forEach((high, index) => (under[index] = high));
  }
  const xs = times.map((at) => drawn.x(at + bucketMs / 2));
  const box = h("div", { class: "chart" }, drawn.svg);
  const tell = (index) => [h("b", {}, dayTime(times[index])), ...layers.map(({ arm, shares }) => h("div", {},
    h("span", { class: `key ${palette.tone(arm)}` }, `${palette.mark(arm)} `),
    `${arm}: ${shares[index] === null ? "no requests" : percent(shares[index], 1)}`))];
  cursor(drawn.svg, box, { key, xs, top: drawn.top, bottom: drawn.bottom, tell });
  return box;
}

function layer(arm, under, over, times, bucketMs, { x, y, left, right }, palette) {
  const [upper, lower] = [[], []];
  times.forEach((at, index) => {
    const [start, end] = [x(at), x(at + bucketMs)];
    upper.push(`${start},${y(over[index])}`, `${end},${y(over[index])}`);
    lower.push(`${start},${y(under[index])}`, `${end},${y(under[index])}`);
  });
  const group = s("g", { class: `layer ${palette.tone(arm)}`, "data-arm": arm },
    s("polygon", { points: [...upper, ...lower.reverse()].join(" ") }));
  const at = roomiest(under, over);
  if (at && (over[at] - under[at]) * (y(0) - y(1)) > 26) {
    const middle = Math.min(right - 40, Math.max(left + 40, x(times[at] + bucketMs / 2)));
    group.append(s("text", { x: middle, y: y((over[at] + under[at]) / 2), dy: "0.32em", "text-anchor": "middle" }, `${palette.mark(arm)} ${arm}`));
  }
  return group;
}

/** The middle of the longest stretch in which the layer is at least nine tenths of its thickest. */
function roomiest(under, over) {
  const sizes = over.map((high, index) => high - under[index]);
  const wanted = 0.9 * Math.max(...sizes);
  let [best, length, start] = [0, 0, 0];
  sizes.forEach((size, index) => {
    if (size < wanted || size <= 0) start = index + 1;
    else if (index - start + 1 > length) [best, length] = [Math.floor((start + index) / 2), index - start + 1];
  });
  return best;
}
