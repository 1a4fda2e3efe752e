// Sends one photo and gives the reading: for browsers and Node 18 or later alike, with nothing but fetch and FormData.

/** A failure: `code` for programs, `reason` and `advice` where a photo cannot be read, `retryAfter` in seconds where the server said so. */
export class KeylikeError extends Error {
  constructor(status, body, retryAfter) {
    super(body?.error ?? `Something else than Keylike answered, with ${status}.`)
    this.name = 'KeylikeError'
    this.status = status
    this.code = body?.code ?? 'unexpected_answer'
    this.requestId = body?.request_id
    this.reason = body?.reason
    this.advice = body?.advice
    this.retryAfter = retryAfter
  }
}

/** `photo` is a Blob or a File. Redirects are not followed, so that the token goes to this server alone. */
export async function read(address, photo, { token, zipcode, timeout = 40_000 } = {}) {
  const form = new FormData()
  form.append('image', photo, 'photo')
  if (zipcode) form.append('zipcode', zipcode)
  const answer = await fetch(new URL('predict', address.endsWith('/') ? address : `${address}/`), {
    method: 'POST',
    body: form,
    headers: token ? { 'X-API-Key': token } : {},
    redirect: 'error',
    signal: AbortSignal.timeout(timeout),
  })
  const body = await answer.json().catch(() => null)
  if (answer.status === 200 && body?.success) return body
  const seconds = answer.headers.get('Retry-After')
  throw new KeylikeError(answer.status, body, seconds === null ? undefined : Number(seconds))
}
