// Copies the code to the clipboard, or shares it through the phone.

import { announce } from "./dom.js"
import { t } from "./language.js"

export async function copy(text) {
  await navigator.clipboard.writeText(text)
  announce(t("reading.copied"))
}

/** Returns "shared", "copied" if sharing is not available, or "" if the user cancelled. */
export async function share(text) {
  if (!navigator.share) {
    await copy(text)
    return "copied"
  }
  try {
    await navigator.share({ title: "Keylike", text })
    return "shared"
  } catch (error) {
    if (error.name === "AbortError") return ""
    await copy(text)
    return "copied"
  }
}
