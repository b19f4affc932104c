"""Who operators are: by API key or password, as `admin.auth` has them."""

import asyncio
from collections.abc import Iterable, Sequence

from proxy.auth.credentials import Key, Password, Unreadable, shown
from proxy.auth.hashes import Hash
from proxy.auth.keyring import KeyRing, Known, Users
from proxy.auth.passwords import Passwords
from proxy.clock import now_s
from proxy.config.callers import AdminAuth, Caller
from proxy.errors import CredentialsRefused, Overloaded, Unauthenticated
from proxy.principal import Principal

KEY_HEADER = b"x-api-key"
TRIALS, WAITING = 1, 16  # passwords that are tried at one time, and that wait for it
REMEMBERED = 1_000
CHALLENGE = (b"www-authenticate", b'Bearer realm="stepbridge admin", Basic realm="stepbridge admin", charset="UTF-8"')


class Operators:
    """Those of one configuration."""

    def __init__(self, auth: AdminAuth) -> None:
        self.auth = auth
        self._keys = KeyRing(_known("key", auth.keys))
        self._passwords = Passwords(Users(_known("basic", auth.basic)), REMEMBERED)
        self._trying = asyncio.Semaphore(TRIALS)
        self._waiting = 0

    def __repr__(self) -> str:
        return f"<Operators {self._keys} {self._passwords}>"

    async def admit(self, headers: Sequence[tuple[bytes, bytes]]) -> Principal:
        """Raises Unauthenticated, CredentialsRefused, Overloaded."""
        try:
            match shown(headers, KEY_HEADER):
                case Key(secret):
                    found = self._keys.find(secret)
                case Password() as password:
                    found = await self._by_password(password)
                case None:
                    raise Unauthenticated(_WHO, headers=[CHALLENGE])
                case _:
                    found = None  # a token: its issuers are for callers
        except Unreadable as exc:
            raise CredentialsRefused(str(exc), headers=[CHALLENGE]) from None
        if found is None:
            raise CredentialsRefused("The credentials are not accepted.", headers=[CHALLENGE])
        return found.principal

    async def _by_password(self, shown: Password) -> Known | None:
        verdict = self._passwords.recall(shown, now_s())
        if verdict is not None:
            return verdict.known
        if self._waiting >= WAITING:
            raise Overloaded("Too many passwords are being checked. Try again.", limit="passwords")
        self._waiting += 1
        try:
            async with self._trying:
                verdict = await asyncio.to_thread(self._passwords.try_, shown)
        finally:
            self._waiting -= 1
        return self._passwords.remember(shown, verdict, now_s()).known


def _known(scheme: str, callers: Iterable[Caller]) -> list[Known]:
    return [
        Known(
            Principal(scheme, caller.name, frozenset(caller.scopes), caller.claims), Hash.read(each.get_secret_value())
        )
        for caller in callers
        for each in caller.hash
    ]


_WHO = "The admin side asks who you are: stepbridge … --token, or STEPBRIDGE_ADMIN_TOKEN; curl -H 'X-Api-Key: …'."
