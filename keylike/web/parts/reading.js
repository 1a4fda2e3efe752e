// A reading: the code and its confidence, each cut, and the alternatives.

import { assessment } from "./assessment.js"
import { icon, make, percent } from "./dom.js"
import { copy, share } from "./share.js"

const level = part => (part >= 0.9 ? "" : part >= 0.7 ? "fair" : "low")
const bar = part =>
  make("span", { class: `bar ${level(part)}`, vars: { part }, "aria-hidden": "true" })

/**
 * Returns the cards of a reading. `again` starts over. `highlight` is called with the position of
 * the cut under the pointer, or null.
 */
export function reading(answer, { again, highlight }) {
  return [
    code(answer, again),
    cuts(answer, highlight),
    otherCodes(answer),
    assessment(answer.assessment),
    details(answer),
  ]
}

function code(answer, again) {
  return make(
    "div",
    { class: "card" },
    make(
      "h1",
      { id: "outcome-title", class: "kind" },
      `${answer.brand} ${answer.keyway}`,
      make("span", { class: "muted" }, `${answer.cuts.length} cuts, from the bow to the tip`),
    ),
    make(
      "ol",
      { class: "code", "aria-label": `Code ${answer.bitting}` },
      answer.cuts.map(cut =>
        make("li", {}, String(cut.depth), make("small", {}, `cut ${cut.position}`)),
      ),
    ),
    make(
      "div",
      { class: "sure" },
      make(
        "p",
        {},
        make("strong", {}, `${percent(answer.confidence)} confidence`),
        ` that the whole code is right. ${meaning(answer)}`,
      ),
      bar(answer.confidence),
    ),
    actions(answer, again),
    make(
      "p",
      { class: "caution" },
      icon("caution"),
      make(
        "span",
        {},
        "Anyone with this code can cut the key. Send it only to people you would give the key.",
      ),
    ),
  )
}

function meaning({ confidence, calibrated }) {
  if (!calibrated) return "This model has no measured calibration, so the figure may be off."
  return confidence >= 0.7
    ? "Check the code with a key gauge before you have a key cut."
    : "Take another photo, and check the code with a key gauge before you have a key cut."
}

function actions({ bitting, keyway, brand }, again) {
  const text = `${brand} ${keyway}: ${bitting}`
  const flash = (button, words) => {
    const label = button.lastChild
    const before = label.textContent
    label.textContent = words
    setTimeout(() => {
      label.textContent = before
    }, 2000)
  }
  const failed = "Not allowed"
  const onCopy = event => {
    const button = event.currentTarget
    copy(bitting).then(
      () => flash(button, "Copied"),
      () => flash(button, failed),
    )
  }
  const onShare = event => {
    const button = event.currentTarget
    share(text).then(
      how => how === "copied" && flash(button, "Copied"),
      () => flash(button, failed),
    )
  }
  return make(
    "div",
    { class: "actions" },
    make("button", { type: "button", class: "main first", on: { click: again } }, "Read another"),
    make(
      "button",
      { type: "button", id: "copy", on: { click: onCopy } },
      icon("copy"),
      make("span", {}, "Copy code"),
    ),
    make(
      "button",
      { type: "button", id: "share", on: { click: onShare } },
      icon("share"),
      make("span", {}, "Share"),
    ),
  )
}

function cuts(answer, highlight) {
  const worn = new Set(answer.quality.worn_cuts)
  const row = cut =>
    make(
      "tr",
      {
        on: {
          pointerenter: event => lit(event, cut.position),
          pointerleave: event => lit(event, null),
        },
      },
      make("th", { scope: "row" }, String(cut.position)),
      make(
        "td",
        {},
        `${cut.depth}`,
        worn.has(cut.position) && make("span", { class: "mark-worn" }, " worn?"),
      ),
      make("td", {}, `${cut.depth_mm.toFixed(2)} mm`),
      make("td", { class: "wide" }, bar(cut.probability)),
      make("td", {}, percent(cut.probability)),
    )
  function lit(event, position) {
    event.currentTarget.classList.toggle("lit", position !== null)
    highlight(position)
  }
  const head = ["Cut", "Depth", "Blade height"].map(words => make("th", { scope: "col" }, words))
  const probability = make("th", { scope: "col", colspan: 2 }, "Probability")
  return make(
    "div",
    { class: "card" },
    make(
      "table",
      { id: "cuts" },
      make("caption", {}, "Each cut"),
      make("thead", {}, make("tr", {}, head, probability)),
      make("tbody", {}, answer.cuts.map(row)),
    ),
    answer.quality.other_keys &&
      make(
        "p",
        { class: "muted", id: "other-keys" },
        "There seem to be several keys in the picture. This is the code of the largest one.",
      ),
    worn.size > 0 &&
      make(
        "p",
        { class: "muted" },
        "A cut marked “worn?” is between two depths. The lock may need the neighbouring depth.",
      ),
  )
}

function otherCodes({ bitting, alternatives }) {
  if (!alternatives.length) return null
  const own = bitting.split(",")
  const differing = text =>
    text
      .split(",")
      .flatMap((digit, i) => [i ? "," : "", digit === own[i] ? digit : make("b", {}, digit)])
  return make(
    "div",
    { class: "card" },
    make("h2", {}, "Alternatives"),
    make(
      "ul",
      { class: "others" },
      alternatives.map(other =>
        make(
          "li",
          {},
          make("code", {}, differing(other.bitting)),
          make("span", { class: "muted" }, tiny(other.probability)),
        ),
      ),
    ),
  )
}

const tiny = part => (part < 0.01 ? "under 1 %" : percent(part))

function details(answer) {
  const { quality } = answer
  const fact = (name, value) => value != null && [make("dt", {}, name), make("dd", {}, value)]
  const round = (value, digits, unit) => value != null && `${value.toFixed(digits)} ${unit}`
  return make(
    "div",
    { class: "card" },
    make("h2", {}, "The photo and the reader"),
    make(
      "dl",
      { class: "facts" },
      fact("Sharpness", quality.sharpness != null && percent(quality.sharpness)),
      fact("Pixels per depth step", round(quality.px_per_depth_step, 1, "px")),
      fact("Tilt, approximate", round(quality.tilt_deg, 0, "°")),
      fact("Model", answer.model_used),
      fact(
        "Time on the server",
        answer.cached ? "from the cache" : `${Math.round(answer.processing_ms)} ms`,
      ),
    ),
    make(
      "details",
      {},
      make("summary", {}, "The full response, as JSON"),
      make("pre", { tabindex: 0 }, JSON.stringify(answer, null, 1)),
    ),
  )
}
