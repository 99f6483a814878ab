/** The page: who asks, which view, and one redraw a frame however much is told. */

import { Api } from "./api.js";
import { h, replace } from "./dom.js";
import { Live } from "./live.js";
import { service } from "./view/service.js";
import { services } from "./view/services.js";
import { signIn } from "./view/signin.js";

const api = new Api();
const main = document.getElementById("main");
const TOLD_MS = 8_000;

let live = null;
let view = null;
let frame = 0;

async function start(why = "") {
  stop();
  try {
    const { value: me } = await api.get("/me");
    replace(document.getElementById("who"), [me.kind !== "unauthenticated" && h("span", {}, me.name), api.hasKey && h("button", { type: "button", class: "link", click: () => leave("") }, "Sign out")]);
    live = new Live(api, { changed: redraw, decided: (event) => view?.decided(event), refused: () => leave("The key is not taken any more.") });
    live.start();
    route(me);
    window.onhashchange = () => {
      for (const source of [...live.sources]) live.drop(source);
      route(me);
      main.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    };
  } catch (error) {
    if (error.status === 401 || error.status === 403) {
      const said = why || (api.hasKey ? error.message : "");
      api.key = "";
      return show(signIn(said, (key) => { api.key = key; start(); }));
    }
    show(h("p", { class: "quiet" }, "The server does not answer. Trying again …"));
    setTimeout(start, 3_000);
  }
}

function stop() {
  live?.stop();
  view?.close();
  live = view = null;
  replace(document.getElementById("who"));
  replace(document.getElementById("live"));
}

function leave(why) {
  api.key = "";
  start(why);
}

function route(me) {
  view?.close();
  const [, kind, name] = location.hash.split("/");
  const context = { api, live, me, tell };
  view = kind === "service" && name ? service(context, decoded(name)) : services(context);
  document.title = `${view.title} · LLM Auto-Optimizer`;
  show(view.node);
  redraw();
}

function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

const show = (node) => replace(main, [node]);

function redraw() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    const states = { live: "live", polling: "every 5 s", connecting: "connecting" };
    const shown = document.getElementById("live");
    if (live && shown.textContent !== states[live.state]) {
      shown.className = `live ${live.state}`;
      replace(shown, states[live.state]);
    }
    view?.update();
  });
}

/** Say something that was done; screen readers hear it. */
function tell(text) {
  const told = document.getElementById("told");
  const one = h("div", { class: "toast" }, text);
  told.append(one);
  setTimeout(() => one.remove(), TOLD_MS);
}

let width = window.innerWidth;
window.addEventListener("resize", () => {
  if (window.innerWidth !== width) redraw();
  width = window.innerWidth;
});
replace(document.getElementById("zone"), `Times in ${Intl.DateTimeFormat().resolvedOptions().timeZone}`);
start();
