// The service worker. It caches the files of the page, so that the page opens without the server.
// It never stores readings, tokens or photos. The server prepends VERSION, a digest of all files.
// When it changes, the browser installs this worker and its files again.

// The path of the page: "/", or another one behind a reverse proxy, such as "/keys/".
const ROOT = new URL("./", location).pathname
const NAME = `keylike-shell-${ROOT}-`
const SHELL = `${NAME}${VERSION}`
const FILES = [
  "web/page.js",
  ...[
    "assessment",
    "camera-hints",
    "camera",
    "corrections",
    "csv",
    "dom",
    "encrypted-store",
    "history",
    "language-menu",
    "language",
    "level",
    "overlay",
    "photo",
    "picture-input",
    "poses",
    "reading",
    "refusal",
    "server-status",
    "server",
    "share",
    "shared-photo",
    "token-dialog",
    "token",
    "units",
  ].map(name => `web/parts/${name}.js`),
  ...["en", "es", "de", "fr"].map(name => `web/languages/${name}.js`),
  ...["base", "stage", "result"].map(name => `web/styles/${name}.css`),
  "web/manifest.webmanifest",
  "web/icons/icon.svg",
].map(file => ROOT + file)
// Without this header a tunnel may answer with a page of its own, which must not be cached.
const SKIP_TUNNEL_PAGE = { "ngrok-skip-browser-warning": "true" }

// Other apps share photos with this path, see share_target in the manifest.
const SHARE = `${ROOT}share`
// The photo that another app has shared, until the page asks for it. It is never stored.
let shared = null

addEventListener("install", event => event.waitUntil(cacheFiles().then(() => skipWaiting())))
addEventListener("activate", event =>
  event.waitUntil(deleteOldCaches().then(() => clients.claim())),
)
addEventListener("fetch", event => {
  const { request } = event
  const { origin, pathname } = new URL(request.url)
  if (request.method === "POST" && request.mode === "navigate" && pathname === SHARE)
    event.respondWith(takeShare(request))
  if (request.method !== "GET" || origin !== location.origin) return
  if (pathname === ROOT ? request.mode === "navigate" : FILES.includes(pathname))
    event.respondWith(networkFirst(request, pathname))
})

addEventListener("message", event => {
  if (event.data !== "take shared photo") return
  event.ports[0].postMessage(shared)
  shared = null
})

/** Keeps a shared photo in memory and opens the page, which asks for it. */
async function takeShare(request) {
  const form = await request.formData().catch(() => null)
  const photo = form?.get("image")
  shared = photo instanceof File ? photo : null
  return Response.redirect(`${ROOT}?shared`, 303)
}

async function cacheFiles() {
  const cache = await caches.open(SHELL)
  const page = await fetch(ROOT, {
    headers: { ...SKIP_TUNNEL_PAGE, Accept: "text/html" },
    cache: "reload",
  })
  if (!page.ok) throw new Error(`the page returned ${page.status}`)
  await cache.put(ROOT, page)
  await cache.addAll(
    FILES.map(file => new Request(file, { headers: SKIP_TUNNEL_PAGE, cache: "reload" })),
  )
}

async function deleteOldCaches() {
  const names = await caches.keys()
  await Promise.all(
    names
      .filter(name => isOwnCache(name) && name !== SHELL)
      .map(name => caches.delete(name)),
  )
}

/** Caches of earlier versions have no path in their names. Those of other paths stay. */
function isOwnCache(name) {
  return name.startsWith(NAME) || /^keylike-shell-[0-9a-f]+$/.test(name)
}

/** Returns the server's response, or the cached one if the server is unreachable or fails. */
async function networkFirst(request, name) {
  const cached = async () => (await caches.open(SHELL)).match(name, { ignoreVary: true })
  try {
    const response = await fetch(request)
    return response.ok ? response : ((await cached()) ?? response)
  } catch {
    return (await cached()) ?? Response.error()
  }
}
