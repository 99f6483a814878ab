/** Elements made of text and attributes only: nothing here, and nothing else on the page, parses HTML. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} Attributes
 * @typedef {Node | string | number | null | undefined | false} Child
 */

/**
 * An HTML element. An attribute that is a function is a listener of that name; one that is null or false is left out.
 * @param {string} tag @param {Attributes} [attributes] @param {...(Child | Child[])} children
 */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element, likewise. */
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

const open = new Set();

/**
 * A part to unfold, made when it is; it stays open when its surroundings are drawn anew.
 * @param {string} key unique on the page @param {Child} summary @param {() => Node} body
 */
export function unfold(key, summary, body) {
  const element = h("details", { open: open.has(key) }, h("summary", { "data-key": key }, summary));
  if (open.has(key)) element.append(body());
  element.addEventListener("toggle", () => {
    if (element.open && element.childElementCount === 1) element.append(body());
    element.open ? open.add(key) : open.delete(key);
  });
  return element;
}

/** Put other children into `parent`; the focus stays on the element of the same data-key. */
export function replace(parent, ...children) {
  const active = document.activeElement;
  const key = active && parent.contains(active) ? active.getAttribute("data-key") : null;
  parent.replaceChildren(...children.flat().filter(Boolean));
  if (key) parent.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}
