// The menu that chooses the language.

import { find, make } from "./dom.js"
import { choose, current, LANGUAGES, translateDocument } from "./language.js"

/** Translates the document. `changed` is called after the user has chosen another language. */
export function listen(changed) {
  const menu = find("language")
  menu.append(
    ...Object.entries(LANGUAGES).map(([name, words]) =>
      make("option", { value: name, lang: name }, words),
    ),
  )
  const show = () => {
    translateDocument()
    menu.value = current()
    find("language-code").textContent = current().toUpperCase()
  }
  menu.addEventListener("change", async () => {
    await choose(menu.value)
    show()
    changed()
  })
  show()
}
