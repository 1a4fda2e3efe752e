// Requests to the server: predictions, the sample photo and health.

/**
 * A failed request. `code` is the server's failure code, or "unreachable" without a response of the
 * server. `until` is the time at which Retry-After has passed.
 */
export class RequestError extends Error {
  constructor(code, body = {}, after = null) {
    super(body.error ?? code)
    Object.assign(this, { code, body, until: after && Date.now() + after * 1000 })
  }
}

// The first header skips the warning page of a tunnel.
const headers = token => ({
  "ngrok-skip-browser-warning": "true",
  Accept: "application/json",
  ...(token && { "X-API-Key": token }),
})

/**
 * Sends `photo`, a Blob, and returns the reading. Calls `sent` with the share uploaded, 0 to 1.
 * Throws RequestError, or AbortError by `signal`.
 */
export function readKey(photo, token, sent, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    const form = new FormData()
    form.append("image", photo, "key.jpg")
    form.append("command", "predict")
    request.open("POST", "predict")
    for (const [name, value] of Object.entries(headers(token)))
      request.setRequestHeader(name, value)
    request.upload.addEventListener(
      "progress",
      event => event.lengthComputable && sent(event.loaded / event.total),
    )
    request.upload.addEventListener("load", () => sent(1))
    request.addEventListener("load", () => {
      const body = parse(request.responseText)
      if (body?.success === true) resolve(body)
      else
        reject(
          new RequestError(
            body?.code ?? "unreachable",
            body ?? {},
            seconds(request.getResponseHeader("Retry-After")),
          ),
        )
    })
    request.addEventListener("error", () => reject(new RequestError("unreachable")))
    request.addEventListener("abort", () => reject(signal.reason))
    signal.addEventListener("abort", () => request.abort())
    request.send(form)
  })
}

/** Returns the sample photo of this server. Throws RequestError "unreachable". */
export async function sample() {
  const response = await fetch("web/sample.webp", { headers: headers("") }).catch(() => null)
  if (!response?.ok) throw new RequestError("unreachable")
  return new File([await response.blob()], "sample.webp", { type: "image/webp" })
}

/**
 * Returns {status, model} from /health; status "guarded" if the server requires a token. Throws
 * RequestError "unreachable".
 */
export async function health(token) {
  let response
  try {
    response = await fetch("health", {
      headers: headers(token),
      cache: "no-store",
      signal: AbortSignal.timeout(8000),
    })
  } catch {
    throw new RequestError("unreachable")
  }
  const body = parse(await response.text())
  if (response.status === 401 && body) return { status: "guarded", model: null }
  if (!body?.status) throw new RequestError("unreachable")
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
