// The camera: the rear one if there are several, its light, hints, and single pictures.

import { HEIGHT, hint, measure, WIDTH } from "./camera-hints.js"
import { t } from "./language.js"
import { jpeg } from "./photo.js"

// Browsers allow the camera only on https pages and on pages of this machine.
export const isAvailable = () => Boolean(navigator.mediaDevices?.getUserMedia)

const FAULTS = {
  NotAllowedError: "camera.not_allowed",
  NotFoundError: "camera.not_found",
  NotReadableError: "camera.in_use",
}
const MEASURE_MS = 330

export class Camera {
  #video
  #stream = null
  #timer = 0

  constructor(video) {
    this.#video = video
  }

  /** Starts the camera. Throws an Error with a message for the user. */
  async start() {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: {
          facingMode: { ideal: "environment" },
          width: { ideal: 2560 },
          height: { ideal: 1920 },
        },
      })
      // A second click may already have started a stream.
      this.stop()
      this.#stream = this.#video.srcObject = stream
      await this.#video.play()
    } catch (error) {
      throw new Error(t(FAULTS[error.name] ?? "camera.failed"))
    }
  }

  /** Calls `show` with the name of a hint, or null, several times per second until `stop`. */
  watch(show) {
    const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT })
    const pen = canvas.getContext("2d", { willReadFrequently: true })
    let previous = null
    this.#timer = setInterval(() => {
      const { videoWidth, videoHeight } = this.#video
      if (!videoWidth) return
      pen.drawImage(this.#video, ...visible(videoWidth, videoHeight), 0, 0, WIDTH, HEIGHT)
      const found = measure(pen.getImageData(0, 0, WIDTH, HEIGHT).data, previous)
      previous = found.grey
      show(hint(found))
    }, MEASURE_MS)
  }

  get hasLight() {
    return Boolean(this.#track?.getCapabilities?.().torch)
  }

  light(on) {
    return this.#track.applyConstraints({ advanced: [{ torch: on }] })
  }

  /** Returns the current picture as a JPEG. */
  shoot() {
    return jpeg(this.#video, this.#video.videoWidth, this.#video.videoHeight)
  }

  stop() {
    clearInterval(this.#timer)
    for (const track of this.#stream?.getTracks() ?? []) track.stop()
    this.#stream = this.#video.srcObject = null
  }

  get #track() {
    return this.#stream?.getVideoTracks()[0]
  }
}

/** Returns the part of the video that the viewfinder shows: x, y, width, height. */
function visible(width, height) {
  const shown = Math.min(width, (height * WIDTH) / HEIGHT)
  const high = (shown * HEIGHT) / WIDTH
  return [(width - shown) / 2, (height - high) / 2, shown, high]
}
