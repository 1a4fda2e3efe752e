// Small pictures of how to hold phone and key, for the tips and next to the advice.

import { draw } from "./dom.js"

const path = (name, d) => draw("path", { class: name, d })
const key = (name, x, y, width, turn = "") =>
  draw("use", {
    class: name,
    href: "#key",
    x,
    y,
    width,
    height: (width * 220) / 540,
    transform: turn,
  })
const text = (x, y, words) => draw("text", { x, y }, words)
const CORNERS = "M30 54V34h20M190 34h20v20M210 126v20h-20M50 146H30v-20"
const phone = (turn = "") =>
  draw("rect", { class: "body", x: 78, y: 40, width: 84, height: 16, rx: 6, transform: turn })
const tick = (x, y) => path("tick", `M${x - 9} ${y}l7 8 12-16`)
const cross = (x, y) => path("cross", `M${x - 7} ${y - 7}l14 14m0-14l-14 14`)

const PICTURES = {
  // Side view: the key on the table, the phone directly above it.
  above: () => [
    phone(),
    path("thin", "M84 64 44 128M156 64l40 64"),
    path("edge", "M24 146h192"),
    draw("rect", { class: "metal", x: 60, y: 134, width: 120, height: 10, rx: 3 }),
    tick(204, 44),
  ],
  tilted: () => [
    phone(),
    path("thin", "M120 62v66"),
    path("edge", "M24 146h192"),
    draw("rect", { class: "metal", x: 60, y: 134, width: 120, height: 10, rx: 3 }),
    draw("rect", {
      class: "faint",
      x: 60,
      y: 134,
      width: 120,
      height: 10,
      rx: 3,
      transform: "rotate(-24 60 144)",
    }),
    tick(204, 44),
  ],
  flat: () => [
    draw("rect", { class: "body", x: 20, y: 24, width: 200, height: 132, rx: 10 }),
    key("metal", 44, 60, 152),
  ],
  fill: () => [path("corner", CORNERS), key("metal", 38, 57, 166)],
  closer: () => [
    path("corner", CORNERS),
    key("faint", 92, 80, 52),
    key("metal", 38, 57, 166),
    path("edge", "M120 20v-8m0 156v-8M16 90h8m192 0h8"),
  ],
  whole: () => [
    path("corner", CORNERS),
    key("metal", 38, 57, 166),
    path("thin", "M210 34v112"),
    tick(218, 24),
  ],
  steady: () => [
    path("corner", CORNERS),
    key("metal", 38, 57, 166),
    draw("circle", { class: "edge", cx: 150, cy: 90, r: 22 }),
    draw("circle", { class: "edge", cx: 150, cy: 90, r: 5 }),
  ],
  light: () => [
    path("glow", "M22 30 214 152H60z"),
    draw("circle", { class: "body", cx: 28, cy: 34, r: 13 }),
    path("edge", "M24 152h192"),
    draw("rect", { class: "metal", x: 84, y: 139, width: 100, height: 11, rx: 3 }),
    phone("translate(14 -16)"),
    path("thin", "M134 48v86"),
  ],
  uncut: () => [
    key("metal", 20, 16, 130),
    draw("rect", { class: "metal", x: 66, y: 114, width: 84, height: 17, rx: 4 }),
    draw("circle", { class: "metal", cx: 46, cy: 122, r: 25 }),
    tick(192, 42),
    cross(192, 122),
  ],
  stamp: () => [
    draw("circle", { class: "metal", cx: 92, cy: 90, r: 66 }),
    draw("rect", { class: "metal", x: 148, y: 66, width: 80, height: 48 }),
    text(92, 98, "SC1"),
    draw("circle", { class: "edge", cx: 92, cy: 90, r: 34 }),
  ],
}

const OF_REASON = {
  not_a_key: "fill",
  several_keys: "flat",
  no_cuts: "uncut",
  unsupported_keyway: "stamp",
  too_small: "closer",
  too_blurred: "steady",
  glare: "light",
  cropped: "whole",
  too_tilted: "tilted",
}

/**
 * Returns the picture of that name. It is hidden from screen readers, since the text next to it
 * says the same.
 */
export function pose(name) {
  return draw(
    "svg",
    { class: "pose", viewBox: "0 0 240 180", "aria-hidden": "true" },
    PICTURES[name](),
  )
}

export const poseFor = reason => pose(OF_REASON[reason] ?? "above")

// Pictures of the tips; their texts are "tips." with the name.
export const TIPS = ["flat", "fill", "above"]
