// Hints while the camera aims: too dark, too far away, hold still. All from small video frames.

// Size of the measured frames in pixels.
export const WIDTH = 160
export const HEIGHT = 120
// The brightest twentieth of a lit picture is brighter than this, of 255.
const DARK = 60
// Pixels that the picture moves between two frames, a third of a second apart.
const MOVING = 1.3
// Mean change of a pixel, of 255, that the noise of a camera does not reach.
const NOISE = 2
// The key's share of the picture's width.
const FAR = 0.45
// Smaller things are not the key.
const SPECK = 0.08
// Colour distance from the background, of 255 per channel.
const DIFFERENT = 34
// Pixels of a row or column that must differ from the background.
const LEAST_PIXELS = 3

/**
 * Measures a frame.
 *
 * @param {Uint8ClampedArray} pixels RGBA, of WIDTH x HEIGHT.
 * @param {Uint8Array | null} previous `grey` of the frame before.
 * @returns `grey`, `light` (the brightness that 5 % of the pixels exceed), `motion` (pixels that
 *   the picture has moved since the previous frame) and `extent` (longer side of what differs from
 *   the background, as a share of the width; 1 if the background is not plain).
 */
export function measure(pixels, previous = null) {
  const grey = new Uint8Array(WIDTH * HEIGHT)
  for (let i = 0; i < grey.length; i++)
    grey[i] = 0.299 * pixels[4 * i] + 0.587 * pixels[4 * i + 1] + 0.114 * pixels[4 * i + 2]
  return {
    grey,
    light: Uint8Array.from(grey).sort()[Math.floor(grey.length * 0.95)],
    motion: previous ? motion(grey, previous) : 0,
    extent: extent(pixels),
  }
}

/** Returns "dark", "steady", "closer", or null if the picture will do. */
export function hint({ light, motion, extent }) {
  if (light < DARK) return "dark"
  if (motion > MOVING) return "steady"
  return extent > SPECK && extent < FAR ? "closer" : null
}

/** A picture that moves by one pixel changes about as much as its neighbouring pixels differ. */
function motion(grey, previous) {
  let change = 0
  let slope = 0
  for (let i = WIDTH; i < grey.length; i++) {
    change += Math.abs(grey[i] - previous[i])
    slope += Math.max(Math.abs(grey[i] - grey[i - 1]), Math.abs(grey[i] - grey[i - WIDTH]))
  }
  return change / grey.length < NOISE ? 0 : change / Math.max(1, slope)
}

/** The background is what the border of the picture shows. */
function extent(pixels) {
  const border = []
  for (let x = 0; x < WIDTH; x++) border.push(x, (HEIGHT - 1) * WIDTH + x)
  for (let y = 1; y < HEIGHT - 1; y++) border.push(y * WIDTH, y * WIDTH + WIDTH - 1)
  const median = channel => {
    const values = border.map(i => pixels[4 * i + channel]).sort((a, b) => a - b)
    return values[values.length >> 1]
  }
  const ground = [median(0), median(1), median(2)]
  const differs = i =>
    Math.max(...ground.map((value, channel) => Math.abs(pixels[4 * i + channel] - value))) >
    DIFFERENT
  // With a patterned background there is nothing to tell the key by.
  if (border.filter(differs).length > border.length / 5) return 1
  const columns = new Uint16Array(WIDTH)
  const rows = new Uint16Array(HEIGHT)
  for (let y = 0; y < HEIGHT; y++)
    for (let x = 0; x < WIDTH; x++)
      if (differs(y * WIDTH + x)) {
        columns[x]++
        rows[y]++
      }
  return Math.max(span(columns), span(rows)) / WIDTH
}

/** Returns the distance between the first and the last entry with enough pixels. */
function span(counts) {
  const enough = count => count >= LEAST_PIXELS
  const first = counts.findIndex(enough)
  return first < 0 ? 0 : counts.findLastIndex(enough) - first + 1
}
