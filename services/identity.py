"""Who asks: API keys of programs, and tokens that say which customer a question is from.

An error never says more than the rightful holder needs: the sender of a forged token does not learn what
gave it away.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

import jwt
from jwt.utils import base64url_decode, base64url_encode

from slmfleet.models.errors import SettingsFault, Unauthenticated

SECRET_BYTES: Final = 32
_ALGORITHM: Final = "HS256"
_CLAIMS: Final = ("exp", "iat", "sub", "iss", "aud")
_LONGEST_TOKEN: Final = 4_096
_INVALID: Final = "The customer token is not valid. Please sign in again."
_EXPIRED: Final = "The customer token has expired. Please sign in again."


class Issuer:
    """Makes and verifies customer tokens: JSON web tokens signed with HS256, living `ttl_s` seconds.

    Raises SettingsFault for a `secret` of fewer than 32 bytes.
    """

    def __init__(
        self, secret: bytes, issuer: str = "slmfleet", audience: str = "slmfleet", ttl_s: int = 3600
    ) -> None:
        if len(secret) < SECRET_BYTES:
            raise SettingsFault(f"a token secret needs at least {SECRET_BYTES} bytes, not {len(secret)}")
        self._secret = secret
        self._issuer = issuer
        self._audience = audience
        self._ttl_s = ttl_s

    def token(self, customer_id: str) -> str:
        """A token that is good for `ttl_s` seconds. Raises ValueError for an empty id, or one too long."""
        if not customer_id:
            raise ValueError("a token needs a customer")
        now = int(time.time())
        claims = {
            "sub": customer_id,
            "iss": self._issuer,
            "aud": self._audience,
            "iat": now,
            "exp": now + self._ttl_s,
        }
        token = jwt.encode(claims, self._secret, algorithm=_ALGORITHM)
        if len(token) > _LONGEST_TOKEN:
            raise ValueError("the customer's id is too long for a token")
        return token

    def customer(self, token: str) -> str:
        """The id of the customer whom `token` was issued to. Raises Unauthenticated."""
        if len(token) > _LONGEST_TOKEN:
            raise Unauthenticated(_INVALID)
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                options={"require": list(_CLAIMS)},
            )
            genuine = _is_canonical(token)
        except jwt.ExpiredSignatureError:
            raise Unauthenticated(_EXPIRED) from None
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError):
            # The last three are not PyJWT's own: lone surrogates, odd types in the header, or deep nesting.
            raise Unauthenticated(_INVALID) from None
        subject = claims["sub"]
        if not (genuine and isinstance(subject, str) and subject):
            raise Unauthenticated(_INVALID)
        return subject


def _is_canonical(token: str) -> bool:
    """Whether the signature is spelled as it was issued.

    PyJWT before 2.14 skips foreign characters and ignores the last two bits of the 43 digits, so that several
    texts would pass for one token, and a list of revoked tokens could be walked around.
    """
    signature = token.rpartition(".")[2]
    return base64url_encode(base64url_decode(signature)).decode() == signature


class ApiKeys:
    """The API keys that programs may show. With none, `required` is False and `check` refuses everything."""

    def __init__(self, keys: AbstractSet[str]) -> None:
        self._digests = [_digest(key) for key in keys]

    @property
    def required(self) -> bool:
        """Whether any key was set up, so that callers should be checked."""
        return bool(self._digests)

    def check(self, key: str | None) -> None:
        """Return for a known key. Raises Unauthenticated, after as long as a right key takes."""
        if not key:
            raise Unauthenticated("An API key is needed.")
        given = _digest(key)
        # Every digest is compared, whichever fits: neither a match's place nor its letters show in the time.
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        if not any(matches):
            raise Unauthenticated("The API key is not valid.")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def load_secret(path: Path) -> bytes:
    """The token secret in the file `path`: 32 random bytes, readable by the owner only, made at first use.

    Processes that start at once agree on one. Raises SettingsFault when it is too short, or cannot be read
    or written.
    """
    try:
        if not path.exists():
            _create_secret(path)
        secret = path.read_bytes()
    except OSError as error:
        raise SettingsFault(f"token secret {path}: {error.strerror}") from None
    if len(secret) < SECRET_BYTES:
        raise SettingsFault(f"token secret {path}: has {len(secret)} bytes of the {SECRET_BYTES} it needs")
    return secret


def _create_secret(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link fails where the name is taken, so the first of several processes decides, with a whole file.
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
