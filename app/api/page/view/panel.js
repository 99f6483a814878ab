/** A part of the page with a title, drawn anew when one of its answers is, at its own width. */

import { h, replace } from "../dom.js";

export class Panel {
  #drawn = "";

  /**
   * @param {string} id @param {string} title @param {import("../live.js").Source[]} needs
   * @param {(width: number) => (Node | null | false)[]} draw called when the first of `needs` has its answer
   * @param {string} [tall] a class that keeps its height
   */
  constructor(id, title, needs, draw, tall = "") {
    Object.assign(this, { needs, draw });
    this.body = h("div", { class: "body" }, h("p", { class: "quiet" }, "…"));
    this.node = h("section", { class: `panel ${tall}`, id, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), this.body);
  }

  update() {
    const width = Math.floor(this.body.clientWidth);
    const key = `${width}:${this.needs.map((source) => source.version)}`;
    if (!width || key === this.#drawn) return;
    const [first] = this.needs;
    if (this.needs.some(({ value, error }) => !value && !error)) return;
    if (first.value) replace(this.body, this.draw(width));
    else replace(this.body, [h("p", { class: "quiet" }, first.error.status === 404 ? "Nothing yet." : first.error.message)]);
    this.#drawn = key;
  }
}
