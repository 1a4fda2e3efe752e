// Accepts pictures from the file dialog, by drag and drop anywhere on the page, and from the
// clipboard.

import { find } from "./dom.js"

/** Calls `take` with the first picture of each input. */
export function listen(take) {
  for (const input of [find("file"), find("snap")]) {
    input.addEventListener("change", () => {
      const [file] = input.files
      // Without this, choosing the same photo again would not be a change.
      input.value = ""
      if (file) take(file)
    })
  }
  let over = 0
  const drag = change => {
    over = change
    document.body.classList.toggle("dragging", over > 0)
  }
  const carriesFiles = event => event.dataTransfer?.types.includes("Files")
  addEventListener("dragenter", event => carriesFiles(event) && drag(over + 1))
  addEventListener("dragleave", event => carriesFiles(event) && drag(Math.max(0, over - 1)))
  addEventListener("dragover", event => carriesFiles(event) && event.preventDefault())
  addEventListener("drop", event => {
    drag(0)
    if (!carriesFiles(event)) return
    event.preventDefault()
    pick(event.dataTransfer.files, take)
  })
  addEventListener("paste", event => pick(event.clipboardData?.files ?? [], take))
}

function pick(files, take) {
  const file = [...files].find(each => each.type.startsWith("image/")) ?? files[0]
  if (file) take(file)
}
