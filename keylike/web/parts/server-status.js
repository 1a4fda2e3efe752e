// The status of the server: the line at the top, and the banner if the server is unreachable.

import { find, make } from "./dom.js"
import { health } from "./server.js"
import { current } from "./token.js"

const WORDS = {
  healthy: ["Ready"],
  degraded: ["Ready", "with the embedded reader"],
  loading: ["Loading", "the model"],
  draining: ["Stopping"],
  guarded: ["Ready", "with a token"],
}
const READY = ["healthy", "degraded", "guarded"]

/** Fetches the status and shows it. */
export async function refresh() {
  try {
    const { status, model } = await health(current())
    const [words, more = model] = WORDS[status]
    show(READY.includes(status) ? "ready" : "asking", words, more)
  } catch {
    showUnreachable()
  }
}

export const showUnreachable = () => show("unreachable", "Offline")

/** Shows a status. Narrow screens hide `more`. */
function show(state, words, more) {
  const line = find("server")
  line.dataset.state = state
  line.replaceChildren(words, more ? make("span", { class: "more" }, more) : "")
  find("unreachable").hidden = state !== "unreachable"
}

/** Refreshes the status when the connection or the visibility of the page changes. */
export function listen() {
  addEventListener("online", refresh)
  addEventListener("offline", showUnreachable)
  document.addEventListener("visibilitychange", () => document.hidden || refresh())
  find("check-again").addEventListener("click", refresh)
}
