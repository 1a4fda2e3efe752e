// The unit of the blade height, millimetres or inches, remembered on this device.

import { number, t } from "./language.js"

const STORED = "keylike.unit"

export const UNITS = ["mm", "in"]

export const unit = () => (localStorage.getItem(STORED) === "in" ? "in" : "mm")

export const chooseUnit = name => localStorage.setItem(STORED, name)

/** Returns the blade height under a cut in the chosen unit. */
export function height({ depth_mm, height_in }) {
  return unit() === "in"
    ? t("number.in", { n: number(height_in, 3) })
    : t("number.mm", { n: number(depth_mm, 2) })
}
