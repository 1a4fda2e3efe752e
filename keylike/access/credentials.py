"""What may be sent as a credential: the one token of the settings, the one of this run, or any of the store's."""

from __future__ import annotations

import hmac

from keylike.access.store import TokenStore
from keylike.access.tokens import ONE_TIME, ONE_TOKEN, Tier, Token, digest


class Credentials:
    """`one` is KEYLIKE_API_KEY, an admin's token (an empty one is none), and `once` one of the tier free that ends with this process;
    what is neither is looked for in `store`."""

    def __init__(self, one: str | None, store: TokenStore | None, once: str | None = None) -> None:
        # Nobody knows when the first was made up.
        known = [
            (one, Token(ONE_TOKEN, Tier.ADMIN, created=0.0)),
            (once, Token(ONE_TIME, Tier.FREE, created=0.0)),
        ]
        self._known = [(digest(clear), token) for clear, token in known if clear]
        self._store = store

    def find(self, clear: str) -> Token | None:
        """The token that `clear` is, or None; `one` and `once` pass whatever is wrong with the store. Raises TokensUnreadable."""
        # In constant time, and digests, since a comparison of the tokens themselves would tell how long the right one is.
        for wanted, token in self._known:
            if hmac.compare_digest(digest(clear), wanted):
                return token
        return self._store.find(clear) if self._store else None

    def any(self) -> bool:
        """Whether there is a token that would pass now. For telling an operator: a server that asks for tokens asks for them also when
        the last one has expired. Raises TokensUnreadable."""
        return bool(self._known) or (self._store is not None and self._store.any())
