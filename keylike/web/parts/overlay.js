// Draws the reading over its photo: the outline of the blade, and a line, depth and number for each
// cut.

import { button, draw, make } from "./dom.js"
import { t } from "./language.js"
import { bounds, closeUp, levelled } from "./level.js"

// Cuts with a lower probability have another colour.
const DOUBTFUL = 0.8
// Smallest radius of a depth's badge and smallest type of a cut's number, in CSS pixels.
const BADGE = 10
const TYPE = 12
// Space that the page leaves the drawing: its share of the window, and its widest column in pixels.
const WIDTH_SHARE = 0.9
const HEIGHT_SHARE = 0.72
const WIDEST = 680
let chosenView = "close"

/**
 * Returns both views of a reading. `picture` is the URL of the photo, or null if there is none to
 * show; `missing` is the text that explains this.
 */
export function overlay(answer, picture, missing) {
  const { geometry } = answer
  const explanation = !picture && make("p", { class: "no-picture" }, t(missing))
  if (!geometry)
    return [picture ? make("img", { src: picture, alt: t("photo.read") }) : explanation]
  const level = levelled(geometry)
  const views = {
    close: view(answer, picture, level, closeUp(level.box, level.side, level.spacing), true),
    whole: view(answer, picture, level, [0, 0, geometry.width, geometry.height], false),
  }
  const buttons = ["close", "whole"].map(name =>
    button(
      { data: { view: name } },
      () => show(name),
      t(name === "close" ? "drawing.blade" : "drawing.whole"),
    ),
  )
  function show(name) {
    chosenView = name
    for (const [each, element] of Object.entries(views))
      element.toggleAttribute("hidden", each !== name)
    for (const each of buttons) each.setAttribute("aria-pressed", String(each.dataset.view === name))
  }
  show(chosenView)
  return [
    ...Object.values(views),
    explanation,
    make("div", { class: "views", role: "group", "aria-label": t("drawing.view") }, buttons),
  ]
}

function view(answer, picture, level, box, turned) {
  const { geometry } = answer
  const unit = box[2] / 100
  const turn = turned
    ? { transform: `rotate(${level.degrees} ${level.centre[0]} ${level.centre[1]})` }
    : {}
  const path = `M${geometry.outline.map(point => point.join(" ")).join("L")}z`
  const style = turned ? closeStyle(level, unit) : wholeStyle(level, box)
  return draw(
    "svg",
    {
      class: "drawn",
      viewBox: box.join(" "),
      role: "img",
      "aria-label": words(answer),
      vars: { ratio: box[2] / box[3] },
    },
    draw(
      "g",
      turn,
      picture && draw("image", { href: picture, width: geometry.width, height: geometry.height }),
      draw("path", { class: "casing", d: path, "stroke-width": unit * 0.95 }),
      draw("path", { class: "outline", d: path, "stroke-width": unit * 0.42, pathLength: 1 }),
    ),
    marks(answer, level, style, unit),
  )
}

/** Sizes and distances of the labels in the close-up, which is wide enough for them. */
function closeStyle({ spacing }, unit) {
  const badge = Math.min(spacing * 0.37, unit * 4.2)
  return {
    badge,
    type: badge * 0.8,
    apart: 0,
    badgeAway: spacing * 0.72,
    numberAway: spacing * 0.5,
    place: point => point,
    fits: points => points,
  }
}

/** The same on the whole photo, where labels are wider than the distance between the cuts. */
function wholeStyle({ spacing, back }, box) {
  const pixel = Math.max(
    box[2] / Math.min(WIDTH_SHARE * innerWidth, WIDEST),
    box[3] / (HEIGHT_SHARE * innerHeight),
  )
  const badge = Math.max(spacing * 0.37, BADGE * pixel)
  const type = Math.max(badge * 0.8, TYPE * pixel)
  return {
    badge,
    type,
    apart: badge * 2.2,
    badgeAway: Math.max(spacing * 0.72, badge * 2.2),
    numberAway: Math.max(spacing * 0.5, type * 1.6),
    place: back,
    fits: points => inside(points, box, badge * 1.1),
  }
}

/** Moves points together so that all are inside the box, `margin` from its edges. */
function inside(points, [, , width, height], margin) {
  const { left, right, top, bottom } = bounds(points)
  const shift = (low, high, end) =>
    Math.max(0, margin - low) || Math.min(0, end - margin - high)
  const dx = shift(left, right, width)
  const dy = shift(top, bottom, height)
  return points.map(([x, y]) => [x + dx, y + dy])
}

/** Returns the places along a level blade, at least `apart` from each other. */
function spread(places, apart) {
  const last = places.length - 1
  const pitch = (places[last] - places[0]) / Math.max(1, last)
  if (pitch >= apart) return places
  const middle = (places[0] + places[last]) / 2
  return places.map((_, i) => middle + (i - last / 2) * apart)
}

/** Returns the cuts: lines over the blade, depths on the side of the cuts, numbers on the other. */
function marks({ geometry, cuts }, level, style, unit) {
  const { box: blade, side } = level
  const roots = geometry.cuts.map(cut => level.to(cut.root))
  const feet = geometry.cuts.map(cut => level.to(cut.foot))
  const [cutSide, footSide] = side < 0 ? [blade.top, blade.bottom] : [blade.bottom, blade.top]
  const row = (points, y) =>
    style.fits(
      spread(
        points.map(point => point[0]),
        style.apart,
      ).map(x => style.place([x, y])),
    )
  const badges = row(roots, cutSide + side * style.badgeAway)
  const numbers = row(feet, footSide - side * style.numberAway)
  return cuts.map((cut, i) =>
    mark(cut, {
      root: style.place(roots[i]),
      foot: style.place(feet[i]),
      badge: badges[i],
      number: numbers[i],
      style,
      unit,
    }),
  )
}

function mark({ depth, probability, position, read }, { root, foot, badge, number, style, unit }) {
  const line = (name, from, to, width) =>
    draw("line", {
      class: name,
      x1: from[0],
      y1: from[1],
      x2: to[0],
      y2: to[1],
      "stroke-width": width,
    })
  const look = read !== undefined ? "mark edited" : probability < DOUBTFUL ? "mark doubtful" : "mark"
  return draw(
    "g",
    { class: look, data: { cut: position } },
    line("casing", root, foot, unit * 0.95),
    line("leader", root, badge, unit * 0.25),
    style.apart > 0 && line("leader", foot, number, unit * 0.25),
    line("cut", root, foot, unit * 0.45),
    draw("circle", {
      class: "badge",
      cx: badge[0],
      cy: badge[1],
      r: style.badge,
      "stroke-width": unit * 0.25,
    }),
    draw(
      "text",
      { class: "depth", x: badge[0], y: badge[1], "font-size": style.badge * 1.35 },
      String(depth),
    ),
    draw(
      "text",
      {
        class: "number",
        x: number[0],
        y: number[1],
        "font-size": style.type,
        "stroke-width": style.type * 0.3,
      },
      String(position),
    ),
  )
}

function words({ cuts }) {
  const depths = cuts.map(cut => t("drawing.cut", { n: cut.position, depth: cut.depth }))
  return t("drawing.words", { n: cuts.length, cuts: depths.join(", ") })
}
