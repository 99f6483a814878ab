/** A key or a token, typed in; it stays in this tab. */

import { h } from "../dom.js";

/** @param {string} why @param {(key: string) => void} enter */
export function signIn(why, enter) {
  const field = h("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true });
  return h("form", { class: "panel signin", submit: (event) => {
    event.preventDefault();
    enter(field.value.trim());
  } },
  h("h1", {}, "Sign in"),
  h("p", {}, "An API key (llmopt_…) or a bearer token. It is kept in this tab only, and sent in a header."),
  why && h("p", { class: "failed", role: "alert" }, why),
  h("p", {}, h("label", { for: "key", class: "label" }, "Key or token"), field),
  h("button", { type: "submit", class: "button go" }, "Sign in"));
}
