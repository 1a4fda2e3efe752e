// Owns the token: takes it out of the address, keeps it for this tab or for longer, and forgets it.

const NAME = "keylike.token"

/** Takes a token that came in the address's fragment (#token=...), and the fragment out of the address. Gives whether there was one. */
export function takeFromAddress() {
  const sent = new URLSearchParams(location.hash.slice(1)).get("token")
  if (!sent) return false
  history.replaceState(history.state, "", location.pathname + location.search)
  keep(sent, false)
  return true
}

export const current = () => sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME) ?? ""

export const isKept = () => localStorage.getItem(NAME) !== null

/** For this tab; with `longer` until it is forgotten. */
export function keep(token, longer) {
  forget()
  if (token) (longer ? localStorage : sessionStorage).setItem(NAME, token)
}

export function forget() {
  sessionStorage.removeItem(NAME)
  localStorage.removeItem(NAME)
}
