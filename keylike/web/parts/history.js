// The history: whether there is one, what is in it, and its deletion. Off until it is turned on.

import { find, make, percent, say } from "./dom.js"
import { add, canKeep, clear, list, remove, replace } from "./vault.js"

const SWITCH = "keylike.history"
const isOn = () => localStorage.getItem(SWITCH) === "on"

const HONEST = `The entries lie in this browser alone and are encrypted (AES-GCM, 256 bits) with a key that no script can take out of it. That helps where only
the entries get into other hands. It does not help against somebody who holds this device unlocked, or who copies everything this browser has stored:
the device’s own lock and encryption do. No photo and no token is kept.`

/** Keeps an answer if the history is on. */
export async function remember({ keyway, brand, bitting, confidence, model_used, timestamp }) {
  if (isOn() && canKeep()) await add({ keyway, brand, bitting, confidence, model_used, timestamp, name: "" })
}

/** Makes its button work. */
export function listen() {
  const dialog = find("history")
  find("open-history").addEventListener("click", async () => {
    await show(dialog)
    dialog.showModal()
  })
}

async function show(dialog) {
  const entries = canKeep() ? await list() : []
  dialog.replaceChildren(
    make(
      "div",
      { class: "sheet" },
      make("h2", { id: "history-title" }, "History"),
      canKeep() ? choice() : make("p", { class: "note" }, "A history needs a page that came by https or from this machine: only there do browsers encrypt."),
      entries.length ? make("ul", { class: "kept" }, entries.map(entry => item(entry, dialog))) : make("p", {}, "Nothing is kept."),
      make("p", { class: "honest" }, HONEST),
      make(
        "div",
        { class: "row" },
        make("button", { type: "button", class: "main", on: { click: () => dialog.close() } }, "Close"),
        entries.length > 0 && make("button", { type: "button", class: "danger", id: "clear", on: { click: () => sure(dialog, clear) } }, "Delete all"),
      ),
    ),
  )
}

function choice() {
  const box = make("input", { type: "checkbox", id: "keep-history", checked: isOn() })
  box.addEventListener("change", () => localStorage.setItem(SWITCH, box.checked ? "on" : "off"))
  return make("label", { class: "check" }, box, make("span", {}, "Keep readings on this device from now on. Those that are kept stay until they are deleted."))
}

function item(entry, dialog) {
  const { id, ...kept } = entry, when = new Date(kept.timestamp)
  const shown = when.toLocaleString([], { dateStyle: "medium", timeStyle: "short" })
  const name = make("input", { type: "text", value: kept.name, placeholder: "Name it: front door, shed …", maxlength: 60, "aria-label": `Name of the reading of ${shown}` })
  name.addEventListener("change", () => replace(id, Object.assign(kept, { name: name.value })).then(() => say("Named")))
  return make(
    "li",
    {},
    make("div", {}, make("code", {}, kept.bitting), make("p", { class: "when" }, `${kept.brand} ${kept.keyway}, ${percent(kept.confidence)} sure, ${shown}`)),
    make("button", { type: "button", class: "danger", "aria-label": `Delete the reading of ${shown}`, on: { click: () => renew(dialog, () => remove(id)) } }, "Delete"),
    name,
  )
}

async function renew(dialog, change) {
  await change()
  await show(dialog)
  dialog.querySelector("button.main").focus()
  say("Deleted")
}

/** Asks once more in the button's own words, since nothing brings them back. */
function sure(dialog, change) {
  const button = dialog.querySelector("#clear")
  if (button.dataset.asked) renew(dialog, change)
  else {
    button.dataset.asked = "yes"
    button.textContent = "Really delete all?"
    say("Press again to delete all")
  }
}
