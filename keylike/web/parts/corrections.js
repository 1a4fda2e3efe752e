// Corrections by hand: a reading with other depths for some of its cuts.

// The makers' depth numbers: Kwikset has 1 to 7, Schlage and most others 0 to 9.
const RANGES = [[/^KW/, 1, 7]]

/** Returns the depths that a cut of a keyway may have, shallowest first. */
export function depths(keyway) {
  const [, first, last] = RANGES.find(([family]) => family.test(keyway)) ?? [null, 0, 9]
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

/**
 * Returns the reading with the depths of `corrections`, a depth by position. Corrected cuts have
 * `read`, the depth that was read. `edited` tells whether there are any.
 */
export function corrected(answer, corrections) {
  const cuts = answer.cuts.map(cut => {
    const depth = corrections[cut.position] ?? cut.depth
    return depth === cut.depth ? cut : { ...cut, depth, read: cut.depth }
  })
  const edited = cuts.some(cut => cut.read !== undefined)
  return { ...answer, cuts, edited, bitting: cuts.map(cut => cut.depth).join(",") }
}
