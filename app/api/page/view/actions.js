/** Orders: who may give them, what they will do, said before they go out; the server checks all of it again. */

import { h } from "../dom.js";

const ORDERS = {
  freeze: {
    label: "Freeze", right: "operate", tone: "danger",
    says: ({ service, trial, incumbent }) => [
      `From now on nothing changes at the gateway of ${service}, until it is unfrozen.`,
      trial ? `The open trial of ${trial.arm} is taken back: ${trial.control_arm} answers its share again.` : `${incumbent || "What serves now"} goes on answering.`,
    ],
    option: { name: "hold", label: "Hold the split as it is; take no trial back" },
  },
  resume: {
    label: "Unfreeze", right: "operate",
    says: ({ service, mode }) => [`${service} may change again, in mode ${mode}: ${{ auto: "it acts by itself", approve: "it asks first", recommend: "it only proposes", observe: "it only counts" }[mode] ?? mode}.`],
  },
  rollback: {
    label: "Roll back", right: "operate", tone: "danger",
    says: ({ service, trial }) => [
      `${service} goes back to what served before the newest change, at once and for all traffic outside the holdout.`,
      trial ? `The open trial of ${trial.arm} ends.` : "What serves now may be tried again later.",
    ],
  },
  approve: {
    label: "Approve", right: "approve", tone: "go",
    says: ({ proposed }) => ["This is what begins:", proposed.event.rationale],
  },
  reject: {
    label: "Reject", right: "approve",
    says: ({ proposed }) => ["This is what will not be done:", proposed.event.rationale],
  },
};

const may = (me, right, service) => (me?.rights?.[right] ?? []).some((name) => name === "*" || name === service);

/**
 * Buttons for the orders that make sense now; one whose right is missing is disabled and says so.
 * @param {{me: any, api: import("../api.js").Api, tell: (text: string) => void}} context
 * @param {any} state of the service @param {import("./decide.js").Decision | null} proposed
 */
export function buttons(context, state, proposed) {
  const wanted = [...(proposed ? ["approve", "reject"] : []), ...(state.version ? [state.frozen ? "resume" : "freeze", "rollback"] : [])];
  const missing = [...new Set(wanted.map((verb) => ORDERS[verb].right).filter((right) => !may(context.me, right, state.service)))];
  const reason = `your role lacks the right to ${missing.join(" and to ")}`;
  return h("div", { class: "actions" },
    wanted.map((verb) => button(context, verb, { ...state, proposed }, missing.includes(ORDERS[verb].right) ? reason : "")),
    missing.length > 0 && h("span", { class: "quiet small", id: "no-right" }, reason));
}

function button(context, verb, about, reason) {
  const { label, tone = "" } = ORDERS[verb];
  return h("button", { type: "button", class: `button ${tone}`, "data-key": `order-${verb}`, "data-order": verb, disabled: reason !== "", title: reason || null, "aria-describedby": reason ? "no-right" : null,
    click: () => confirm(context, verb, about) }, label);
}

/** Ask first: what will happen, and why it is ordered. Escape and Cancel leave everything as it is. */
function confirm(context, verb, about) {
  const { label, says, option, tone = "" } = ORDERS[verb];
  const key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`; // a retry from this dialog is the same order
  const reason = h("input", { id: "reason", name: "reason", maxlength: 1000, autocomplete: "off", placeholder: "for the log" });
  const chosen = option && h("input", { type: "checkbox", id: option.name });
  const failed = h("p", { class: "failed", role: "alert" });
  const send = h("button", { type: "submit", class: `button ${tone || "go"}` }, `${label} ${about.service}`);
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "dialog-title", close: () => dialog.remove() },
    h("form", { method: "dialog", submit: async (event) => {
      event.preventDefault();
      send.disabled = true;
      try {
        const order = { service: about.service, command: verb, reason: reason.value, args: args(verb, about, chosen) };
        const said = await context.api.post("/commands", order, key);
        context.tell(`${label} of ${about.service} is on the command log as ${said.id.slice(0, 8)}; the page shows when it is obeyed.`);
        dialog.close();
      } catch (error) {
        failed.textContent = `Not sent: ${error.message}`;
        send.disabled = false;
      }
    } },
    h("h2", { id: "dialog-title" }, `${label} ${about.service}?`),
    says(about).map((text) => h("p", {}, text)),
    option && h("p", {}, h("label", { class: "check" }, chosen, ` ${option.label}`)),
    h("p", {}, h("label", { for: "reason", class: "label" }, "Reason"), reason),
    failed,
    h("div", { class: "dialog-foot" }, h("button", { type: "button", class: "button", click: () => dialog.close() }, "Cancel"), send)));
  document.body.append(dialog);
  dialog.showModal();
}

function args(verb, about, chosen) {
  if (verb === "freeze") return { hold: Boolean(chosen?.checked) };
  return ["approve", "reject"].includes(verb) ? { decision_id: about.proposed.id } : {};
}
