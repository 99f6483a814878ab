/** The REST API. The key is held in memory and, for this tab only, in sessionStorage; it never goes into an address. */

const ROOT = "/api/v1";
const STORED = "llm-optimizer.key";

/** An answer that is no success: problem details (RFC 9457). */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem?.detail || `status ${status}`);
    this.status = status;
    this.error = problem?.error || "";
  }
}

export class Api {
  #key = sessionStorage.getItem(STORED) || "";

  get hasKey() {
    return this.#key !== "";
  }

  set key(key) {
    this.#key = key;
    key ? sessionStorage.setItem(STORED, key) : sessionStorage.removeItem(STORED);
  }

  /** @param {Record<string, string>} [more] */
  headers(more = {}) {
    return this.#key ? { ...more, Authorization: `Bearer ${this.#key}` } : more;
  }

  /**
   * @param {string} path below /api/v1 @param {string} [etag] of the answer at hand
   * @returns {Promise<{value: any, etag: string, caughtUp: boolean} | null>} null: the answer at hand is the newest
   */
  async get(path, etag = "") {
    const answer = await fetch(ROOT + path, { headers: this.headers(etag ? { "If-None-Match": etag } : {}) });
    if (answer.status === 304) return null;
    const value = await body(answer);
    if (!answer.ok) throw new ApiError(answer.status, value);
    return { value, etag: answer.headers.get("ETag") || "", caughtUp: answer.headers.get("Model-Caught-Up") === "true" };
  }

  /** Give an order; a retry with the same `key` is the same order. */
  async post(path, value, key) {
    const headers = this.headers({ "Content-Type": "application/json", "Idempotency-Key": key });
    const answer = await fetch(ROOT + path, { method: "POST", headers, body: JSON.stringify(value) });
    const said = await body(answer);
    if (!answer.ok) throw new ApiError(answer.status, said);
    return said;
  }

  /** The stream of events, from the event `lastId` on. */
  async stream(lastId, signal) {
    const headers = this.headers({ Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) });
    const answer = await fetch(`${ROOT}/stream`, { headers, signal, cache: "no-store" });
    if (!answer.ok) throw new ApiError(answer.status, await body(answer));
    return answer.body;
  }
}

async function body(answer) {
  return (answer.headers.get("Content-Type") || "").includes("json") ? answer.json() : null;
}
