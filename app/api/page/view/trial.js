/** The open trial, else the last one: its steps, its evidence against the limits, its verdict. */

import { intervalChart, sentence } from "../chart/interval.js";
import { stepChart } from "../chart/steps.js";
import { asTable } from "../chart/table.js";
import { h } from "../dom.js";
import { dayTime, duration, parse, time } from "../format.js";
import { decisions, intervals } from "./decide.js";

export function trial(width, trials, events, palette) {
  const shown = trials.find(({ status }) => status === "running") ?? trials[0];
  if (!shown) return [h("p", { class: "quiet" }, "No trial yet. A trial opens when an arm promises more than the one that serves.")];
  const told = decisions(events).filter(({ event }) => belongs(event, shown)).map(({ event }) => event).reverse();
  const newest = told.at(-1);
  const seen = newest ? intervals(newest) : [];
  const half = width > 760 ? Math.floor(width / 2) - 16 : width;
  return [
    h("p", { class: "lead" }, verdict(shown)),
    shown.conclusion && h("p", { class: "sentence" }, shown.conclusion),
    h("div", { class: "columns" },
      h("div", {}, h("h3", {}, "How far it came"), stepChart({ key: "steps", label: stepsInWords(told, shown), width: half, steps: steps(told, shown), tone: palette.tone(shown.arm) })),
      h("div", {}, h("h3", {}, shown.status === "running" && told.length < 2 ? "What is expected" : "What was seen, against the limits"),
        seen.length ? intervalChart({ key: "intervals", label: seen.map((one) => `${one.metric}: ${sentence(one)}`).join("; "), width: half, intervals: seen })
          : h("p", { class: "quiet" }, newest ? `${newest.rationale} Intervals are told at each step.` : "Nothing was told yet."))),
    seen.length > 0 && asTable("intervals", "Change against the control group, always-valid intervals", ["metric", "change and limit", "on trial", "control"], () =>
      seen.map((one) => [one.metric, sentence(one), String(one.trial_n ?? "–"), String(one.control_n ?? "–")])),
  ];
}

function belongs(event, shown) {
  if (event.status !== "decided") return false;
  return event.data.split?.trial?.id === shown.id || (event.time === shown.end_time && event.action === shown.ended_with);
}

function verdict(shown) {
  const pair = `${shown.arm} against ${shown.control_arm}`;
  if (shown.status === "running") return `${pair}: open since ${dayTime(parse(shown.start_time))}, ${Math.round(100 * shown.share)} % of the traffic.`;
  const end = { promote: "was promoted", admit: "was admitted", "roll-back": "was rolled back" }[shown.ended_with] ?? `ended with ${shown.ended_with}`;
  return `${pair}: ${shown.arm} ${end} after ${duration(parse(shown.end_time) - parse(shown.start_time))}.`;
}

function steps(told, shown) {
  const reached = new Map(told.filter(({ data }) => data.split?.trial?.id === shown.id).map((event) => [event.data.deployment.step, event.time]));
  const plan = told[0]?.data.deployment.progression ?? [...reached.keys()];
  const last = [...reached.keys()].at(-1);
  const won = ["promote", "admit"].includes(shown.ended_with);
  return plan.map((percent) => {
    if (percent === 100 && won) return { percent, state: "done", under: time(parse(shown.end_time)) };
    if (!reached.has(percent)) return { percent, state: "ahead", under: "" };
    const now = percent === last && !won;
    const state = now ? (shown.status === "running" ? "now" : "failed") : "done";
    return { percent, state, under: time(parse(reached.get(percent))) };
  });
}

const stepsInWords = (told, shown) =>
  `Steps of the trial of ${shown.arm}: ${steps(told, shown).map(({ percent, state }) => `${percent} % ${state}`).join(", ")}`;
