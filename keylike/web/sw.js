// The service worker: keeps the page's own files, so that it opens without the server. Answers, tokens and photos never pass through here.
// The server puts VERSION before this, a digest of the files: another one brings this worker, and with it all of them, anew.

const SHELL = `keylike-shell-${VERSION}`
const FILES = [
  "/web/page.js",
  ...["assessment", "camera", "dom", "history", "intake", "level", "overlay", "photo", "poses", "presence", "reading", "refusal", "server", "share", "token-dialog", "token", "vault"]
    .map(name => `/web/parts/${name}.js`),
  ...["base", "stage", "result"].map(name => `/web/styles/${name}.css`),
  "/web/manifest.webmanifest",
  "/web/icons/icon.svg",
]
// A tunnel's own page, in place of what was asked for, must not be kept.
const OWN = { "ngrok-skip-browser-warning": "true" }

addEventListener("install", event => event.waitUntil(fill().then(() => skipWaiting())))
addEventListener("activate", event => event.waitUntil(drop().then(() => clients.claim())))
addEventListener("fetch", event => {
  const { request } = event, { origin, pathname } = new URL(request.url)
  if (request.method !== "GET" || origin !== location.origin) return
  if (pathname === "/" ? request.mode === "navigate" : FILES.includes(pathname)) event.respondWith(freshOrKept(request, pathname))
})

async function fill() {
  const cache = await caches.open(SHELL)
  const page = await fetch("/", { headers: { ...OWN, Accept: "text/html" }, cache: "reload" })
  if (!page.ok) throw new Error(`the page: ${page.status}`)
  await cache.put("/", page)
  await cache.addAll(FILES.map(file => new Request(file, { headers: OWN, cache: "reload" })))
}

async function drop() {
  const names = await caches.keys()
  await Promise.all(names.filter(name => name.startsWith("keylike-shell-") && name !== SHELL).map(name => caches.delete(name)))
}

/** The server's own, as long as it is there: whoever changes it wants to see the change. */
async function freshOrKept(request, name) {
  const kept = async () => (await caches.open(SHELL)).match(name, { ignoreVary: true })
  try {
    const response = await fetch(request)
    return response.ok ? response : ((await kept()) ?? response)
  } catch {
    return (await kept()) ?? Response.error()
  }
}
