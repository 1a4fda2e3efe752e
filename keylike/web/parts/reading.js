// A reading: the code and its confidence, each cut, and the alternatives.

import { assessment } from "./assessment.js"
import { depths } from "./corrections.js"
import { button, icon, make } from "./dom.js"
import { number, percent, t } from "./language.js"
import { copy, share } from "./share.js"
import { chooseUnit, height, unit, UNITS } from "./units.js"

const level = part => (part >= 0.9 ? "" : part >= 0.7 ? "fair" : "low")
const bar = part =>
  make("span", { class: `bar ${level(part)}`, vars: { part }, "aria-hidden": "true" })

/**
 * Returns the cards of a reading.
 *
 * @param answer The reading, with corrections applied.
 * @param {{note: string | null, original: object, editing: boolean}} about A line above the code,
 *   the reading without corrections, and whether its depths can be changed.
 * @param handlers `again` starts over. `highlight` is called with the position of the cut under the
 *   pointer, or null. `edit` turns editing on or off, `correct` is called with a position and its
 *   depth, `undo` removes all corrections. `refresh` shows the reading again and focuses the
 *   element with an id.
 */
export function reading(answer, about, handlers) {
  return [
    code(answer, about, handlers),
    cuts(answer, about, handlers),
    otherCodes(about.original),
    answer.edited
      ? make("p", { class: "card muted" }, t("edited.assessment"))
      : assessment(answer.assessment),
    details(about.original),
  ]
}

function code(answer, { note, original }, { again, undo }) {
  return make(
    "div",
    { class: "card" },
    note && make("p", { class: "about", id: "about" }, note),
    make(
      "h1",
      { id: "outcome-title", class: "kind" },
      `${answer.brand} ${answer.keyway}`,
      make("span", { class: "muted" }, t("reading.cuts", { n: answer.cuts.length })),
    ),
    make(
      "ol",
      { class: "code", "aria-label": t("reading.code", { code: answer.bitting }) },
      answer.cuts.map(cut =>
        make(
          "li",
          { class: cut.read !== undefined && "edited" },
          String(cut.depth),
          make("small", {}, t("reading.cut", { n: cut.position })),
        ),
      ),
    ),
    answer.edited ? edits(original, undo) : confidence(answer),
    actions(answer, again),
    make("p", { class: "caution" }, icon("caution"), make("span", {}, t("reading.caution"))),
  )
}

function confidence(answer) {
  return make(
    "div",
    { class: "sure" },
    make(
      "p",
      {},
      make("strong", {}, t("reading.confidence", { confidence: percent(answer.confidence) })),
      ` ${t("reading.confidence_means")} ${meaning(answer)}`,
    ),
    bar(answer.confidence),
  )
}

function edits(original, undo) {
  return make(
    "div",
    { class: "edits" },
    make("strong", {}, t("edited.title")),
    make(
      "p",
      {},
      t("edited.text", { code: original.bitting, confidence: percent(original.confidence) }),
      ` ${t("reading.check")}`,
    ),
    button({ id: "undo-edits" }, undo, t("edited.undo")),
  )
}

function meaning({ confidence, calibrated }) {
  if (!calibrated) return t("reading.uncalibrated")
  return t(confidence >= 0.7 ? "reading.check" : "reading.retake")
}

/** Returns the code as text to copy; it says whether it was edited. */
export const copied = ({ bitting, edited }) =>
  edited ? t("edited.copy", { code: bitting }) : bitting

/** Shows words on a button for two seconds. */
export function flash(pressed, words) {
  const label = pressed.lastChild
  const before = pressed.dataset.words ?? label.textContent
  pressed.dataset.words = before
  label.textContent = words
  clearTimeout(Number(pressed.dataset.timer))
  pressed.dataset.timer = setTimeout(() => {
    label.textContent = before
  }, 2000)
}

function actions(answer, again) {
  const text = `${answer.brand} ${answer.keyway}: ${copied(answer)}`
  const onCopy = event => {
    const pressed = event.currentTarget
    copy(copied(answer)).then(
      () => flash(pressed, t("reading.copied")),
      () => flash(pressed, t("reading.not_allowed")),
    )
  }
  const onShare = event => {
    const pressed = event.currentTarget
    share(text).then(
      how => how === "copied" && flash(pressed, t("reading.copied")),
      () => flash(pressed, t("reading.not_allowed")),
    )
  }
  return make(
    "div",
    { class: "actions" },
    button({ class: "main first" }, again, t("reading.again")),
    button({ id: "copy" }, onCopy, icon("copy"), make("span", {}, t("reading.copy"))),
    button({ id: "share" }, onShare, icon("share"), make("span", {}, t("reading.share"))),
  )
}

function cuts(answer, { editing }, handlers) {
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
      make("th", { scope: "row", data: { name: t("cuts.cut") } }, String(cut.position)),
      make(
        "td",
        { data: { name: t("cuts.depth") } },
        depth(cut, answer.keyway, editing, handlers),
        remark(cut),
      ),
      make("td", { data: { name: t("cuts.height") } }, height(cut)),
      probability(cut),
    )
  function remark(cut) {
    if (cut.read !== undefined)
      return make("span", { class: "remark" }, t("cuts.was", { depth: cut.read }))
    return worn.has(cut.position) && make("span", { class: "mark-worn" }, t("cuts.worn"))
  }
  function lit(event, position) {
    event.currentTarget.classList.toggle("lit", position !== null)
    handlers.highlight(position)
  }
  const head = ["cuts.cut", "cuts.depth", "cuts.height"].map(key =>
    make("th", { scope: "col" }, t(key)),
  )
  return make(
    "div",
    { class: "card" },
    make(
      "table",
      { id: "cuts" },
      make("caption", {}, t("cuts.title")),
      make(
        "thead",
        {},
        make("tr", {}, head, make("th", { scope: "col", colspan: 2 }, t("cuts.probability"))),
      ),
      make("tbody", {}, answer.cuts.map(row)),
    ),
    make(
      "div",
      { class: "row" },
      button(
        { id: "edit", "aria-pressed": String(editing) },
        () => handlers.edit(!editing),
        t(editing ? "cuts.edit_done" : "cuts.edit"),
      ),
      units(handlers.refresh),
    ),
    answer.quality.other_keys &&
      make("p", { class: "muted", id: "other-keys" }, t("cuts.other_keys")),
    worn.size > 0 && make("p", { class: "muted" }, t("cuts.worn_means")),
  )
}

function depth({ position, depth: current }, keyway, editing, { correct }) {
  if (!editing) return String(current)
  // A reader may report a depth beyond the usual ones of the keyway.
  const choices = [...new Set([...depths(keyway), current])].sort((a, b) => a - b)
  return make(
    "select",
    {
      id: `depth-${position}`,
      "aria-label": t("cuts.depth_of", { n: position }),
      on: { change: event => correct(position, Number(event.currentTarget.value)) },
    },
    choices.map(each =>
      make("option", { value: each, selected: each === current }, String(each)),
    ),
  )
}

function probability({ probability: part, read }) {
  const data = { name: t("cuts.probability") }
  if (read !== undefined) return make("td", { class: "remark", colspan: 2, data }, t("cuts.by_hand"))
  return [make("td", { class: "wide" }, bar(part)), make("td", { data }, percent(part))]
}

function units(refresh) {
  return make(
    "div",
    { class: "choice", role: "group", "aria-label": t("cuts.unit") },
    UNITS.map(name =>
      button(
        { id: `unit-${name}`, "aria-pressed": String(unit() === name) },
        () => {
          chooseUnit(name)
          refresh(`unit-${name}`)
        },
        t(`cuts.${name}`),
      ),
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
    make("h2", {}, t("reading.others")),
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

const tiny = part =>
  part < 0.01 ? t("reading.unlikely", { share: percent(0.01) }) : percent(part)

function details(answer) {
  const { quality } = answer
  const fact = (name, value) =>
    value != null && [make("dt", {}, t(`details.${name}`)), make("dd", {}, value)]
  return make(
    "div",
    { class: "card" },
    make("h2", {}, t("details.title")),
    make(
      "dl",
      { class: "facts" },
      fact("sharpness", quality.sharpness != null && percent(quality.sharpness)),
      fact(
        "pixels",
        quality.px_per_depth_step != null &&
          t("number.px", { n: number(quality.px_per_depth_step, 1) }),
      ),
      fact("tilt", quality.tilt_deg != null && `${number(quality.tilt_deg)}°`),
      fact("model", answer.model_used),
      fact(
        "time",
        answer.cached
          ? t("details.cached")
          : t("number.ms", { n: number(answer.processing_ms) }),
      ),
    ),
    make(
      "details",
      {},
      make("summary", {}, t("details.json")),
      make("pre", { tabindex: 0, lang: "en" }, JSON.stringify(answer, null, 1)),
    ),
  )
}
