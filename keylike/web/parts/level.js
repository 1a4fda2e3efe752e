// Geometry for showing a blade level: rotation, and the part of the photo to show. Points are [x,
// y] in pixels, y down.

const BLADE_SHARE = 0.66
const RATIO = 16 / 10

/** Returns a function that rotates points by `angle` (radians) around `centre`. */
export function rotation(angle, [cx, cy]) {
  const cos = Math.cos(angle)
  const sin = Math.sin(angle)
  return ([x, y]) => [cx + (x - cx) * cos - (y - cy) * sin, cy + (x - cx) * sin + (y - cy) * cos]
}

export function bounds(points) {
  const xs = points.map(point => point[0])
  const ys = points.map(point => point[1])
  const [left, right, top, bottom] = [
    Math.min(...xs),
    Math.max(...xs),
    Math.min(...ys),
    Math.max(...ys),
  ]
  return {
    left,
    right,
    top,
    bottom,
    width: right - left,
    height: bottom - top,
    centre: [(left + right) / 2, (top + bottom) / 2],
  }
}

/**
 * Returns the rotation that makes the blade level with the tip on the right. `to` rotates a point
 * of the photo and `back` reverses it. `degrees` is the rotation around `centre`, and `box` the
 * blade's bounds after it. `side` is -1 if the cuts are then above, and 1 if they are below.
 * `spacing` is the distance between cuts in pixels.
 */
export function levelled({ outline, cuts }) {
  const all = bounds(outline)
  const first = cuts[0]
  const last = cuts.at(-1)
  const along = [last.foot[0] - first.foot[0], last.foot[1] - first.foot[1]]
  const angle = -Math.atan2(along[1], along[0])
  const to = rotation(angle, all.centre)
  const side = Math.sign(to(first.root)[1] - to(first.foot)[1]) || -1
  const spacing = Math.hypot(...along) / Math.max(1, cuts.length - 1)
  return {
    to,
    back: rotation(-angle, all.centre),
    degrees: (angle * 180) / Math.PI,
    centre: all.centre,
    box: bounds(outline.map(to)),
    side,
    spacing,
  }
}

/** Returns the view box around a level blade, with more space on the side of the bow. */
export function closeUp(box, side, spacing) {
  const width = Math.max(box.width / BLADE_SHARE, (box.height + spacing * 3.2) * RATIO)
  const height = width / RATIO
  const x = box.centre[0] - width * 0.54
  const y = box.centre[1] + side * spacing * 0.35 - height / 2
  return [x, y, width, height]
}
