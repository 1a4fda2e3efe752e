// What is said when there is no reading: why, and what to do next.

import { make } from "./dom.js"
import { poseFor } from "./poses.js"

const TITLE = {
  not_a_key: "No key on this photo",
  several_keys: "More than one key",
  no_cuts: "This key is not cut",
  unsupported_keyway: "A key of another family",
  too_small: "The key is too small",
  too_blurred: "The blade is blurred",
  glare: "The blade shines too much",
  cropped: "Part of the blade is missing",
  too_tilted: "The key is tilted",
  low_confidence: "Not sure enough",
  readers_disagree: "Two readers disagree",
  no_code_in_reply: "No code came out",
}
// Failures that are no refusals: a title, and advice where the server gives none.
const FAILURE = {
  away: ["The server cannot be reached", "The photo is still here. Check the connection, and whether the server runs; then try again."],
  rate_limited: ["Too many photos for now", "The server takes only so many photos in a time."],
  overloaded: ["The server is busy", "More photos wait than it can read in time."],
  model_loading: ["The reader is still being loaded", "It will be ready soon."],
  deadline_exceeded: ["It took too long", "The server gave up. Try again."],
  unauthorized: ["This server asks for a token", "Enter the token that whoever runs the server gave you, or scan its QR code."],
  forbidden: ["This token is not enough", "Whoever runs the server can give you another."],
  image_too_large: ["The picture is too large", "Send a smaller one."],
  unsupported_image_type: ["Not a picture that can be read", "JPEG, PNG, WebP, HEIC, AVIF and GIF are."],
  bad_image: ["The picture is damaged", "Take it again, or choose another."],
}

/** Where there is no code to be had of the photo: reason, what was seen, advice with a picture. */
export function refusal(body, ways) {
  return make(
    "div",
    { class: "card refusal" },
    poseFor(body.reason),
    make(
      "div",
      { class: "words" },
      make("h1", { id: "outcome-title" }, TITLE[body.reason] ?? "It could not be read"),
      make("p", { class: "quiet" }, body.error),
      make("p", { class: "advice" }, body.advice),
    ),
    actions(ways),
  )
}

/** Where the server did not get as far. Counts down what it asks to wait for; `ways.retry` sends the same photo again, `ways.token` asks for one. */
export function failure({ code, body, after }, ways) {
  const [title, advice] = FAILURE[code] ?? ["Something went wrong", "Try again; if it stays so, tell whoever runs the server."]
  const retry = code === "unauthorized"
    ? make("button", { type: "button", class: "main", on: { click: ways.token } }, "Enter the token")
    : make("button", { type: "button", class: "main", id: "retry", on: { click: ways.retry } }, "Try again")
  const wait = make("p", { class: "advice" }, advice)
  if (after) countDown(after, wait, retry)
  return make(
    "div",
    { class: "card refusal bare" },
    make(
      "div",
      { class: "words" },
      make("h1", { id: "outcome-title" }, title),
      code !== "away" && body.error && make("p", { class: "quiet" }, body.error),
      wait,
      body.request_id && make("p", { class: "quiet" }, "Request ", make("code", {}, body.request_id)),
    ),
    actions({ ...ways, first: retry }),
  )
}

function actions({ first, camera, again }) {
  return make(
    "div",
    { class: "actions" },
    first ?? make("button", { type: "button", class: "main", on: { click: camera } }, "Take another photo"),
    make("button", { type: "button", on: { click: again } }, first ? "Start over" : "Back"),
  )
}

/** The button waits as long as the server asks; the words say when. By the clock: a phone that sleeps ticks late. */
function countDown(seconds, words, button) {
  const until = Date.now() + seconds * 1000, at = new Date(until).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
  button.disabled = true
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000)
    button.disabled = left > 0
    button.textContent = left > 0 ? `Try again in ${left > 90 ? `${Math.ceil(left / 60)} min` : `${left} s`}` : "Try again"
    if (left > 0) setTimeout(tick, 500)
  }
  words.textContent = `The next photo can be read in ${seconds > 90 ? `${Math.ceil(seconds / 60)} minutes` : `${seconds} seconds`}, at ${at}.`
  tick()
}
