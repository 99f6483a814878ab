/** What lasted from when to when: a lane for each kind, a bar for each time it was seen. */

import { h, s } from "../dom.js";
import { dayTime, date, duration, time } from "../format.js";
import { linear, timeTicks } from "./scale.js";

const LANE = 40;

/**
 * @typedef {{id: string, lane: string, from: number, to: number, severity: string, open: boolean, text: string}} Bar
 * @param {{key: string, label: string, width: number, times: [number, number], bars: Bar[]}} given
 */
export function timeline({ key, label, width, times, bars }) {
  const lanes = [...new Set(bars.map(({ lane }) => lane))];
  const bottom = LANE * lanes.length + 6;
  const x = linear(times, [6, width - 8]);
  const days = times[1] - times[0] > 36 * 3_600_000;
  const tip = h("div", { class: "tip below", role: "tooltip", hidden: true });
  const svg = s("svg", { class: "plot", width, height: bottom + 24, viewBox: `0 0 ${width} ${bottom + 24}`, role: "group", "aria-label": label },
    lanes.map((lane, index) => s("g", { class: "tick" },
      s("line", { x1: 6, x2: width - 8, y1: LANE * index + 30, y2: LANE * index + 30 }),
      s("text", { x: 6, y: LANE * index + 14, class: "name" }, lane))),
    timeTicks(times, width / 90).filter((at) => x(at) > 18 && x(at) < width - 18).map((at) => s("text", { class: "when", x: x(at), y: bottom + 16, "text-anchor": "middle" }, days ? date(at) : time(at))),
    bars.map((bar) => drawn(bar, lanes.indexOf(bar.lane), x, times, tip, key)));
  return h("div", { class: "chart" }, svg, tip);
}

function drawn(bar, lane, x, times, tip, key) {
  const [from, to] = [x(Math.max(times[0], bar.from)), x(Math.min(times[1], bar.to))];
  const said = `${bar.severity}, ${dayTime(bar.from)}, ${bar.open ? "open" : `for ${duration(bar.to - bar.from)}`}: ${bar.text}`;
  const show = () => {
    tip.replaceChildren(h("b", {}, `${bar.lane}, ${bar.severity}`), h("div", {}, said));
    tip.hidden = false;
  };
  const hide = () => (tip.hidden = true);
  return s("g", { class: `bar ${tone(bar.severity)} ${bar.open ? "open" : ""}`, tabindex: 0, role: "img", "aria-label": said, "data-key": `${key}-${bar.id}`,
    focus: show, blur: hide, pointerenter: show, pointerleave: hide, keydown: (event) => event.key === "Escape" && hide() },
  s("rect", { x: from - 3, y: LANE * lane + 22, width: Math.max(6, to - from + 6), height: 16, rx: 4 }));
}

const tone = (severity) => (["critical", "high"].includes(severity) ? "high" : severity === "medium" ? "medium" : "low");
