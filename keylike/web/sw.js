// The service worker. It caches the files of the page, so that the page opens without the server.
// It never handles readings, tokens or photos. The server prepends VERSION, a digest of all files.
// When it changes, the browser installs this worker and its files again.

// The path of the page: "/", or another one behind a reverse proxy, such as "/keys/".
const ROOT = new URL("./", location).pathname
const NAME = `keylike-shell-${ROOT}-`
const SHELL = `${NAME}${VERSION}`
const FILES = [
  "web/page.js",
  ...[
    "assessment",
    "camera",
    "dom",
    "encrypted-store",
    "history",
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
    "token-dialog",
    "token",
  ].map(name => `web/parts/${name}.js`),
  ...["base", "stage", "result"].map(name => `web/styles/${name}.css`),
  "web/manifest.webmanifest",
  "web/icons/icon.svg",
].map(file => ROOT + file)
// Without this header a tunnel may answer with a page of its own, which must not be cached.
const SKIP_TUNNEL_PAGE = { "ngrok-skip-browser-warning": "true" }

addEventListener("install", event => event.waitUntil(cacheFiles().then(() => skipWaiting())))
addEventListener("activate", event =>
  event.waitUntil(deleteOldCaches().then(() => clients.claim())),
)
addEventListener("fetch", event => {
  const { request } = event
  const { origin, pathname } = new URL(request.url)
  if (request.method !== "GET" || origin !== location.origin) return
  if (pathname === ROOT ? request.mode === "navigate" : FILES.includes(pathname))
    event.respondWith(networkFirst(request, pathname))
})

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
