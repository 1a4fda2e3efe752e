// Draws the reading over its photo: the outline of the blade, and a line, depth and number for each
// cut.

import { draw, make } from "./dom.js"
import { closeUp, levelled } from "./level.js"

// Cuts with a lower probability have another colour.
const DOUBTFUL = 0.8

/**
 * Returns both views of a reading. `picture` is the URL of the photo, or null if the browser cannot
 * show it.
 */
export function overlay(answer, picture) {
  const { geometry } = answer
  if (!geometry) return [make("img", { src: picture, alt: "The photo of this reading" })]
  const level = levelled(geometry)
  const views = {
    close: view(answer, picture, level, closeUp(level.box, level.side, level.spacing), true),
    whole: view(answer, picture, level, [0, 0, geometry.width, geometry.height], false),
  }
  const buttons = Object.entries({ close: "Blade", whole: "Whole photo" }).map(([name, words]) =>
    make(
      "button",
      {
        type: "button",
        "aria-pressed": String(name === "close"),
        on: { click: () => show(name) },
        data: { view: name },
      },
      words,
    ),
  )
  function show(name) {
    for (const [each, element] of Object.entries(views))
      element.toggleAttribute("hidden", each !== name)
    for (const button of buttons)
      button.setAttribute("aria-pressed", String(button.dataset.view === name))
  }
  show("close")
  return [
    ...Object.values(views),
    !picture &&
      make(
        "p",
        { class: "no-picture" },
        "This browser cannot show this photo format, but the server can read it.",
      ),
    make("div", { class: "views", role: "group", "aria-label": "View" }, buttons),
  ]
}

function view(answer, picture, level, box, turned) {
  const { geometry } = answer
  const unit = box[2] / 100
  const place = turned ? point => point : level.back
  const turn = turned
    ? { transform: `rotate(${level.degrees} ${level.centre[0]} ${level.centre[1]})` }
    : {}
  const path = `M${geometry.outline.map(point => point.join(" ")).join("L")}z`
  const size = Math.min(level.spacing * 0.37, unit * 4.2)
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
    geometry.cuts.map((cut, i) => mark(cut, answer.cuts[i], level, place, size, unit)),
  )
}

/**
 * Returns one cut: its line over the blade, and its depth and number on either side of the blade.
 */
function mark(cut, { depth, probability, position }, level, place, size, unit) {
  const { box, side, spacing } = level
  const root = level.to(cut.root)
  const foot = level.to(cut.foot)
  const [cutSide, footSide] = side < 0 ? [box.top, box.bottom] : [box.bottom, box.top]
  const badge = place([root[0], cutSide + side * spacing * 0.72])
  const number = place([foot[0], footSide - side * spacing * 0.5])
  const line = (name, from, to, width) =>
    draw("line", {
      class: name,
      x1: from[0],
      y1: from[1],
      x2: to[0],
      y2: to[1],
      "stroke-width": width,
    })
  return draw(
    "g",
    { class: probability < DOUBTFUL ? "mark doubtful" : "mark", data: { cut: position } },
    line("casing", place(root), place(foot), unit * 0.95),
    line("leader", place(root), badge, unit * 0.25),
    line("cut", place(root), place(foot), unit * 0.45),
    draw("circle", {
      class: "badge",
      cx: badge[0],
      cy: badge[1],
      r: size,
      "stroke-width": unit * 0.25,
    }),
    draw(
      "text",
      { class: "depth", x: badge[0], y: badge[1], "font-size": size * 1.35 },
      String(depth),
    ),
    draw(
      "text",
      {
        class: "number",
        x: number[0],
        y: number[1],
        "font-size": size * 0.8,
        "stroke-width": size * 0.25,
      },
      String(position),
    ),
  )
}

function words({ cuts }) {
  const depths = cuts.map(cut => `cut ${cut.position} depth ${cut.depth}`).join(", ")
  return `The blade with its outline and ${cuts.length} cuts, starting at the bow: ${depths}`
}
