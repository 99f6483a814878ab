/** One service: every claim with its picture, drawn anew as the answers come. */

import { h, replace } from "../dom.js";
import { dayTime, parse } from "../format.js";
import { Palette } from "../palette.js";
import { buttons } from "./actions.js";
import { proposal } from "./decide.js";
import { findings } from "./findings.js";
import { log } from "./log.js";
import { Panel } from "./panel.js";
import { budget, savings } from "./savings.js";
import { pills } from "./services.js";
import { hour, lived, METRICS, metric, shares } from "./traffic.js";
import { trial } from "./trial.js";

const RANGES = [["1 h", 60], ["8 h", 480], ["24 h", 1440], ["7 d", 10_080], ["30 d", 43_200]];
const MOST = 400;
let minutes = 480;

/** @param {{live: import("../live.js").Live, api: any, me: any, tell: (text: string) => void}} context */
export function service(context, name) {
  const { live } = context;
  const at = `/services/${encodeURIComponent(name)}`;
  const ask = (path, ...tables) => live.source(path, name, tables);
  const state = ask(at, "splits", "documents", "events", "aggregates");
  const events = ask(`/decisions?service=${encodeURIComponent(name)}&limit=150`); // grows by the stream
  const trials = ask(`/trials?service=${encodeURIComponent(name)}&limit=5`, "events");
  const found = ask(`/findings?service=${encodeURIComponent(name)}&limit=200`, "findings");
  const saved = ask(`${at}/savings`, "savings");
  const spent = ask(`${at}/budget`, "aggregates", "documents");
  const newest = ask(`${at}/sliding?minutes=60`, "aggregates");
  let series = ask(`${at}/series?minutes=${minutes}`, "aggregates");

  const told = () => events.value?.decisions ?? [];
  const named = () => new Palette([...(state.value?.arms ?? []), ...(series.value?.arms ?? []).map(({ arm }) => arm)]);
  const head = h("div", { class: "service-top" });
  const over = (id, title, draw, tall) => new Panel(id, title, [series, events, state], (width) => draw(width, lived(series.value), told(), named()), tall);
  const timed = [
    over("shares", "Who answers", shares, "tall"),
    ...METRICS.map((one) => over(one.key, one.title, (...given) => metric(...given, one), "chart-panel")),
    new Panel("findings", "Findings", [found, series], (width) => findings(width, found.value.findings, series.value && lived(series.value))),
  ];
  const panels = [
    ...timed,
    new Panel("trial", "The trial", [trials, events, state], (width) => trial(width, trials.value.trials, told(), named())),
    new Panel("savings", "Savings", [saved], (width) => savings(width, saved.value.claims)),
    new Panel("budget", "Budget", [spent], (width) => budget(width, spent.value)),
    new Panel("hour", "The last hour", [newest, series, state], () => hour(newest.value.windows, named(), series.value?.channel ?? "judge")),
    new Panel("log", "Decisions", [events], () => log(told())),
  ];
  const by = (id) => panels.find(({ node }) => node.id === id).node;
  const choose = ranges((wanted) => {
    minutes = wanted;
    live.drop(series);
    const before = series;
    series = ask(`${at}/series?minutes=${minutes}`, "aggregates");
    series.version = before.version + 1000;
    for (const panel of panels) panel.needs = panel.needs.map((source) => (source === before ? series : source));
  });
  const node = h("div", {}, head, choose, by("shares"), h("div", { class: "three" }, METRICS.map(({ key }) => by(key))), by("hour"), by("trial"),
    h("div", { class: "two" }, by("savings"), h("div", {}, by("budget"), by("findings"))), by("log"));

  let drawn = "";
  const update = () => {
    const key = `${state.version}:${events.version}`;
    if (key !== drawn && (state.value || state.error)) {
      drawn = key;
      replace(head, top(context, name, state, told()));
    }
    for (const panel of panels) panel.update();
  };
  const decided = (event) => {
    if (event.service !== name || !events.value || told().some(({ id }) => id === event.id)) return;
    events.value = { decisions: [event, ...told()].slice(0, MOST) };
    events.version += 1;
    update();
  };
  return { node, title: name, update, decided, close: () => {} };
}

function top(context, name, { value, error }, told) {
  const back = h("a", { class: "back", href: "#/" }, "← Services");
  if (!value) return [back, h("h1", {}, name), h("p", { class: "quiet" }, error.message)];
  const proposed = proposal(told);
  return [
    back,
    h("div", { class: "title" }, h("h1", {}, name), h("span", { class: "pills" }, pills(value)), buttons(context, value, proposed)),
    h("p", { class: "quiet small" }, value.version ? `version ${value.version}, ${value.incumbent} serves` : "observed only: no service document",
      value.counted_until ? `, counted until ${dayTime(parse(value.counted_until))}` : ""),
    proposed && h("p", { class: "proposal" }, h("b", {}, "Proposed: "), proposed.event.rationale),
  ];
}

function ranges(choose) {
  const made = h("div", { class: "ranges", role: "group", "aria-label": "How far back" });
  replace(made, RANGES.map(([label, wanted]) => h("button", { type: "button", "aria-pressed": String(wanted === minutes), "data-key": `range-${wanted}`, click: (event) => {
    for (const other of made.children) other.setAttribute("aria-pressed", String(other === event.currentTarget));
    choose(wanted);
  } }, label)));
  return made;
}
