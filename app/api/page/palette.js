/** What tells arms apart: a colour safe for colour-blind people (Okabe and Ito, 2008), a dash and a mark of each. */

const DASHES = ["", "7 3", "2 3", "9 3 2 3", "12 4", "4 2", "1 3", "6 2 2 2 2 2"];
const MARKS = ["●", "◆", "▲", "■", "▼", "★", "✚", "✖"];

export class Palette {
  /** @param {string[]} names in the order of the service's arms */
  constructor(names) {
    this.names = [...new Set(names)];
  }

  #place(arm) {
    if (!this.names.includes(arm)) this.names.push(arm);
    return this.names.indexOf(arm) % 8;
  }

  /** The class whose --arm is the colour. */
  tone(arm) {
    return `arm-${this.#place(arm)}`;
  }

  dash(arm) {
    return DASHES[this.#place(arm)];
  }

  mark(arm) {
    return MARKS[this.#place(arm)];
  }
}
