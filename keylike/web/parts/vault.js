// The history as it lies on the phone: each reading encrypted (AES-GCM) with a key that scripts can use and never take out.

const NAME = "keylike", KEYS = "keys", READINGS = "readings"

export const canKeep = () => Boolean(globalThis.crypto?.subtle && globalThis.indexedDB)

/** Keeps a reading; gives the number it is kept under. */
export const add = reading => put(reading)

/** Keeps another in its place. */
export const replace = (id, reading) => put(reading, id)

async function put(reading, id) {
  const key = await ownKey(), iv = crypto.getRandomValues(new Uint8Array(12))
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, new TextEncoder().encode(JSON.stringify(reading)))
  return work(READINGS, "readwrite", store => store.put({ ...(id && { id }), iv, sealed }))
}

/** All of them, newest first, each with its id; what this browser's key does not open is left out. */
export async function list() {
  const rows = await work(READINGS, "readonly", store => store.getAll())
  if (!rows.length) return []
  const key = await ownKey()
  const opened = await Promise.all(rows.map(row => open(row, key).catch(() => null)))
  return opened.filter(Boolean).reverse()
}

async function open({ id, iv, sealed }, key) {
  const text = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, sealed)
  return { ...JSON.parse(new TextDecoder().decode(text)), id }
}

export const remove = id => work(READINGS, "readwrite", store => store.delete(id))

/** Deletes all of them, and the key: what may be left of them on the disk opens nothing. */
export async function clear() {
  await work(READINGS, "readwrite", store => store.clear())
  await work(KEYS, "readwrite", store => store.clear())
}

async function ownKey() {
  const kept = await work(KEYS, "readonly", store => store.get("own"))
  if (kept) return kept
  const fresh = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"])
  // Another tab may have been quicker: the first one counts.
  await work(KEYS, "readwrite", store => store.add(fresh, "own")).catch(() => {})
  return work(KEYS, "readonly", store => store.get("own"))
}

async function work(name, mode, ask) {
  const database = await connect()
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(name, mode), request = ask(transaction.objectStore(name))
      transaction.oncomplete = () => resolve(request.result)
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? request.error)
    })
  } finally {
    database.close()
  }
}

function connect() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1)
    request.onupgradeneeded = () => {
      request.result.createObjectStore(KEYS)
      request.result.createObjectStore(READINGS, { keyPath: "id", autoIncrement: true })
    }
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
