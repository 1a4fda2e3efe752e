"""The valid tokens: the configured one, the temporary one of a tunnel, and the stored ones."""

from __future__ import annotations

import hmac

from keylike.access.store import TokenStore
from keylike.access.tokens import RUN_TOKEN_NAME, SETTING_TOKEN_NAME, Tier, Token, digest


class Credentials:
    """The set of valid tokens.

    Args:
        admin_token: value of KEYLIKE_API_KEY, of tier admin; None or "" for none.
        store: store of further tokens, or None.
        run_token: token of tier free that is valid until this process exits, or None.
    """

    def __init__(
        self, admin_token: str | None, store: TokenStore | None, run_token: str | None = None
    ) -> None:
        # The creation time of these tokens is unknown.
        known = [
            (admin_token, Token(SETTING_TOKEN_NAME, Tier.ADMIN, created=0.0)),
            (run_token, Token(RUN_TOKEN_NAME, Tier.FREE, created=0.0)),
        ]
        self._known = [(digest(secret), token) for secret, token in known if secret]
        self._store = store

    def find(self, secret: str) -> Token | None:
        """Return the token that matches `secret`, or None.

        The configured token and the run token work even if the store is unreadable.

        Raises:
            TokensUnreadable: The store cannot be read.
        """
        # compare_digest takes the same time for every wrong token. It gets digests of equal length,
        # because with the tokens themselves its time would reveal the length of the right one.
        for wanted, token in self._known:
            if hmac.compare_digest(digest(secret), wanted):
                return token
        return self._store.find(secret) if self._store else None

    def may_match(self, secret: str) -> bool:
        """Return False if `secret` is certainly not a valid token. It never waits for the store."""
        hashed = digest(secret)
        if any(hmac.compare_digest(hashed, wanted) for wanted, _ in self._known):
            return True
        return self._store is not None and self._store.may_contain(secret)

    def any(self) -> bool:
        """Return True if at least one token is valid now.

        This is information for the operator only. A server that requires tokens still requires them
        after the last one has expired.

        Raises:
            TokensUnreadable: The store cannot be read.
        """
        return bool(self._known) or (self._store is not None and self._store.any())
