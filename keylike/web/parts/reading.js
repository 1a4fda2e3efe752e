// What was read: the code, how sure it is, each cut, and what else it could be.

import { assessment } from "./assessment.js"
import { make, percent, sign } from "./dom.js"
import { copy, share } from "./share.js"

const level = part => (part >= 0.9 ? "" : part >= 0.7 ? "fair" : "low")
const bar = part => make("span", { class: `bar ${level(part)}`, vars: { part }, "aria-hidden": "true" })

/** The cards of an answer. `again` starts anew; `light` is told which cut is pointed at, null for none. */
export function reading(answer, { again, light }) {
  return [code(answer, again), cuts(answer, light), others(answer), assessment(answer.assessment), small(answer)]
}

function code(answer, again) {
  return make(
    "div",
    { class: "card" },
    make("h1", { id: "outcome-title", class: "kind" }, `${answer.brand} ${answer.keyway}`, make("span", { class: "quiet" }, `${answer.cuts.length} cuts, from the bow to the tip`)),
    make("ol", { class: "code", "aria-label": `Code ${answer.bitting}` }, answer.cuts.map(cut => make("li", {}, String(cut.depth), make("small", {}, `cut ${cut.position}`)))),
    make("div", { class: "sure" }, make("p", {}, make("strong", {}, `${percent(answer.confidence)} sure`), ` that the whole code is right. ${meaning(answer)}`), bar(answer.confidence)),
    handOn(answer, again),
    make("p", { class: "care" }, sign("care"), make("span", {}, "This code is enough to cut the key. Send it only to somebody to whom you would hand the key itself.")),
  )
}

function meaning({ confidence, calibrated }) {
  if (!calibrated) return "Nobody has measured how far to trust that figure for this model."
  if (confidence >= 0.9) return "A second photo that says the same settles it."
  return confidence >= 0.7 ? "Check it against a second photo." : "Take another photo before you rely on it."
}

function handOn({ bitting, keyway, brand }, again) {
  const text = `${brand} ${keyway}: ${bitting}`
  const told = (button, words) => {
    const label = button.lastChild
    const before = label.textContent
    label.textContent = words
    setTimeout(() => { label.textContent = before }, 2000)
  }
  const failed = "Not allowed here"
  const onCopy = event => {
    const button = event.currentTarget
    copy(bitting).then(() => told(button, "Copied"), () => told(button, failed))
  }
  const onShare = event => {
    const button = event.currentTarget
    share(text).then(how => how === "copied" && told(button, "Copied"), () => told(button, failed))
  }
  return make(
    "div",
    { class: "actions" },
    make("button", { type: "button", class: "main first", on: { click: again } }, "Read another"),
    make("button", { type: "button", id: "copy", on: { click: onCopy } }, sign("copy"), make("span", {}, "Copy code")),
    make("button", { type: "button", id: "share", on: { click: onShare } }, sign("share"), make("span", {}, "Share")),
  )
}

function cuts(answer, light) {
  const worn = new Set(answer.quality.worn_cuts)
  const row = cut =>
    make(
      "tr",
      { on: { pointerenter: event => lit(event, cut.position), pointerleave: event => lit(event, null) } },
      make("th", { scope: "row" }, String(cut.position)),
      make("td", {}, `${cut.depth}`, worn.has(cut.position) && make("span", { class: "mark-worn" }, " worn?")),
      make("td", {}, `${cut.depth_mm.toFixed(2)} mm`),
      make("td", { class: "wide" }, bar(cut.probability)),
      make("td", {}, percent(cut.probability)),
    )
  function lit(event, position) {
    event.currentTarget.classList.toggle("lit", position !== null)
    light(position)
  }
  const head = ["Cut", "Depth", "Blade left"].map(words => make("th", { scope: "col" }, words))
  const sure = make("th", { scope: "col", colspan: 2 }, "How sure")
  return make(
    "div",
    { class: "card" },
    make("table", { id: "cuts" }, make("caption", {}, "Each cut"), make("thead", {}, make("tr", {}, head, sure)), make("tbody", {}, answer.cuts.map(row))),
    answer.quality.other_keys && make("p", { class: "quiet", id: "other-keys" }, "Other keys seem to be in the picture. This is the code of the largest."),
    worn.size > 0 && make("p", { class: "quiet" }, "A cut that may be worn lies between two depths: the lock may be made for the neighbouring one."),
  )
}

function others({ bitting, alternatives }) {
  if (!alternatives.length) return null
  const own = bitting.split(",")
  const differing = text => text.split(",").flatMap((digit, i) => [i ? "," : "", digit === own[i] ? digit : make("b", {}, digit)])
  return make(
    "div",
    { class: "card" },
    make("h2", {}, "It could also be"),
    make("ul", { class: "others" }, alternatives.map(other => make("li", {}, make("code", {}, differing(other.bitting)), make("span", { class: "quiet" }, tiny(other.probability))))),
  )
}

const tiny = part => (part < 0.01 ? "under 1 %" : percent(part))

function small(answer) {
  const { quality } = answer, fact = (name, value) => value != null && [make("dt", {}, name), make("dd", {}, value)]
  const round = (value, digits, unit) => value != null && `${value.toFixed(digits)} ${unit}`
  return make(
    "div",
    { class: "card" },
    make("h2", {}, "The photo and the reader"),
    make(
      "dl",
      { class: "facts" },
      fact("Sharpness", quality.sharpness != null && percent(quality.sharpness)),
      fact("Pixels for one step of depth", round(quality.px_per_depth_step, 1, "px")),
      fact("Tilt, roughly", round(quality.tilt_deg, 0, "°")),
      fact("Read by", answer.model_used),
      fact("Time on the server", answer.cached ? "read before" : `${Math.round(answer.processing_ms)} ms`),
    ),
    make("details", {}, make("summary", {}, "The whole answer, as programs get it"), make("pre", { tabindex: 0 }, JSON.stringify(answer, null, 1))),
  )
}
