// Storage of the history: each reading is encrypted (AES-GCM) with a key that scripts can use but
// not export.

const NAME = "keylike"
const KEYS = "keys"
const READINGS = "readings"

export const canEncrypt = () => Boolean(globalThis.crypto?.subtle && globalThis.indexedDB)

/** Stores a reading and returns its id, which is a new one if none is given. */
export async function put(reading, id) {
  const key = await encryptionKey()
  const iv = crypto.getRandomValues(new Uint8Array(12))
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv },
    key,
    new TextEncoder().encode(JSON.stringify(reading)),
  )
  return transact(READINGS, "readwrite", store => store.put({ ...(id && { id }), iv, sealed }))
}

/**
 * Returns all readings with their ids, newest first. Entries that the key cannot decrypt are left
 * out.
 */
export async function list() {
  const rows = await transact(READINGS, "readonly", store => store.getAll())
  if (!rows.length) return []
  const key = await encryptionKey()
  const opened = await Promise.all(rows.map(row => open(row, key).catch(() => null)))
  return opened.filter(Boolean).reverse()
}

async function open({ id, iv, sealed }, key) {
  const text = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, sealed)
  return { ...JSON.parse(new TextDecoder().decode(text)), id }
}

export const remove = id => transact(READINGS, "readwrite", store => store.delete(id))

/** Deletes all readings and the key, so that data left on the disk cannot be decrypted. */
export async function clear() {
  await transact(READINGS, "readwrite", store => store.clear())
  await transact(KEYS, "readwrite", store => store.clear())
}

async function encryptionKey() {
  const kept = await transact(KEYS, "readonly", store => store.get("own"))
  if (kept) return kept
  const fresh = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, [
    "encrypt",
    "decrypt",
  ])
  // If another tab has just stored a key, that one is used.
  await transact(KEYS, "readwrite", store => store.add(fresh, "own")).catch(() => {})
  return transact(KEYS, "readonly", store => store.get("own"))
}

async function transact(name, mode, ask) {
  const database = await connect()
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(name, mode)
      const request = ask(transaction.objectStore(name))
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
