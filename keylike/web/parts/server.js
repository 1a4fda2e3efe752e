// Speaks HTTP: one photo in, one answer out; and whether the server is there at all.

/** What went wrong. `code` is the server's own word, or "away" where there was no answer of the server; `after` seconds to wait. */
export class Trouble extends Error {
  constructor(code, body = {}, after = null) {
    super(body.error ?? code)
    Object.assign(this, { code, body, after })
  }
}

// The first keeps a tunnel from asking whether one really means it.
const headers = token => ({ "ngrok-skip-browser-warning": "true", Accept: "application/json", ...(token && { "X-API-Key": token }) })

/** Sends `photo`, a Blob. `sent` is told how much of it has gone, 0 to 1. Raises Trouble, and AbortError by `signal`. */
export function readKey(photo, token, sent, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(), form = new FormData()
    form.append("image", photo, "key.jpg")
    form.append("command", "predict")
    request.open("POST", "/predict")
    for (const [name, value] of Object.entries(headers(token))) request.setRequestHeader(name, value)
    request.upload.addEventListener("progress", event => event.lengthComputable && sent(event.loaded / event.total))
    request.upload.addEventListener("load", () => sent(1))
    request.addEventListener("load", () => {
      const body = parse(request.responseText)
      if (body?.success === true) resolve(body)
      else reject(new Trouble(body?.code ?? "away", body ?? {}, seconds(request.getResponseHeader("Retry-After"))))
    })
    request.addEventListener("error", () => reject(new Trouble("away")))
    request.addEventListener("abort", () => reject(signal.reason))
    signal.addEventListener("abort", () => request.abort())
    request.send(form)
  })
}

/** What /health says, {status, model}; status "guarded" where it does not tell without a token. Raises Trouble "away". */
export async function health(token) {
  let response
  try {
    response = await fetch("/health", { headers: headers(token), cache: "no-store", signal: AbortSignal.timeout(8000) })
  } catch {
    throw new Trouble("away")
  }
  const body = parse(await response.text())
  if (response.status === 401 && body) return { status: "guarded", model: null }
  if (!body?.status) throw new Trouble("away")
  return body
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const seconds = header => (/^\d+$/.test(header ?? "") ? Number(header) : null)
