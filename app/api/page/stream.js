/**
 * Server-sent events by fetch, since EventSource sends no credentials. Ends never by itself: after an error it comes
 * back with the id of the last event, a little later each time.
 */

const FIRST_MS = 500;
const LAST_MS = 15_000;

/**
 * @typedef {{name: string, id: string, data: any}} Message
 * @param {import("./api.js").Api} api
 * @param {(message: Message) => void} tell @param {(state: "live" | "polling" | "refused") => void} say
 * @returns {() => void} ends it
 */
export function follow(api, tell, say) {
  let lastId = "";
  let waitMs = FIRST_MS;
  const ended = new AbortController();
  const once = async () => {
    const silence = new AbortController();
    const stop = () => silence.abort();
    ended.signal.addEventListener("abort", stop);
    let alarm = setTimeout(stop, 20_000);
    try {
      const bytes = await api.stream(lastId, silence.signal);
      let beatMs = 20_000;
      for await (const message of messages(bytes)) {
        clearTimeout(alarm);
        if (message.name === "hello") {
          beatMs = 2.5 * 1000 * message.data.beat_s;
          waitMs = FIRST_MS;
          say("live");
        }
        alarm = setTimeout(stop, beatMs);
        lastId = message.id || lastId;
        if (message.name) tell(message);
      }
    } finally {
      clearTimeout(alarm);
      ended.signal.removeEventListener("abort", stop);
    }
  };
  (async () => {
    while (!ended.signal.aborted) {
      try {
        await once();
      } catch (error) {
        if (ended.signal.aborted) return;
        say(error.status === 401 || error.status === 403 ? "refused" : "polling");
        waitMs = Math.min(LAST_MS, 2 * waitMs);
      }
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  })();
  return () => ended.abort();
}

/** Messages out of bytes; a comment is a message without a name. */
export async function* messages(bytes) {
  const reader = bytes.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop() ?? "";
    for (const part of parts) yield message(part);
  }
}

function message(part) {
  const found = { name: "", id: "", data: null };
  for (const line of part.split("\n")) {
    const [field, value] = [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trimStart()];
    if (field === "event") found.name = value;
    if (field === "id") found.id = value;
    if (field === "data") found.data = JSON.parse(value);
  }
  return found;
}
