// Whether the server is there: the line at the top, and the banner when it is away.

import { find, make } from "./dom.js"
import { health } from "./server.js"
import { current } from "./token.js"

const WORDS = {
  healthy: ["Ready"],
  degraded: ["Ready", "with the embedded reader"],
  loading: ["Loading", "the reader"],
  draining: ["Stopping"],
  guarded: ["Ready", "with a token"],
}
const READY = ["healthy", "degraded", "guarded"]

/** Asks the server how it is, and shows it. */
export async function look() {
  try {
    const { status, model } = await health(current())
    const [words, more = model] = WORDS[status]
    tell(READY.includes(status) ? "ready" : "asking", words, more)
  } catch {
    away()
  }
}

export const away = () => tell("away", "Away")

/** Narrow screens show `words` alone. */
function tell(state, words, more) {
  const line = find("server")
  line.dataset.state = state
  line.replaceChildren(words, more ? make("span", { class: "more" }, more) : "")
  find("away").hidden = state !== "away"
}

/** Looks again whenever there is a reason to. */
export function listen() {
  addEventListener("online", look)
  addEventListener("offline", away)
  document.addEventListener("visibilitychange", () => document.hidden || look())
  find("ask-again").addEventListener("click", look)
}
