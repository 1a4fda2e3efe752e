// The status of the server: the line at the top, and the banner if the server is unreachable.

import { find, make } from "./dom.js"
import { t } from "./language.js"
import { health } from "./server.js"
import * as token from "./token.js"

const TEXTS = {
  healthy: ["server.ready"],
  degraded: ["server.ready", "server.embedded"],
  loading: ["server.loading", "server.the_model"],
  draining: ["server.stopping"],
  guarded: ["server.ready", "server.with_token"],
}
const READY = ["healthy", "degraded", "guarded"]
let line = { state: "asking", text: "server.asking" }

/** Fetches the status and shows it. */
export async function refresh() {
  try {
    const { status, model } = await health(token.current())
    const [text, more] = TEXTS[status]
    if (status === "guarded") showToken()
    show({ state: READY.includes(status) ? "ready" : "asking", text, more, model })
  } catch {
    showUnreachable()
  }
}

export const showUnreachable = () => show({ state: "unreachable", text: "server.offline" })

/** Shows the button for the token. Most servers need none, so it is hidden before. */
export function showToken() {
  find("open-token").hidden = false
}

/** Shows the last status again, in the current language. */
export const showAgain = () => show(line)

/** Shows a status. Narrow screens hide its second part. */
function show(status) {
  line = status
  const { state, text, more, model } = status
  const second = more ? t(more) : model
  const element = find("server")
  element.dataset.state = state
  element.replaceChildren(t(text), second ? make("span", { class: "more" }, second) : "")
  find("unreachable").hidden = state !== "unreachable"
}

/** Refreshes the status when the connection or the visibility of the page changes. */
export function listen() {
  addEventListener("online", refresh)
  addEventListener("offline", showUnreachable)
  document.addEventListener("visibilitychange", () => document.hidden || refresh())
  find("check-again").addEventListener("click", refresh)
}
