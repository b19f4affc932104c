"""Judging user names and passwords. Decides what is to be tried; the caller tries it where it holds nobody up.

    verdict = passwords.recall(shown, now_s)
    if verdict is None:                                    # not known: this may take 50 ms of CPU
        verdict = passwords.remember(shown, passwords.try_(shown), now_s)

What was found is remembered for a while, right or wrong: legacy clients send their password with each request. A user
that nobody is takes as long as any other.
"""

from dataclasses import dataclass

from proxy.auth.credentials import Password
from proxy.auth.keyring import Known, Users, fitting
from proxy.auth.memory import Memory

RIGHT_FOR_S, WRONG_FOR_S = 300.0, 30.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whose they are; None: nobody's."""

    known: Known | None


class Passwords:
    """The users, and what was found of them lately."""

    def __init__(self, users: Users, limit: int) -> None:
        self._users = users
        self._right: Memory[Verdict] = Memory(limit)
        self._wrong: Memory[Verdict] = Memory(max(1, limit // 10))  # of its own: those who guess push nobody out

    def __repr__(self) -> str:
        return f"<Passwords {self._users} {len(self._right)} remembered>"

    def recall(self, shown: Password, now_s: float) -> Verdict | None:
        """What was found lately, or is found at once."""
        credential = _bytes(shown)
        return self._right.get(self._right.digest(credential), now_s) or self._wrong.get(
            self._wrong.digest(credential), now_s
        )

    def try_(self, shown: Password) -> Verdict:
        """Runs anywhere, in a thread too."""
        candidates = self._users.candidates(shown.user)
        if not candidates and self._users.stand_in is not None:
            self._users.stand_in.hash.fits(shown.secret)
        return Verdict(fitting(candidates, shown.secret))

    def remember(self, shown: Password, verdict: Verdict, now_s: float) -> Verdict:
        memory, for_s = (self._right, RIGHT_FOR_S) if verdict.known else (self._wrong, WRONG_FOR_S)
        memory.put(memory.digest(_bytes(shown)), verdict, now_s + for_s)
        return verdict


def _bytes(shown: Password) -> bytes:
    return b"%d:%b%b" % (len(shown.user), shown.user.encode(), shown.secret)
