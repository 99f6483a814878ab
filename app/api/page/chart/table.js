/** The numbers of a chart as a table, for screen readers and for those who read. */

import { h, unfold } from "../dom.js";

/** @param {string} key @param {string} caption @param {string[]} head @param {() => (string | Node)[][]} rows */
export function asTable(key, caption, head, rows) {
  return unfold(`table-${key}`, "as a table", () => h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    table(caption, head, rows())));
}

/** The first cell of a row is its name. */
export function table(caption, head, rows) {
  return h("table", {},
    h("caption", { class: "quiet" }, caption),
    h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, rows.map(([name, ...cells]) => h("tr", {}, h("th", { scope: "row" }, name), cells.map((cell) => h("td", {}, cell))))));
}
