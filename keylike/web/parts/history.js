// The history: its switch, its entries, their deletion and export. It is off by default.

import { corrected } from "./corrections.js"
import { csv } from "./csv.js"
import { announce, button, find, make } from "./dom.js"
import { canEncrypt, clear, list, put, remove } from "./encrypted-store.js"
import { date, percent, t } from "./language.js"
import { copied, flash } from "./reading.js"
import { copy } from "./share.js"

const SWITCH = "keylike.history"
const isOn = () => localStorage.getItem(SWITCH) === "on"
// Entries deleted since the dialog was opened. They can be restored until it is closed.
let deleted = []

/** Returns what is stored of a reading: what the list shows, and all that opening it needs. */
function entryOf(answer, corrections, name) {
  const { keyway, brand, bitting, confidence, model_used, timestamp, edited } = corrected(
    answer,
    corrections,
  )
  const shown = { keyway, brand, bitting, confidence, model_used, timestamp, edited }
  return { ...shown, name, answer, corrections }
}

/** Stores a reading if the history is on, and returns its id, or null. */
export async function remember(answer) {
  return isOn() && canEncrypt() ? put(entryOf(answer, {}, "")) : null
}

/** Stores the corrections of a reading, unless it has been deleted. */
export async function revise(id, answer, corrections) {
  const entry = (await list()).find(each => each.id === id)
  if (entry) await put(entryOf(answer, corrections, entry.name), id)
}

/** Connects the button that opens the history. `reopen` is called with an entry to show again. */
export function listen(reopen) {
  const dialog = find("history")
  const open = entry => {
    dialog.close()
    reopen(entry)
  }
  find("open-history").addEventListener("click", async () => {
    await show(dialog, open)
    dialog.showModal()
  })
  dialog.addEventListener("close", () => {
    deleted = []
    dialog.replaceChildren()
  })
}

async function show(dialog, open) {
  const entries = canEncrypt() ? await list() : []
  const change = (act, words, focus) => async () => {
    await act()
    await show(dialog, open)
    dialog.querySelector(focus)?.focus()
    announce(words())
  }
  dialog.replaceChildren(
    make(
      "div",
      { class: "sheet" },
      make("h2", { id: "history-title" }, t("history")),
      canEncrypt() ? choice() : make("p", { class: "note" }, t("history.https")),
      deleted.length > 0 && undoLine(change),
      entries.length
        ? make(
            "ul",
            { class: "saved" },
            entries.map(entry => item(entry, open, change)),
          )
        : make("p", {}, t("history.none")),
      make(
        "details",
        {},
        make("summary", {}, t("history.how")),
        make("p", { class: "security-note" }, t("history.security")),
      ),
      make(
        "div",
        { class: "row" },
        button({ class: "main" }, () => dialog.close(), t("close")),
        entries.length > 0 && [
          button({ id: "export" }, async () => download(await list()), t("history.export")),
          deleteAll(change),
        ],
      ),
    ),
  )
}

function choice() {
  const box = make("input", { type: "checkbox", id: "keep-history", checked: isOn() })
  box.addEventListener("change", () => localStorage.setItem(SWITCH, box.checked ? "on" : "off"))
  return make("label", { class: "check" }, box, make("span", {}, t("history.save")))
}

const deletedWords = () => t("history.deleted", { n: deleted.length })

function undoLine(change) {
  const restore = async () => {
    for (const { id, ...entry } of deleted) await put(entry, id)
    deleted = []
  }
  return make(
    "p",
    { class: "undo" },
    make("span", {}, deletedWords()),
    button({ id: "undo" }, change(restore, () => t("history.restored"), ".main"), t("history.undo")),
  )
}

function item(entry, open, change) {
  const { id, ...reading } = entry
  const when = date(reading.timestamp)
  const name = make("input", {
    type: "text",
    value: reading.name,
    placeholder: t("history.name"),
    maxlength: 60,
    "aria-label": t("history.name_of", { when }),
  })
  name.addEventListener("change", () =>
    put(Object.assign(reading, { name: name.value }), id).then(() =>
      announce(t("history.name_saved")),
    ),
  )
  const onCopy = event => {
    const pressed = event.currentTarget
    copy(copied(reading)).then(
      () => flash(pressed, t("reading.copied")),
      () => flash(pressed, t("reading.not_allowed")),
    )
  }
  const onDelete = async () => {
    await remove(id)
    deleted.push({ ...reading, id })
  }
  const small = (action, press, look) =>
    button(
      { class: look, data: { action }, "aria-label": t(`history.${action}_of`, { when }) },
      press,
      t(`history.${action}`),
    )
  return make(
    "li",
    {},
    make(
      "div",
      {},
      make("code", {}, reading.bitting),
      make("p", { class: "when" }, about(reading, when)),
    ),
    make(
      "div",
      { class: "row" },
      // Entries of earlier versions have only the code.
      reading.answer && small("open", () => open({ ...reading, id })),
      small("copy", onCopy),
      small("delete", change(onDelete, deletedWords, "#undo"), "danger"),
    ),
    name,
  )
}

function about({ brand, keyway, confidence, edited }, when) {
  const key = `${brand} ${keyway}`
  return edited
    ? t("history.about_edited", { key, when })
    : t("history.about", { key, confidence: percent(confidence), when })
}

/** Asks for confirmation on the button itself. */
function deleteAll(change) {
  const all = async () => {
    deleted.push(...(await list()))
    await clear()
  }
  return button(
    { class: "danger", id: "clear" },
    event => {
      const pressed = event.currentTarget
      if (pressed.dataset.asked) {
        change(all, deletedWords, "#undo")()
        return
      }
      pressed.dataset.asked = "yes"
      pressed.textContent = t("history.delete_all_sure")
      announce(t("history.press_again"))
    },
    t("history.delete_all"),
  )
}

function download(entries) {
  const link = make("a", {
    href: URL.createObjectURL(new Blob([csv(entries)], { type: "text/csv" })),
    download: "keylike.csv",
  })
  link.click()
  // Browsers read the file after this task.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
