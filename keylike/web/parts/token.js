// The token: taken from the address, stored for this tab or for longer, and removed.

const NAME = "keylike.token"

/**
 * Moves a token from the fragment of the address (#token=...) to storage. Returns true if there was
 * one.
 */
export function takeFromAddress() {
  const sent = new URLSearchParams(location.hash.slice(1)).get("token")
  if (!sent) return false
  history.replaceState(history.state, "", location.pathname + location.search)
  store(sent, false)
  return true
}

export const current = () => sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME) ?? ""

export const isStored = () => localStorage.getItem(NAME) !== null

/** Stores the token for this tab, or until it is removed if `longer` is true. */
export function store(token, longer) {
  remove()
  if (token) (longer ? localStorage : sessionStorage).setItem(NAME, token)
}

export function remove() {
  sessionStorage.removeItem(NAME)
  localStorage.removeItem(NAME)
}
