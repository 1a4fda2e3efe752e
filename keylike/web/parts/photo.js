// Prepares a photo for upload: upright, no larger than the reader needs, and without metadata.

// Pixels. The reader uses no more than this.
const LONG_SIDE = 2048
const QUALITY = 0.9
// Smaller pictures are sent unchanged, since encoding them again would only reduce sharpness.
const SMALL_BYTES = 1_500_000
// First bytes of pictures that the server may know although this browser does not show them.
const SIGNATURES = [
  /^.{4}ftyp(hei[cxms]|hev[cxms]|mif1|msf1|avi[fs])/s, // HEIC, AVIF
  /^\xff\xd8\xff/, // JPEG
  /^\x89PNG/,
  /^GIF8/,
  /^RIFF.{4}WEBP/s,
  /^(II\*\0|MM\0\*)/, // TIFF
  /^BM/,
  /^(\xff\x0a|\0{3}\x0cJXL )/, // JPEG XL
]

/** A file that is not a picture. `code` is "wrong_file" or "empty_file". */
export class FileError extends Error {
  constructor(code, name) {
    super(code)
    Object.assign(this, { code, body: { name } })
  }
}

/**
 * Returns `upload`, the file to send, and `shown`, the picture to show. `shown` is null if this
 * browser cannot decode the picture (HEIC outside Safari); the file is then sent unchanged for the
 * server to decode. Throws FileError.
 */
export async function prepare(file) {
  const bitmap = await open(file)
  if (!bitmap) {
    const code = await faultOf(file)
    if (code) throw new FileError(code, file.name)
    return { upload: file, shown: null }
  }
  const scale = Math.min(1, LONG_SIDE / Math.max(bitmap.width, bitmap.height))
  const shown = await jpeg(
    bitmap,
    Math.round(bitmap.width * scale),
    Math.round(bitmap.height * scale),
  )
  bitmap.close()
  const unchanged =
    scale === 1 &&
    file.size <= SMALL_BYTES &&
    ["image/jpeg", "image/png", "image/webp"].includes(file.type)
  return { upload: unchanged ? file : shown, shown }
}

/** Decodes a picture upright. Browsers that do not know the option rotate by default. */
const open = file =>
  createImageBitmap(file, { imageOrientation: "from-image" })
    .catch(() => createImageBitmap(file))
    .catch(() => null)

/** Returns the fault of a file that no server could read, or null. Folders cannot be opened. */
async function faultOf(file) {
  const head = await file
    .slice(0, 16)
    .arrayBuffer()
    .catch(() => null)
  if (!head) return "wrong_file"
  if (!head.byteLength) return "empty_file"
  const text = String.fromCharCode(...new Uint8Array(head))
  return SIGNATURES.some(signature => signature.test(text)) ? null : "wrong_file"
}

/** Returns a JPEG of anything that a canvas can draw. */
export function jpeg(source, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height })
  const pen = canvas.getContext("2d")
  pen.imageSmoothingQuality = "high"
  pen.drawImage(source, 0, 0, width, height)
  return new Promise(resolve => canvas.toBlob(resolve, "image/jpeg", QUALITY))
}
