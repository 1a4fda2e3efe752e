// The page: its state, and the wiring of its parts. The parts do not know the state of each other.

import { Camera, isAvailable as hasCamera } from "./parts/camera.js"
import { announce, find, make, percent } from "./parts/dom.js"
import * as history from "./parts/history.js"
import * as pictureInput from "./parts/picture-input.js"
import { overlay } from "./parts/overlay.js"
import { prepare } from "./parts/photo.js"
import { TIPS, pose } from "./parts/poses.js"
import * as serverStatus from "./parts/server-status.js"
import { reading } from "./parts/reading.js"
import { failure, refusal } from "./parts/refusal.js"
import { readKey } from "./parts/server.js"
import * as tokenDialog from "./parts/token-dialog.js"
import * as token from "./parts/token.js"

const main = find("main")
const photoView = find("photo-view")
const outcome = find("outcome")
const work = find("work-text")
const bar = find("work-bar")
const note = find("start-note")
const camera = new Camera(find("video"))
let current = new AbortController()
let picture = null

function state(name) {
  main.dataset.state = name
  if (name !== "camera") camera.stop()
}

function start(words = "") {
  current.abort()
  showPhoto(null)
  outcome.replaceChildren()
  note.textContent = words
  note.hidden = !words
  state("start")
  find("use-camera").focus()
}

/** Shows a photo and releases the previous one. */
function showPhoto(shown) {
  if (picture) URL.revokeObjectURL(picture)
  picture = shown && URL.createObjectURL(shown)
  photoView.replaceChildren(
    ...(picture ? [make("img", { src: picture, alt: "The photo being read" })] : []),
  )
}

/** Shows the photo, sends it, and shows the result. */
async function read(file) {
  current.abort()
  const controller = (current = new AbortController())
  progress("Preparing the photo")
  state("busy")
  find("cancel").focus({ preventScroll: true })
  const { upload, shown } = await prepare(file)
  if (controller.signal.aborted) return
  showPhoto(shown)
  await send(upload, controller)
}

async function send(photo, controller) {
  progress("Sending the photo")
  try {
    const answer = await readKey(
      photo,
      token.current(),
      sent => progress(sent < 1 ? `Sending, ${percent(sent)}` : "Reading the key", sent),
      controller.signal,
    )
    photoView.replaceChildren(...overlay(answer, picture).filter(Boolean))
    outcome.replaceChildren(...reading(answer, { again: () => start(), highlight }).filter(Boolean))
    showOutcome(
      "read",
      `Reading: ${answer.keyway}, code ${answer.bitting}, ${percent(answer.confidence)} confidence`,
    )
    await history
      .remember(answer)
      .catch(() => announce("The reading could not be saved in the history"))
  } catch (error) {
    if (!controller.signal.aborted) showError(error, photo)
  }
}

function showError(error, photo) {
  if (!error.code) throw error
  const retry = () => {
    state("busy")
    send(photo, (current = new AbortController()))
  }
  const handlers = {
    camera: openCamera,
    again: () => start(),
    retry,
    token: () => askForToken(retry),
  }
  if (error.code === "unreachable") serverStatus.showUnreachable()
  outcome.replaceChildren(
    error.code === "unreadable" ? refusal(error.body, handlers) : failure(error, handlers),
  )
  showOutcome("refused", find("outcome-title").textContent)
}

function showOutcome(name, words) {
  state(name)
  outcome.focus({ preventScroll: true })
  scrollTo({ top: 0 })
  announce(words)
}

function progress(words, part = null) {
  work.textContent = words
  if (part === null || part >= 1) bar.removeAttribute("value")
  else bar.value = part
}

function highlight(position) {
  for (const mark of photoView.querySelectorAll(".mark"))
    mark.classList.toggle("lit", mark.dataset.cut === String(position))
}

/** Opens the camera, or the phone's camera app if browsers give this page no camera. */
async function openCamera() {
  if (!hasCamera()) {
    start("Browsers allow the camera only on https pages. Use the camera app, or choose a photo.")
    find("snap").click()
    return
  }
  try {
    await camera.start()
    find("torch").hidden = !camera.hasLight
    state("camera")
    find("shoot").focus({ preventScroll: true })
    announce("The camera is on")
  } catch (error) {
    camera.stop()
    start(error.message)
  }
}

function togglePressed(button) {
  const on = button.getAttribute("aria-pressed") !== "true"
  button.setAttribute("aria-pressed", String(on))
  return on
}

const askForToken = tokenDialog.listen(serverStatus.refresh)
const takeToken = () => token.takeFromAddress() && announce("Token taken from the address")
takeToken()
addEventListener("hashchange", () => takeToken() && serverStatus.refresh())
find("tips").append(...TIPS.map(([name, words]) => make("li", {}, pose(name), words)))
find("use-camera").addEventListener("click", openCamera)
find("camera-close").addEventListener("click", () => start())
find("cancel").addEventListener("click", () => start())
find("shoot").addEventListener("click", async () => read(await camera.shoot()))
find("torch").addEventListener("click", event => camera.light(togglePressed(event.currentTarget)))
find("flip").addEventListener("click", event =>
  find("ghost").setAttribute(
    "transform",
    togglePressed(event.currentTarget) ? "rotate(180 320 240)" : "",
  ),
)
addEventListener("keydown", event => {
  if (event.key === "Escape" && ["camera", "busy"].includes(main.dataset.state)) start()
})
addEventListener("pagehide", () => main.dataset.state === "camera" && start())
pictureInput.listen(read)
history.listen()
serverStatus.listen()
serverStatus.refresh()

addEventListener("beforeinstallprompt", event => {
  event.preventDefault()
  const button = find("install")
  button.hidden = false
  button.onclick = () => {
    button.hidden = true
    event.prompt()
  }
})
navigator.serviceWorker?.register("sw.js").catch(() => {})
