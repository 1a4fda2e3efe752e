// Usage: node node.mjs http://127.0.0.1:5000 photo.jpg …      KEYLIKE_TOKEN has the token, if the server requires one.
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { KeylikeError, read } from './keylike.mjs'

const [address, ...paths] = process.argv.slice(2)
const token = process.env.KEYLIKE_TOKEN

/** Reads a photo and retries once if the server deferred it and sent Retry-After. */
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
