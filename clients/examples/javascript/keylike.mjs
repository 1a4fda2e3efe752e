// Sends one photo and returns the reading. Works in browsers and in Node 18 or later. It needs only fetch and FormData.

/**
 * A failure. It has a `code`, and for an unreadable photo a `reason` and `advice`. `retryAfter` is the server's Retry-After in seconds, or
 * undefined.
 */
export class KeylikeError extends Error {
  constructor(status, body, retryAfter) {
    super(body?.error ?? `The response with status ${status} is not from a Keylike server.`)
    this.name = 'KeylikeError'
    this.status = status
    this.code = body?.code ?? 'unexpected_answer'
    this.requestId = body?.request_id
    this.reason = body?.reason
    this.advice = body?.advice
    this.retryAfter = retryAfter
  }
}

/** Reads a photo, which is a Blob or a File. Redirects are not followed, so the token is sent to this server only. */
export async function read(address, photo, { token, zipcode, timeout = 40_000 } = {}) {
  const form = new FormData()
  form.append('image', photo, 'photo')
  if (zipcode) form.append('zipcode', zipcode)
  const response = await fetch(new URL('predict', address.endsWith('/') ? address : `${address}/`), {
    method: 'POST',
    body: form,
    headers: token ? { 'X-API-Key': token } : {},
    redirect: 'error',
    signal: AbortSignal.timeout(timeout),
  })
  const body = await response.json().catch(() => null)
  if (response.status === 200 && body?.success) return body
  const retryAfter = response.headers.get('Retry-After')
  throw new KeylikeError(response.status, body, retryAfter === null ? undefined : Number(retryAfter))
}
