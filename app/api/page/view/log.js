/** The log of decisions: one sentence each, what became of it, and everything the rule went by to unfold. */

import { h, unfold } from "../dom.js";
import { change, dayTime, parse } from "../format.js";
import { table } from "../chart/table.js";
import { decisions, wording } from "./decide.js";

const SHOWN = 40;

export function log(events) {
  const found = decisions(events);
  if (!found.length) return [h("p", { class: "quiet" }, "Nothing was decided yet.")];
  return [
    h("ol", { class: "log" }, found.slice(0, SHOWN).map(entry)),
    found.length > SHOWN && h("p", { class: "quiet small" }, `The newest ${SHOWN}. All of them: llm-optimizer decisions, or GET /api/v1/decisions.`),
  ];
}

function entry({ id, event, statuses, outcomes }) {
  const [sign, kind, words] = wording(event.action);
  return h("li", { class: `entry ${kind}`, "data-decision": id },
    h("div", { class: "entry-head" },
      h("span", { class: "sign", "aria-hidden": "true" }, sign),
      h("b", {}, words), h("span", { class: "quiet" }, `version ${event.version}`),
      h("time", { class: "quiet", datetime: event.time }, dayTime(parse(event.time))),
      h("span", { class: "trail" }, statuses.map((status) => h("span", { class: `pill ${status}` }, status)))),
    h("p", { class: "sentence" }, event.rationale || "–"),
    unfold(`why-${id}`, "Evidence and alternatives", () => why(event, outcomes)));
}

function why(event, outcomes) {
  const { constraints = [], alternatives = [], changes = [], expected_impact: impact = {}, evidence = {} } = event.data;
  return h("div", { class: "why" },
    rows("Impact against the control group", ["metric", "estimate", "low", "high", "requests"],
      Object.entries(impact).map(([metric, one]) => [metric, change(metric, one.estimate), change(metric, one.low), change(metric, one.high), String(one.n)])),
    rows("Limits it was held against", ["limit", "at most", "seen", "kept"],
      constraints.map(({ name, limit, value, satisfied, detail }) => [detail ? `${name}: ${detail}` : name, number(limit), value === null ? "unknown" : number(value), satisfied ? "✓ yes" : "✕ no"])),
    rows("Changed", ["parameter", "before", "after"], changes.map(({ parameter, old, new: now }) => [parameter, short(old), short(now)])),
    rows("Alternatives", ["arm", "why not"], alternatives.map(({ arm, why_not: reason }) => [arm, reason])),
    rows("What became of it", ["outcome", "share seen", "share wanted", "requests", "error"],
      outcomes.map(({ status, data }) => [status, share(data.observed_share), share(data.expected_share), String(data.requests ?? "–"), data.error ?? ""])),
    h("p", { class: "quiet small" }, `strategy ${event.strategy}, trigger ${event.data.trigger ?? "–"}, mode ${event.mode}, decision ${event.decision_id}`),
    unfold(`all-${event.decision_id}`, "Everything the rule used", () => h("pre", { tabindex: 0 }, JSON.stringify(evidence, null, 1))));
}

const rows = (caption, head, found) => found.length > 0 && h("div", { class: "scroll" }, table(caption, head, found));
const number = (value) => String(Number(value.toPrecision(4)));
const share = (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(1)} %`);

function short(value) {
  const text = value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}
