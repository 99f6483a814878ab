/** Every service: where it stands, and a picture of its traffic, its cost and its savings. */

import { spark } from "../chart/spark.js";
import { h, replace, s } from "../dom.js";
import { count, parse, percent, usd } from "../format.js";
import { Palette } from "../palette.js";

/** @param {{live: import("../live.js").Live}} context */
export function services({ live }) {
  const list = live.source("/services", "", ["splits", "documents", "events", "aggregates"]);
  const body = h("ul", { class: "services" });
  const quiet = h("p", { class: "quiet", hidden: true }, "No service has been seen yet. One appears with its first event.");
  const rows = new Map();
  const view = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) if (isIntersecting) rows.get(target.dataset.service)?.look();
  });
  const update = () => {
    if (!list.value) return;
    const found = list.value.services;
    quiet.hidden = found.length > 0;
    for (const state of found) {
      if (rows.has(state.service)) continue;
      const row = new Row(live, state.service);
      rows.set(state.service, row);
      body.append(row.node);
      view.observe(row.node);
    }
    for (const state of found) rows.get(state.service).update(state, list.version);
  };
  return { node: h("div", {}, h("h1", {}, "Services"), quiet, body), title: "Services", update, decided: () => {}, close: () => view.disconnect() };
}

class Row {
  #series = null;
  #savings = null;
  #drawn = "";

  constructor(live, service) {
    this.live = live;
    this.service = service;
    this.cells = h("div", { class: "cells" });
    const link = h("a", { class: "name", href: `#/service/${encodeURIComponent(service)}` }, service);
    this.pills = h("span", { class: "pills" });
    this.node = h("li", { class: "service", "data-service": service }, h("div", { class: "service-head" }, link, this.pills), this.cells);
  }

  /** It is in sight: ask for its pictures. */
  look() {
    const at = `/services/${encodeURIComponent(this.service)}`;
    this.#series ??= this.live.source(`${at}/series?minutes=480`, this.service, ["aggregates"]);
    this.#savings ??= this.live.source(`${at}/savings`, this.service, ["savings"]);
  }

  update(state, version) {
    const key = `${version}:${this.#series?.version}:${this.#savings?.version}`;
    if (key === this.#drawn) return;
    this.#drawn = key;
    replace(this.pills, pills(state));
    const series = this.#series?.value ?? { arms: [], times: [], bucket_s: 300 };
    const palette = new Palette([...state.arms, ...series.arms.map(({ arm }) => arm)]);
    replace(this.cells, [
      cell("answers", served(state, series, palette)),
      cell("requests a minute", traffic(series)),
      cell("cost of 1,000 requests", cost(series)),
      cell("saved of 1,000", saved(this.#savings?.value)),
    ]);
  }
}

const cell = (name, content) => h("div", { class: "cell" }, h("div", { class: "label" }, name), content);

/** State in words: mode, trial, frozen. */
export function pills(state) {
  return [
    h("span", { class: `pill ${state.mode}` }, state.mode),
    state.trial && h("span", { class: "pill trial" }, `${state.trial.arm} on trial`),
    state.frozen && h("span", { class: "pill frozen" }, "‖ frozen"),
  ].filter(Boolean);
}

function served(state, series, palette) {
  const newest = series.arms
    .map(({ arm, count: counts }) => ({ arm, n: counts.slice(-3).reduce((sum, n) => sum + n, 0) }))
    .filter(({ n }) => n > 0).sort((a, b) => b.n - a.n);
  const total = newest.reduce((sum, { n }) => sum + n, 0);
  if (!total) return h("div", { class: "figure" }, state.incumbent || "–");
  let x = 0;
  const bar = s("svg", { class: "split", width: 150, height: 8, viewBox: "0 0 150 8", preserveAspectRatio: "none", "aria-hidden": "true" }, newest.map(({ arm, n }) => {
    const width = (150 * n) / total;
    const part = s("rect", { class: palette.tone(arm), x, y: 0, width: Math.max(0, width - 1), height: 8 });
    x += width;
    return part;
  }));
  return h("div", {}, h("div", { class: "figure" }, newest.slice(0, 2).map(({ arm, n }) => `${arm} ${percent(n / total)}`).join(" · ")), bar);
}

const sums = (series, of) => series.times.map((_, index) => {
  const known = series.arms.map((arm) => of(arm, index)).filter((value) => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) : null;
});

/** Without the newest bucket while it is not whole. */
const whole = (series, values) => (series.end && parse(series.end) < parse(series.times.at(-1)) + 1000 * series.bucket_s ? values.slice(0, -1) : values);

function traffic(series) {
  const rates = whole(series, sums(series, (arm, index) => (arm.count[index] * 60) / series.bucket_s));
  return h("div", { class: "with-spark" }, h("span", { class: "figure" }, rates.length ? count(rates.at(-1) ?? 0) : "–"), spark(rates));
}

function cost(series) {
  const spent = sums(series, (arm, index) => (arm.cost_usd_per_1000[index] ? arm.cost_usd_per_1000[index].mean * arm.cost_usd_per_1000[index].n : null));
  const costed = sums(series, (arm, index) => arm.cost_usd_per_1000[index]?.n ?? null);
  const each = whole(series, spent.map((value, index) => (value === null ? null : value / costed[index])));
  const newest = each.filter((value) => value !== null).at(-1);
  return h("div", { class: "with-spark" }, h("span", { class: "figure" }, newest === undefined ? "–" : usd(newest)), spark(each));
}

function saved(savings) {
  const claim = savings?.claims[0]?.data;
  if (!claim) return h("div", {}, h("div", { class: "figure" }, "–"), h("div", { class: "quiet small" }, "no claim yet"));
  const said = claim.proven ? `proven: ${usd(1000 * claim.low)} to ${usd(1000 * claim.high)}` : "not proven yet";
  return h("div", {}, h("div", { class: "figure" }, usd(1000 * claim.saving)), h("div", { class: `small ${claim.proven ? "proven" : "quiet"}` }, said));
}
