// The dialog to enter and remove the token.

import { announce, find } from "./dom.js"
import { t } from "./language.js"
import { current, isStored, remove, store } from "./token.js"

/**
 * Connects the button of the dialog; `changed` is called after each change. Returns a function that
 * opens it and takes a callback for a new token.
 */
export function listen(changed) {
  const dialog = find("token")
  const value = find("token-value")
  const longer = find("token-keep")
  let then = () => {}
  function open(next = () => {}) {
    then = next
    value.value = current()
    longer.checked = isStored()
    dialog.returnValue = ""
    dialog.showModal()
  }
  dialog.addEventListener("close", () => {
    const given = value.value.trim()
    const next = then
    value.value = ""
    if (dialog.returnValue !== "use" || !given) return
    store(given, longer.checked)
    changed()
    next()
  })
  find("token-remove").addEventListener("click", () => {
    remove()
    value.value = ""
    longer.checked = false
    announce(t("token.removed"))
    changed()
  })
  find("open-token").addEventListener("click", () => open())
  return open
}
