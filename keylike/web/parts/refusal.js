// The message when there is no reading: the reason, and what to do next.

import { make } from "./dom.js"
import { poseFor } from "./poses.js"

const TITLE = {
  not_a_key: "No key in this photo",
  several_keys: "More than one key",
  no_cuts: "This key has no cuts",
  unsupported_keyway: "Unsupported key family",
  too_small: "The key is too small",
  too_blurred: "The blade is blurred",
  glare: "Too much glare on the blade",
  cropped: "Part of the blade is missing",
  too_tilted: "The key is tilted",
  low_confidence: "The reading is too uncertain",
  readers_disagree: "Two readers disagree",
  no_code_in_reply: "The model gave no code",
}
// Failures other than unreadable photos: a title and advice.
const FAILURE = {
  unreachable: [
    "The server cannot be reached",
    "The photo is still here. Check the connection and the server, then try again.",
  ],
  rate_limited: ["Too many photos for now", "The server limits the number of photos per period."],
  overloaded: ["The server is busy", "More photos are waiting than it can read in time."],
  model_loading: ["The model is still loading", "It will be ready soon."],
  deadline_exceeded: [
    "It took too long",
    "The server could not read the photo in time. Try again.",
  ],
  unauthorized: [
    "This server requires a token",
    "Enter the token from the server’s operator, or scan its QR code.",
  ],
  forbidden: ["This token does not allow it", "The server’s operator can give you another one."],
  image_too_large: ["The picture is too large", "Send a smaller one."],
  unsupported_image_type: [
    "Unsupported picture format",
    "Supported are JPEG, PNG, WebP, HEIC, AVIF and GIF.",
  ],
  bad_image: ["The picture is damaged", "Take it again, or choose another."],
}

/** Returns the card for an unreadable photo: the reason, and advice with a picture. */
export function refusal(body, handlers) {
  return make(
    "div",
    { class: "card refusal" },
    poseFor(body.reason),
    make(
      "div",
      { class: "words" },
      make("h1", { id: "outcome-title" }, TITLE[body.reason] ?? "The key could not be read"),
      make("p", { class: "muted" }, body.error),
      make("p", { class: "advice" }, body.advice),
    ),
    actions(handlers),
  )
}

/**
 * Returns the card for any other failure. It counts down Retry-After. `handlers.retry` sends the
 * photo again, `handlers.token` asks for a token.
 */
export function failure({ code, body, after }, handlers) {
  const [title, advice] = FAILURE[code] ?? [
    "Something went wrong",
    "Try again. If it keeps failing, contact the server’s operator.",
  ]
  const retry =
    code === "unauthorized"
      ? make(
          "button",
          { type: "button", class: "main", on: { click: handlers.token } },
          "Enter the token",
        )
      : make(
          "button",
          { type: "button", class: "main", id: "retry", on: { click: handlers.retry } },
          "Try again",
        )
  const wait = make("p", { class: "advice" }, advice)
  if (after) countDown(after, wait, retry)
  return make(
    "div",
    { class: "card refusal bare" },
    make(
      "div",
      { class: "words" },
      make("h1", { id: "outcome-title" }, title),
      code !== "unreachable" && body.error && make("p", { class: "muted" }, body.error),
      wait,
      body.request_id &&
        make("p", { class: "muted" }, "Request ", make("code", {}, body.request_id)),
    ),
    actions({ ...handlers, first: retry }),
  )
}

function actions({ first, camera, again }) {
  return make(
    "div",
    { class: "actions" },
    first ??
      make(
        "button",
        { type: "button", class: "main", on: { click: camera } },
        "Take another photo",
      ),
    make("button", { type: "button", on: { click: again } }, first ? "Start over" : "Back"),
  )
}

/**
 * Disables the button until Retry-After has passed. It compares clock times, since timers of a
 * sleeping phone run late.
 */
function countDown(seconds, words, button) {
  const until = Date.now() + seconds * 1000
  const at = new Date(until).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
  button.disabled = true
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000)
    button.disabled = left > 0
    button.textContent =
      left > 0
        ? `Try again in ${left > 90 ? `${Math.ceil(left / 60)} min` : `${left} s`}`
        : "Try again"
    if (left > 0) setTimeout(tick, 500)
  }
  const wait = seconds > 90 ? `${Math.ceil(seconds / 60)} minutes` : `${seconds} seconds`
  words.textContent = `The next photo can be read in ${wait}, at ${at}.`
  tick()
}
