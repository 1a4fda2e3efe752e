// The camera: the rear one where there is a choice, its light, and one picture out of it.

import { jpeg } from "./photo.js"

// Browsers give the camera to pages that came by TLS or from this machine alone.
export const isThere = () => Boolean(navigator.mediaDevices?.getUserMedia)

const WORDS = {
  NotAllowedError: "The browser was not allowed to use the camera. Allow it in the page’s settings, or choose a photo.",
  NotFoundError: "No camera was found. Choose a photo.",
  NotReadableError: "Another program has the camera. Close it, or choose a photo.",
}

export class Camera {
  #video
  #stream = null

  constructor(video) {
    this.#video = video
  }

  /** Raises an Error whose message is for people. */
  async start() {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: { ideal: "environment" }, width: { ideal: 2560 }, height: { ideal: 1920 } },
      })
      // Whoever was quicker to ask twice.
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

  /** What it sees now, a JPEG. */
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
