// Makes a photo ready on the phone: upright, no larger than the reader looks at, and without what the camera wrote into it.

// The server reads no more than this.
const LONG_SIDE = 2048
const QUALITY = 0.9
// A picture that is small already goes as it is: encoding it anew would only cost sharpness.
const SMALL_BYTES = 1_500_000

/**
 * `upload` is what to send, `shown` what to show, null where this browser cannot open the picture (HEIC, outside Safari): that one goes as
 * it is, and the server opens it.
 */
export async function prepare(file) {
  const bitmap = await open(file)
  if (!bitmap) return { upload: file, shown: null }
  const scale = Math.min(1, LONG_SIDE / Math.max(bitmap.width, bitmap.height))
  const shown = await jpeg(bitmap, Math.round(bitmap.width * scale), Math.round(bitmap.height * scale))
  bitmap.close()
  const asItIs = scale === 1 && file.size <= SMALL_BYTES && ["image/jpeg", "image/png", "image/webp"].includes(file.type)
  return { upload: asItIs ? file : shown, shown }
}

/** Upright, as all browsers do it unasked that do not know the word for it. */
const open = file => createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => createImageBitmap(file)).catch(() => null)

/** A JPEG of whatever can be drawn. */
export function jpeg(source, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height }), pen = canvas.getContext("2d")
  pen.imageSmoothingQuality = "high"
  pen.drawImage(source, 0, 0, width, height)
  return new Promise(resolve => canvas.toBlob(resolve, "image/jpeg", QUALITY))
}
