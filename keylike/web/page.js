// The page: its state, and the wiring of its parts. The parts do not know the state of each other.

import { Camera, isAvailable as hasCamera } from "./parts/camera.js"
import { corrected } from "./parts/corrections.js"
import { announce, find, make } from "./parts/dom.js"
import * as history from "./parts/history.js"
import * as languageMenu from "./parts/language-menu.js"
import { date, percent, t } from "./parts/language.js"
import { overlay } from "./parts/overlay.js"
import { prepare } from "./parts/photo.js"
import * as pictureInput from "./parts/picture-input.js"
import { TIPS, pose } from "./parts/poses.js"
import { reading } from "./parts/reading.js"
import { failure, refusal } from "./parts/refusal.js"
import * as serverStatus from "./parts/server-status.js"
import { readKey, sample } from "./parts/server.js"
import { takeShared, wasShared } from "./parts/shared-photo.js"
import * as tokenDialog from "./parts/token-dialog.js"
import * as token from "./parts/token.js"

const main = find("main")
const photoView = find("photo-view")
const outcome = find("outcome")
const work = find("work-text")
const bar = find("work-bar")
const note = find("start-note")
const aim = find("hint")
const camera = new Camera(find("video"))
let current = new AbortController()
let picture = null
// Shows the current outcome again, such as in another language.
let render = () => {}

function state(name) {
  main.dataset.state = name
  if (name !== "camera") camera.stop()
}

function start(words = "") {
  current.abort()
  showPhoto(null)
  outcome.replaceChildren()
  render = () => {}
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
    ...(picture ? [make("img", { src: picture, alt: t("photo.alt") })] : []),
  )
}

/** Shows a photo, sends it, and shows the result. `from` is "photo" or "sample". */
async function read(file, from = "photo", retry = () => read(file, from)) {
  current.abort()
  const controller = (current = new AbortController())
  progress(t("work.preparing"))
  state("busy")
  find("cancel").focus({ preventScroll: true })
  try {
    const { upload, shown } = await prepare(await file)
    if (controller.signal.aborted) return
    showPhoto(shown)
    await send(upload, controller, from)
  } catch (error) {
    if (controller.signal.aborted) return
    showPhoto(null)
    showError(error, retry)
  }
}

function readSample() {
  read(sample(), "sample", readSample)
}

async function send(photo, controller, from) {
  progress(t("work.sending"))
  let answer
  try {
    answer = await readKey(
      photo,
      token.current(),
      sent =>
        progress(
          sent < 1 ? t("work.sending_part", { part: percent(sent) }) : t("work.reading"),
          sent,
        ),
      controller.signal,
    )
  } catch (error) {
    if (!controller.signal.aborted)
      showError(error, () => {
        state("busy")
        send(photo, (current = new AbortController()), from)
      })
    return
  }
  const saved = from === "sample" ? Promise.resolve(null) : history.remember(answer)
  saved.catch(() => announce(t("reading.not_saved")))
  showReading({
    answer,
    corrections: {},
    saved,
    note: () => (from === "sample" ? t("reading.sample") : null),
    missing: "drawing.no_picture",
  })
}

/**
 * Shows a reading, and again after each change by the user.
 *
 * @param shown `answer` as the server sent it, `corrections`, `saved` (a promise of its id in the
 *   history, or of null), `note` (returns a line above the code) and `missing` (the text in place
 *   of the photo).
 */
function showReading(shown) {
  const { answer, saved } = shown
  let { corrections } = shown
  let editing = false
  const change = (changed, focus) => {
    corrections = changed
    refresh(focus)
    announce(spoken(corrected(answer, corrections)))
    saved.then(id => id && history.revise(id, answer, corrections)).catch(() => {})
  }
  const refresh = focus => {
    photoView.classList.add("still")
    render()
    find(focus)?.focus({ preventScroll: true })
  }
  const handlers = {
    again: () => start(),
    highlight,
    refresh: name => refresh(name),
    edit: on => {
      editing = on
      refresh(on ? "depth-1" : "edit")
    },
    correct: (position, depth) =>
      change({ ...corrections, [position]: depth }, `depth-${position}`),
    undo: () => change({}, "edit"),
  }
  render = () => {
    const now = corrected(answer, corrections)
    const about = { note: shown.note(), original: answer, editing }
    photoView.replaceChildren(...overlay(now, picture, shown.missing).filter(Boolean))
    outcome.replaceChildren(...reading(now, about, handlers).filter(Boolean))
  }
  photoView.classList.remove("still")
  render()
  showOutcome("read", spoken(corrected(answer, corrections)))
}

const spoken = ({ keyway, bitting, confidence, edited }) =>
  edited
    ? t("reading.announce_edited", { keyway, code: bitting })
    : t("reading.announce", { keyway, code: bitting, confidence: percent(confidence) })

/** Shows a reading of the history. */
function reopen({ id, answer, corrections, timestamp }) {
  current.abort()
  showPhoto(null)
  showReading({
    answer,
    corrections,
    saved: Promise.resolve(id),
    note: () => t("reading.stored", { when: date(timestamp) }),
    missing: "drawing.stored",
  })
}

function showError(error, retry) {
  if (!error.code) throw error
  const handlers = {
    camera: openCamera,
    choose: () => find("file").click(),
    again: () => start(),
    retry,
    token: () => askForToken(retry),
  }
  if (error.code === "unreachable") serverStatus.showUnreachable()
  if (["unauthorized", "forbidden"].includes(error.code)) serverStatus.showToken()
  render = () =>
    outcome.replaceChildren(
      error.code === "unreadable" ? refusal(error.body, handlers) : failure(error, handlers),
    )
  render()
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
    start(t("camera.https"))
    find("snap").click()
    return
  }
  try {
    await camera.start()
    find("torch").hidden = !camera.hasLight
    state("camera")
    find("shoot").focus({ preventScroll: true })
    announce(t("camera.on"))
    showHint(null)
    let last = null
    // A hint counts once two measurements in a row agree.
    camera.watch(found => {
      if (found === last) showHint(found)
      last = found
    })
  } catch (error) {
    camera.stop()
    start(error.message)
  }
}

function showHint(name) {
  const words = t(`camera.${name ?? "aim"}`)
  aim.classList.toggle("warning", name !== null)
  // The element is a live region, so only changes are written.
  if (aim.textContent !== words) aim.textContent = words
}

function togglePressed(button) {
  const on = button.getAttribute("aria-pressed") !== "true"
  button.setAttribute("aria-pressed", String(on))
  return on
}

function showTips() {
  find("tips").replaceChildren(
    ...TIPS.map(name => make("li", {}, pose(name), t(`tips.${name}`))),
  )
}

const askForToken = tokenDialog.listen(serverStatus.refresh)
function takeToken() {
  if (token.takeFromAddress()) announce(t("token.taken"))
  if (token.current()) serverStatus.showToken()
  serverStatus.refresh()
}
addEventListener("hashchange", takeToken)
languageMenu.listen(() => {
  showTips()
  render()
  serverStatus.showAgain()
})
showTips()
find("use-camera").addEventListener("click", openCamera)
find("try-sample").addEventListener("click", readSample)
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
pictureInput.listen(file => read(file))
history.listen(reopen)
serverStatus.listen()
serverStatus.showAgain()
takeToken()

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
if (wasShared())
  takeShared().then(photo => (photo ? read(photo) : start(t("start.share_lost"))))
