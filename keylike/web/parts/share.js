// Hands the code on: to the clipboard, or to whatever the phone shares with.

import { say } from "./dom.js"

export async function copy(text) {
  await navigator.clipboard.writeText(text)
  say("Copied")
}

/** Gives "shared", "copied" where nothing shares here, "" where it was given up. */
export async function share(text) {
  if (!navigator.share) {
    await copy(text)
    return "copied"
  }
  try {
    await navigator.share({ title: "Key", text })
    return "shared"
  } catch (error) {
    if (error.name === "AbortError") return ""
    await copy(text)
    return "copied"
  }
}
