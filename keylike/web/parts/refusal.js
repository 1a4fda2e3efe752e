// The message when there is no reading: the reason, and what to do next.

import { button, make } from "./dom.js"
import { adviceFor, clockTime, current, has, t } from "./language.js"
import { poseFor } from "./poses.js"

// Failures that another picture solves, not the same one again.
const OF_THE_FILE = [
  "wrong_file",
  "empty_file",
  "image_too_large",
  "unsupported_image_type",
  "bad_image",
]

/**
 * Returns the card for an unreadable photo: the reason, and advice with a picture. The server's own
 * sentence is English, so other languages have only the title of the reason.
 */
export function refusal(body, handlers) {
  const key = `reason.${body.reason}`
  const known = has(key)
  const advice = adviceFor(body)
  return make(
    "div",
    { class: "card refusal" },
    poseFor(body.reason),
    make(
      "div",
      { class: "words" },
      make("h1", { id: "outcome-title" }, t(known ? key : "refusal.unknown")),
      (current() === "en" || !known) && english("muted", body.error),
      advice ? make("p", { class: "advice" }, advice) : english("advice", body.advice),
    ),
    make(
      "div",
      { class: "actions" },
      button({ class: "main" }, handlers.camera, t("refusal.camera")),
      button({ id: "choose-another" }, handlers.choose, t("refusal.choose")),
      button({}, handlers.again, t("back")),
    ),
  )
}

const english = (look, words) =>
  make("p", { class: look, lang: current() !== "en" && "en" }, words ?? "")

/**
 * Returns the card for any other failure. `until` is the time at which Retry-After has passed, and
 * the card counts down to it. `handlers.retry` sends the photo again, `handlers.token` asks for a
 * token, `handlers.choose` opens the file dialog.
 */
export function failure({ code, body, until }, handlers) {
  const known = has(`failure.${code}`)
  const key = known ? `failure.${code}` : "failure.other"
  const first = firstAction(code, handlers)
  const wait = make("p", { class: "advice" }, t(`${key}.advice`, body))
  if (until) countDown(until, wait, first)
  return make(
    "div",
    { class: "card refusal bare" },
    make(
      "div",
      { class: "words" },
      make("h1", { id: "outcome-title" }, t(key)),
      body.error && (current() === "en" || !known) && english("muted", body.error),
      wait,
      body.request_id &&
        make("p", { class: "muted" }, t("failure.request", { id: body.request_id })),
    ),
    make(
      "div",
      { class: "actions" },
      first,
      button({}, handlers.again, t(OF_THE_FILE.includes(code) ? "back" : "failure.over")),
    ),
  )
}

function firstAction(code, { token, choose, retry }) {
  if (code === "unauthorized") return button({ class: "main" }, token, t("failure.token"))
  if (OF_THE_FILE.includes(code))
    return button({ class: "main", id: "choose-another" }, choose, t("refusal.choose"))
  return button({ class: "main", id: "retry" }, retry, t("retry"))
}

/**
 * Disables the button until a time has come. It compares clock times, since timers of a
 * sleeping phone run late.
 */
function countDown(until, words, pressed) {
  const seconds = Math.ceil((until - Date.now()) / 1000)
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000)
    pressed.disabled = left > 0
    pressed.textContent =
      left > 90
        ? t("failure.retry_min", { n: Math.ceil(left / 60) })
        : left > 0
          ? t("failure.retry_s", { n: left })
          : t("retry")
    if (left > 0) setTimeout(tick, 500)
  }
  if (seconds > 0) {
    const wait =
      seconds > 90
        ? t("number.minutes", { n: Math.ceil(seconds / 60) })
        : t("number.seconds", { n: seconds })
    words.textContent = t("failure.wait", { wait, at: clockTime(until) })
  }
  tick()
}
