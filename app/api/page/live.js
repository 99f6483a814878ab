/** Answers that are kept and asked for again: when the stream says that their tables changed, else every few seconds. */

import { follow } from "./stream.js";

const AGAIN_MS = 1_000;
const POLL_MS = 5_000;

/** One question and its newest answer. `version` grows with each new answer. */
export class Source {
  value = null;
  error = null;
  version = 0;
  #etag = "";
  #asked = 0;
  #timer = 0;
  #wanted = false;
  #asking = false;

  /** @param {Live} live @param {string} path @param {string} service "" : of all @param {string[]} tables */
  constructor(live, path, service, tables) {
    Object.assign(this, { live, path, service, tables });
  }

  about(service, what) {
    return (!this.service || service === "*" || service === this.service) && what.some((w) => this.tables.includes(w));
  }

  /** Ask soon: at once, or a second after the last time. */
  refresh() {
    this.#wanted = true;
    if (this.#timer || this.#asking) return;
    const wait = Math.max(0, this.#asked + AGAIN_MS - Date.now());
    this.#timer = setTimeout(() => this.#ask(), wait);
  }

  close() {
    clearTimeout(this.#timer);
  }

  async #ask() {
    this.#timer = 0;
    this.#wanted = false;
    this.#asking = true;
    this.#asked = Date.now();
    try {
      const found = await this.live.api.get(this.path, this.#etag);
      if (found) {
        [this.value, this.#etag] = [found.value, found.etag];
        this.version += 1;
      }
      if (this.error) this.version += 1;
      this.error = null;
    } catch (error) {
      if (error.message !== this.error?.message) this.version += 1;
      this.error = error;
    }
    this.#asking = false;
    this.live.changed(this);
    if (this.#wanted) this.refresh();
  }
}

export class Live {
  state = "connecting";
  sources = new Set();
  #stop = () => {};
  #poll = 0;

  /**
   * @param {import("./api.js").Api} api
   * @param {{changed: (source: Source | null) => void, decided: (decision: any) => void, refused: () => void}} to
   */
  constructor(api, to) {
    this.api = api;
    this.to = to;
  }

  start() {
    this.#stop = follow(this.api, (message) => this.#take(message), (state) => this.#say(state));
    this.#poll = setInterval(() => {
      if (this.state !== "live") this.refreshAll();
    }, POLL_MS);
  }

  stop() {
    this.#stop();
    clearInterval(this.#poll);
    for (const source of this.sources) source.close();
    this.sources.clear();
  }

  /** A source, asked now and from now on. @returns {Source} */
  source(path, service, tables) {
    const made = new Source(this, path, service, tables);
    this.sources.add(made);
    made.refresh();
    return made;
  }

  drop(source) {
    source.close();
    this.sources.delete(source);
  }

  refreshAll() {
    for (const source of this.sources) source.refresh();
  }

  changed(source) {
    this.to.changed(source);
  }

  #say(state) {
    if (state === "refused") this.to.refused();
    this.state = state;
    this.to.changed(null);
  }

  #take({ name, data }) {
    if (name === "decision") this.to.decided(data);
    if (name === "hello" || name === "reset") this.refreshAll();
    if (name === "changed") {
      for (const source of this.sources) if (source.about(data.service, data.what)) source.refresh();
    }
  }
}
