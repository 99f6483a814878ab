/** A line as small as a word, beside the number it leads to. */

import { s } from "../dom.js";
import { linear } from "./scale.js";

/** @param {(number | null)[]} values @param {{width?: number, height?: number, tone?: string}} [how] */
export function spark(values, { width = 110, height = 28, tone = "" } = {}) {
  const known = values.filter((value) => value !== null);
  const x = linear([0, Math.max(1, values.length - 1)], [2, width - 3]);
  const y = linear([0, Math.max(...known, 1e-12)], [height - 2, 3]);
  const points = values.flatMap((value, index) => (value === null ? [] : [`${x(index)},${y(value)}`]));
  const svg = s("svg", { class: `spark ${tone}`, width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  if (points.length < 2) return svg;
  const [first, last] = [points[0].split(",")[0], points.at(-1).split(",")];
  svg.append(
    s("polygon", { points: `${first},${height} ${points.join(" ")} ${last[0]},${height}` }),
    s("polyline", { points: points.join(" ") }),
    s("circle", { cx: last[0], cy: last[1], r: 2.4 }),
  );
  return svg;
}
