// The history: its switch, its entries and their deletion. It is off by default.

import { announce, find, make, percent } from "./dom.js"
import { add, canEncrypt, clear, list, remove, replace } from "./encrypted-store.js"

const SWITCH = "keylike.history"
const isOn = () => localStorage.getItem(SWITCH) === "on"

const SECURITY_NOTE = [
  "Entries are stored only in this browser.",
  "They are encrypted (AES-GCM, 256 bits) with a key that scripts cannot export.",
  "This protects the entries if someone copies only them.",
  "It does not protect them from someone who holds this device unlocked,",
  "or who copies all data of this browser.",
  "The screen lock and the encryption of the device do that.",
  "Photos and tokens are never stored here.",
].join(" ")

/** Stores a reading if the history is on. */
export async function remember({ keyway, brand, bitting, confidence, model_used, timestamp }) {
  if (isOn() && canEncrypt())
    await add({ keyway, brand, bitting, confidence, model_used, timestamp, name: "" })
}

/** Connects the button that opens the history. */
export function listen() {
  const dialog = find("history")
  find("open-history").addEventListener("click", async () => {
    await show(dialog)
    dialog.showModal()
  })
}

async function show(dialog) {
  const entries = canEncrypt() ? await list() : []
  dialog.replaceChildren(
    make(
      "div",
      { class: "sheet" },
      make("h2", { id: "history-title" }, "History"),
      canEncrypt()
        ? choice()
        : make(
            "p",
            { class: "note" },
            "The history needs https or a page of this machine: browsers encrypt only there.",
          ),
      entries.length
        ? make(
            "ul",
            { class: "saved" },
            entries.map(entry => item(entry, dialog)),
          )
        : make("p", {}, "There are no readings."),
      make("p", { class: "security-note" }, SECURITY_NOTE),
      make(
        "div",
        { class: "row" },
        make(
          "button",
          { type: "button", class: "main", on: { click: () => dialog.close() } },
          "Close",
        ),
        entries.length > 0 &&
          make(
            "button",
            {
              type: "button",
              class: "danger",
              id: "clear",
              on: { click: () => confirmFirst(dialog, clear) },
            },
            "Delete all",
          ),
      ),
    ),
  )
}

function choice() {
  const box = make("input", { type: "checkbox", id: "keep-history", checked: isOn() })
  box.addEventListener("change", () => localStorage.setItem(SWITCH, box.checked ? "on" : "off"))
  return make(
    "label",
    { class: "check" },
    box,
    make(
      "span",
      {},
      "Save new readings on this device. Saved readings stay until you delete them.",
    ),
  )
}

function item(entry, dialog) {
  const { id, ...reading } = entry
  const when = new Date(reading.timestamp)
  const shown = when.toLocaleString([], { dateStyle: "medium", timeStyle: "short" })
  const name = make("input", {
    type: "text",
    value: reading.name,
    placeholder: "Name: front door, shed …",
    maxlength: 60,
    "aria-label": `Name of the reading from ${shown}`,
  })
  name.addEventListener("change", () =>
    replace(id, Object.assign(reading, { name: name.value })).then(() => announce("Name saved")),
  )
  return make(
    "li",
    {},
    make(
      "div",
      {},
      make("code", {}, reading.bitting),
      make(
        "p",
        { class: "when" },
        `${reading.brand} ${reading.keyway}, ${percent(reading.confidence)} confidence, ${shown}`,
      ),
    ),
    make(
      "button",
      {
        type: "button",
        class: "danger",
        "aria-label": `Delete the reading from ${shown}`,
        on: { click: () => update(dialog, () => remove(id)) },
      },
      "Delete",
    ),
    name,
  )
}

async function update(dialog, change) {
  await change()
  await show(dialog)
  dialog.querySelector("button.main").focus()
  announce("Deleted")
}

/** Asks for confirmation on the button itself, since deletion is final. */
function confirmFirst(dialog, change) {
  const button = dialog.querySelector("#clear")
  if (button.dataset.asked) update(dialog, change)
  else {
    button.dataset.asked = "yes"
    button.textContent = "Delete all?"
    announce("Press again to delete all")
  }
}
