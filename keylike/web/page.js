// The page: which state it is in, and who does what in each. The parts know nothing of one another's states.

import { Camera, isThere as hasCamera } from "./parts/camera.js"
import { find, make, percent, say } from "./parts/dom.js"
import * as history from "./parts/history.js"
import * as intake from "./parts/intake.js"
import { overlay } from "./parts/overlay.js"
import { prepare } from "./parts/photo.js"
import { TIPS, pose } from "./parts/poses.js"
import * as presence from "./parts/presence.js"
import { reading } from "./parts/reading.js"
import { failure, refusal } from "./parts/refusal.js"
import { readKey } from "./parts/server.js"
import * as tokenDialog from "./parts/token-dialog.js"
import * as token from "./parts/token.js"

const main = find("main"), seen = find("seen"), outcome = find("outcome"), work = find("work-text"), bar = find("work-bar"), note = find("start-note")
const camera = new Camera(find("video"))
let stop = new AbortController(), picture = null

function state(name) {
  main.dataset.state = name
  if (name !== "camera") camera.stop()
}

function start(words = "") {
  stop.abort()
  hold(null)
  outcome.replaceChildren()
  note.textContent = words
  note.hidden = !words
  state("start")
  find("use-camera").focus()
}

/** Shows a photo, and lets go of the one before. */
function hold(shown) {
  if (picture) URL.revokeObjectURL(picture)
  picture = shown && URL.createObjectURL(shown)
  seen.replaceChildren(...(picture ? [make("img", { src: picture, alt: "The photo that is being read" })] : []))
}

/** Shows the photo, sends it, and shows what came of it. */
async function read(file) {
  stop.abort()
  const mine = (stop = new AbortController())
  progress("Preparing the photo")
  state("busy")
  find("cancel").focus({ preventScroll: true })
  const { upload, shown } = await prepare(file)
  if (mine.signal.aborted) return
  hold(shown)
  await send(upload, mine)
}

async function send(photo, mine) {
  progress("Sending the photo")
  try {
    const answer = await readKey(photo, token.current(), sent => progress(sent < 1 ? `Sending, ${percent(sent)}` : "Reading the key", sent), mine.signal)
    seen.replaceChildren(...overlay(answer, picture).filter(Boolean))
    outcome.replaceChildren(...reading(answer, { again: () => start(), light }).filter(Boolean))
    arrive("read", `Read: ${answer.keyway}, code ${answer.bitting}, ${percent(answer.confidence)} sure`)
    await history.remember(answer).catch(() => say("The history could not keep this reading"))
  } catch (trouble) {
    if (!mine.signal.aborted) refuse(trouble, photo)
  }
}

function refuse(trouble, photo) {
  if (!trouble.code) throw trouble
  const retry = () => {
    state("busy")
    send(photo, (stop = new AbortController()))
  }
  const ways = { camera: aim, again: () => start(), retry, token: () => askForToken(retry) }
  if (trouble.code === "away") presence.away()
  outcome.replaceChildren(trouble.code === "unreadable" ? refusal(trouble.body, ways) : failure(trouble, ways))
  arrive("refused", find("outcome-title").textContent)
}

function arrive(name, words) {
  state(name)
  outcome.focus({ preventScroll: true })
  scrollTo({ top: 0 })
  say(words)
}

function progress(words, part = null) {
  work.textContent = words
  if (part === null || part >= 1) bar.removeAttribute("value")
  else bar.value = part
}

function light(position) {
  for (const mark of seen.querySelectorAll(".mark")) mark.classList.toggle("lit", mark.dataset.cut === String(position))
}

/** Opens the camera; where the page may not have it, the phone's own camera. */
async function aim() {
  if (!hasCamera()) {
    start("Browsers give the camera only to pages that came by https. Your phone’s own camera opens instead, or choose a photo.")
    find("snap").click()
    return
  }
  try {
    await camera.start()
    find("torch").hidden = !camera.hasLight
    state("camera")
    find("shoot").focus({ preventScroll: true })
    say("The camera is on")
  } catch (error) {
    camera.stop()
    start(error.message)
  }
}

function pressed(button) {
  const on = button.getAttribute("aria-pressed") !== "true"
  button.setAttribute("aria-pressed", String(on))
  return on
}

const askForToken = tokenDialog.listen(presence.look)
const takeToken = () => token.takeFromAddress() && say("The token came with the address")
takeToken()
addEventListener("hashchange", () => takeToken() && presence.look())
find("tips").append(...TIPS.map(([name, words]) => make("li", {}, pose(name), words)))
find("use-camera").addEventListener("click", aim)
find("camera-close").addEventListener("click", () => start())
find("cancel").addEventListener("click", () => start())
find("shoot").addEventListener("click", async () => read(await camera.shoot()))
find("torch").addEventListener("click", event => camera.light(pressed(event.currentTarget)))
find("flip").addEventListener("click", event => find("ghost").setAttribute("transform", pressed(event.currentTarget) ? "rotate(180 320 240)" : ""))
addEventListener("keydown", event => {
  if (event.key === "Escape" && ["camera", "busy"].includes(main.dataset.state)) start()
})
addEventListener("pagehide", () => main.dataset.state === "camera" && start())
intake.listen(read)
history.listen()
presence.listen()
presence.look()

addEventListener("beforeinstallprompt", event => {
  event.preventDefault()
  const button = find("install")
  button.hidden = false
  button.onclick = () => {
    button.hidden = true
    event.prompt()
  }
})
navigator.serviceWorker?.register("/sw.js").catch(() => {})
