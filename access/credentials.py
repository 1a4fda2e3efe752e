"""What may be sent as a credential: the one token of the settings, or any of the store's."""

from __future__ import annotations

import hmac

from access.store import TokenStore
from access.tokens import ONE_TOKEN, Tier, Token, digest


class Credentials:
    """`one` is KEYLIKE_API_KEY, an admin's token (an empty one is none); what is not that is looked for in `store`."""

    def __init__(self, one: str | None, store: TokenStore | None) -> None:
        self._one = digest(one) if one else None
        self._store = store
        # Nobody knows when it was made up.
        self._token = Token(ONE_TOKEN, Tier.ADMIN, created=0.0)

    def find(self, clear: str) -> Token | None:
        """The token that `clear` is, or None; `one` passes whatever is wrong with the store. Raises TokensUnreadable."""
        # In constant time, and digests, since a comparison of the tokens themselves would tell how long the right one is.
        if self._one is not None and hmac.compare_digest(digest(clear), self._one):
            return self._token
        return self._store.find(clear) if self._store else None

    def any(self) -> bool:
        """Whether there is a token that would pass now. For telling an operator: a server that asks for tokens asks for them also when
        the last one has expired. Raises TokensUnreadable."""
        return self._one is not None or (self._store is not None and self._store.any())
