// Usage: node node.mjs http://127.0.0.1:5000 photo.jpg …
// If the server requires a token, set it in the environment variable KEYLIKE_TOKEN.
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { KeylikeError, read } from './keylike.mjs'

const [address, ...paths] = process.argv.slice(2)
const token = process.env.KEYLIKE_TOKEN

/** Reads a photo. If the response has status 429 or 503 and Retry-After, waits (30 s at most) and tries once more. */
async function readWithRetry(path) {
  const photo = new Blob([await readFile(path)])
  try {
    return await read(address, photo, { token })
  } catch (failure) {
    if (![429, 503].includes(failure.status) || !(failure.retryAfter <= 30)) throw failure
    await sleep(failure.retryAfter * 1000)
    return read(address, photo, { token })
  }
}

for (const path of paths) {
  try {
    const { keyway, bitting, confidence } = await readWithRetry(path)
    console.log(`${path}: ${keyway} ${bitting}, ${Math.floor(confidence * 100)} % sure`)
  } catch (failure) {
    if (!(failure instanceof KeylikeError)) throw failure
    console.log(`${path}: ${failure.code}, ${failure.message} ${failure.advice ?? ''}`.trim())
    process.exitCode = 1
  }
}
