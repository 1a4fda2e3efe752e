// A photo that another app shared with this one. The service worker holds it in memory.

const SHARED = "shared"
const WAIT_MS = 3000

/** Returns true if this page was opened by sharing, and removes the mark from the address. */
export function wasShared() {
  if (!new URLSearchParams(location.search).has(SHARED)) return false
  history.replaceState(history.state, "", location.pathname)
  return true
}

/** Returns the shared photo, or null if it is lost. The service worker then forgets it. */
export function takeShared() {
  const worker = navigator.serviceWorker?.controller
  if (!worker) return Promise.resolve(null)
  return new Promise(resolve => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = event => resolve(event.data)
    setTimeout(() => resolve(null), WAIT_MS)
    worker.postMessage("take shared photo", [port2])
  })
}
