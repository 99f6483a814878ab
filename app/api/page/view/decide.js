/** Decisions with what became of them, out of events. */

import { parse } from "../format.js";

const RANK = ["proposed", "refused", "decided", "accepted", "failed", "verified", "started", "completed", "rolled-back"];
const DECISIONS = ["proposed", "decided", "refused"];

const WORDS = {
  "open-trial": ["○", "note", "Trial opened"],
  "next-step": ["▲", "step", "Next step"],
  hold: ["–", "note", "Held"],
  admit: ["★", "good", "Admitted"],
  promote: ["★", "good", "Promoted"],
  "roll-back": ["✕", "bad", "Rolled back"],
  "fail-over": ["✕", "bad", "Failed over"],
  freeze: ["‖", "bad", "Frozen"],
  unfreeze: ["▷", "note", "Unfrozen"],
  "move-weights": ["⇄", "note", "Weights moved"],
  reset: ["↺", "note", "Reset"],
  "re-baseline": ["↺", "note", "New baseline"],
  configure: ["•", "note", "Configured"],
  "set-mode": ["•", "note", "Mode set"],
  pause: ["‖", "note", "Paused"],
  resume: ["▷", "note", "Resumed"],
};

/** [sign, kind, words] of an action. */
export const wording = (action) => WORDS[action] ?? ["•", "note", action];

/**
 * @typedef {{id: string, event: any, statuses: string[], outcomes: any[]}} Decision
 * @param {any[]} events as /decisions tells them @returns {Decision[]} newest first
 */
export function decisions(events) {
  const byId = new Map();
  for (const event of events) {
    const known = byId.get(event.decision_id) ?? byId.set(event.decision_id, []).get(event.decision_id);
    known.push(event);
  }
  const found = [];
  for (const [id, told] of byId) {
    told.sort((a, b) => RANK.indexOf(a.status) - RANK.indexOf(b.status));
    const event = told.filter(({ status }) => DECISIONS.includes(status)).at(-1);
    if (!event) continue;
    found.push({ id, event, statuses: [...new Set(told.map(({ status }) => status))], outcomes: told.filter(({ status }) => !DECISIONS.includes(status)) });
  }
  return found.sort((a, b) => b.event.version - a.event.version || parse(b.event.time) - parse(a.event.time));
}

/** What waits for a person: the newest decision, when it is a proposal nobody has answered. */
export function proposal(events) {
  const [newest] = decisions(events);
  return newest && newest.statuses.every((status) => status === "proposed") ? newest : null;
}

/** Marks for the charts. */
export function marks(events) {
  return decisions(events)
    .filter(({ event }) => event.status === "decided" && event.action !== "move-weights")
    .map(({ event }) => {
      const [sign, kind] = wording(event.action);
      return { at: parse(event.time), sign, kind, text: event.rationale };
    });
}

/** What the rule saw: an interval and its tolerance for each metric; an expectation has no bounds. */
export function intervals(event) {
  const judged = event.data.evidence?.verdict?.intervals;
  if (judged?.length) return judged;
  const limits = new Map((event.data.constraints ?? []).map(({ name, limit }) => [name, limit]));
  return Object.entries(event.data.expected_impact ?? {})
    .filter(([metric]) => limits.has(metric))
    .map(([metric, impact]) => ({ metric, ...impact, tolerance: limits.get(metric) }));
}
