/** The staircase of a trial: how much traffic it got when, and how far it came. */

import { h, s } from "../dom.js";
import { linear } from "./scale.js";

const HEIGHT = 150;
const FOOT = 38;

/**
 * @typedef {{percent: number, state: "done" | "now" | "ahead" | "failed", under: string}} Step
 * @param {{key: string, label: string, width: number, steps: Step[], tone: string}} given
 */
export function stepChart({ key, label, width, steps, tone }) {
  const y = linear([0, 100], [HEIGHT - FOOT, 22]);
  const each = width / steps.length;
  const svg = s("svg", { class: `plot steps ${tone}`, width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label, "data-key": key },
    s("line", { class: "ground", x1: 0, x2: width, y1: y(0), y2: y(0) }),
    steps.map(({ percent, state, under }, index) => {
      const [x, top] = [index * each, y(percent)];
      const sign = { failed: "✕ ", now: "▸ ", done: "", ahead: "" }[state];
      return s("g", { class: `step ${state}` },
        s("rect", { x: x + 3, y: top, width: Math.max(2, each - 6), height: Math.max(2, y(0) - top), rx: 3 }),
        s("text", { x: x + each / 2, y: top - 6, "text-anchor": "middle", class: "share" }, `${sign}${percent} %`),
        s("text", { x: x + each / 2, y: y(0) + 17, "text-anchor": "middle", class: "when" }, under));
    }));
  return h("div", { class: "chart" }, svg);
}
