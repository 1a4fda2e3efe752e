// The arithmetic of laying a blade level: turns, and what part of the photo to show. Points are [x, y] in pixels, y down.

const BLADE_SHARE = 0.66
const RATIO = 16 / 10

/** A turn by `angle` (radians) about `centre`, as a function of points. */
export function turner(angle, [cx, cy]) {
  const cos = Math.cos(angle), sin = Math.sin(angle)
  return ([x, y]) => [cx + (x - cx) * cos - (y - cy) * sin, cy + (x - cx) * sin + (y - cy) * cos]
}

export function bounds(points) {
  const xs = points.map(point => point[0]), ys = points.map(point => point[1])
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)]
  return { left, right, top, bottom, width: right - left, height: bottom - top, centre: [(left + right) / 2, (top + bottom) / 2] }
}

/**
 * How the blade comes to lie level, the tip to the right. `to` turns a point of the photo so, `back` turns it back; `degrees` is the turn
 * about `centre`, `box` the blade's bounds after it, `side` -1 where the cuts then are above and 1 where below, `spacing` pixels from cut to cut.
 */
export function levelled({ outline, cuts }) {
  const all = bounds(outline), first = cuts[0], last = cuts.at(-1)
  const along = [last.foot[0] - first.foot[0], last.foot[1] - first.foot[1]]
  const angle = -Math.atan2(along[1], along[0])
  const to = turner(angle, all.centre)
  const side = Math.sign(to(first.root)[1] - to(first.foot)[1]) || -1
  const spacing = Math.hypot(...along) / Math.max(1, cuts.length - 1)
  return { to, back: turner(-angle, all.centre), degrees: (angle * 180) / Math.PI, centre: all.centre, box: bounds(outline.map(to)), side, spacing }
}

/** The view box around a level blade, a little further towards the bow. */
export function closeUp(box, side, spacing) {
  const width = Math.max(box.width / BLADE_SHARE, (box.height + spacing * 3.2) * RATIO), height = width / RATIO
  const x = box.centre[0] - width * 0.54, y = box.centre[1] + side * spacing * 0.35 - height / 2
  return [x, y, width, height]
}
