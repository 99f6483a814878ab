/** What the analyzers saw, on the time axis of the charts. */

import { asTable } from "../chart/table.js";
import { timeline } from "../chart/timeline.js";
import { h } from "../dom.js";
import { dayTime, parse } from "../format.js";

export function findings(width, told, series) {
  if (!series?.times.length) return [h("p", { class: "quiet" }, "No closed minute yet.")];
  const times = [parse(series.times[0]), parse(series.end)];
  const bars = lasting(told, times[1]).filter(({ from, to }) => to >= times[0] && from <= times[1]);
  if (!bars.length) return [h("p", { class: "lead" }, "Nothing found in this time.")];
  const open = bars.filter((bar) => bar.open).length;
  return [
    h("p", { class: "lead" }, `${bars.length} found, ${open ? `${open} open` : "all over"}.`),
    timeline({ key: "findings", label: "Findings over time", width, times, bars }),
    asTable("findings", "Findings", ["what", "severity", "from", "to", "says"], () =>
      bars.map((bar) => [bar.lane, bar.severity, dayTime(bar.from), bar.open ? "open" : dayTime(bar.to), bar.text])),
  ];
}

/** One bar a finding, from when it was first seen until it was over, or until now. */
function lasting(told, now) {
  const byId = new Map();
  for (const one of [...told].reverse()) byId.set(one.finding_id || one.id, one); // newest last
  return [...byId].map(([id, one]) => {
    const open = !["resolved", "closed"].includes(one.status);
    const from = parse(one.data.first_seen ?? one.time);
    return { id, lane: lane(one), from, to: open ? now : Math.max(from, parse(one.data.last_seen ?? one.time)), severity: one.severity || "unknown", open, text: one.detail };
  });
}

const lane = ({ kind, metric, arm }) => [kind, metric && `of ${metric}`, arm && arm !== "*" && `of ${arm}`].filter(Boolean).join(" ");
