// The camera: the rear one if there are several, its light, and single pictures.

import { jpeg } from "./photo.js"

// Browsers allow the camera only on https pages and on pages of this machine.
export const isAvailable = () => Boolean(navigator.mediaDevices?.getUserMedia)

const WORDS = {
  NotAllowedError:
    "The browser may not use the camera. Allow it in the page’s settings, or choose a photo.",
  NotFoundError: "No camera was found. Choose a photo.",
  NotReadableError: "Another program is using the camera. Close it, or choose a photo.",
}

export class Camera {
  #video
  #stream = null

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
      throw new Error(WORDS[error.name] ?? "The camera cannot be used. Choose a photo.")
    }
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
    for (const track of this.#stream?.getTracks() ?? []) track.stop()
    this.#stream = this.#video.srcObject = null
  }

  get #track() {
    return this.#stream?.getVideoTracks()[0]
  }
}
