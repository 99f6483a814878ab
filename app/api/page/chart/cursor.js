/** A tooltip that follows the pointer, a finger or the arrow keys; it survives that the chart is drawn anew. */

import { h, s } from "../dom.js";

const held = new Map();

/**
 * @param {SVGElement} svg @param {HTMLElement} box around it
 * @param {{key: string, xs: number[], top: number, bottom: number, tell: (index: number) => (Node | string)[]}} given
 *   `xs`: where each point is, from left to right
 */
export function cursor(svg, box, { key, xs, top, bottom, tell }) {
  const line = s("line", { class: "cursor", y1: top, y2: bottom, visibility: "hidden" });
  const tip = h("div", { class: "tip", role: "tooltip", hidden: true });
  svg.append(line);
  box.append(tip);

  const show = (index) => {
    held.set(key, index);
    const x = xs[index];
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    line.setAttribute("visibility", "visible");
    tip.replaceChildren(...tell(index));
    tip.hidden = false;
    const width = svg.viewBox.baseVal.width;
    tip.classList.toggle("flip", x > width / 2);
    tip.style.left = x > width / 2 ? "auto" : `${x + 12}px`;
    tip.style.right = x > width / 2 ? `${width - x + 12}px` : "auto";
  };
  const hide = () => {
    held.delete(key);
    line.setAttribute("visibility", "hidden");
    tip.hidden = true;
  };
  const nearest = (event) => {
    const x = event.clientX - svg.getBoundingClientRect().left;
    return xs.reduce((best, at, index) => (Math.abs(at - x) < Math.abs(xs[best] - x) ? index : best), 0);
  };
  const move = (event) => {
    const last = xs.length - 1;
    const at = held.get(key) ?? last;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") hide();
    if (to === undefined) return;
    event.preventDefault();
    show(Math.max(0, Math.min(last, to)));
  };
  if (!xs.length) return;
  svg.addEventListener("pointermove", (event) => show(nearest(event)));
  svg.addEventListener("pointerleave", () => document.activeElement === svg || hide());
  svg.addEventListener("focus", () => svg.matches(":focus-visible") && show(held.get(key) ?? xs.length - 1));
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", move);
  if (held.has(key)) show(Math.min(held.get(key), xs.length - 1));
}
