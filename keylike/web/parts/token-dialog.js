// The dialog that asks for a token, and forgets it.

import { find, say } from "./dom.js"
import { current, forget, isKept, keep } from "./token.js"

/** Makes its button work; `changed` is called after each change. Gives a function that opens it and what it should then do with a token. */
export function listen(changed) {
  const dialog = find("token"), value = find("token-value"), longer = find("token-keep")
  let then = () => {}
  function open(next = () => {}) {
    then = next
    value.value = current()
    longer.checked = isKept()
    dialog.returnValue = ""
    dialog.showModal()
  }
  dialog.addEventListener("close", () => {
    const given = value.value.trim(), next = then
    value.value = ""
    if (dialog.returnValue !== "use" || !given) return
    keep(given, longer.checked)
    changed()
    next()
  })
  find("token-forget").addEventListener("click", () => {
    forget()
    value.value = ""
    longer.checked = false
    say("Forgotten")
    changed()
  })
  find("open-token").addEventListener("click", () => open())
  return open
}
