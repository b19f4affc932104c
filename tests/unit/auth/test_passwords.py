"""What was verified is remembered, within bounds, and no longer than it may be."""

from proxy.auth.credentials import Password
from proxy.auth.hashes import Hash, key_hash, password_hash
from proxy.auth.keyring import KeyRing, Known, Users
from proxy.auth.memory import Memory
from proxy.auth.passwords import RIGHT_FOR_S, WRONG_FOR_S, Passwords
from proxy.principal import Principal

TILL = Known(Principal("basic", "till"), Hash.read(key_hash("right")))
NEXT = Known(Principal("basic", "till"), Hash.read(key_hash("next")))
RIGHT, WRONG = Password("till", b"right"), Password("till", b"wrong")


def test_a_key_is_found_among_many_and_another_is_not() -> None:
    ring = KeyRing(Known(Principal("key", str(i)), Hash.read(key_hash(f"sb_{i}"))) for i in range(1_000))
    found = ring.find(b"sb_617")
    assert found is not None
    assert found.principal.name == "617"
    assert ring.find(b"sb_1000") is None
    assert ring.find(b"") is None


def test_either_of_two_passwords_fits() -> None:
    passwords = Passwords(Users([TILL, NEXT]), 10)
    assert passwords.try_(RIGHT).known is TILL
    assert passwords.try_(Password("till", b"next")).known is NEXT
    assert passwords.try_(WRONG).known is None
    assert passwords.try_(Password("nobody", b"right")).known is None


def test_what_was_tried_is_remembered_for_a_while_right_or_wrong() -> None:
    passwords = Passwords(Users([TILL]), 10)
    assert passwords.recall(RIGHT, 0.0) is None
    for shown, for_s in ((RIGHT, RIGHT_FOR_S), (WRONG, WRONG_FOR_S)):
        verdict = passwords.remember(shown, passwords.try_(shown), 0.0)
        assert passwords.recall(shown, for_s - 0.1) == verdict
        assert passwords.recall(shown, for_s) is None


def test_a_user_and_password_are_not_taken_for_another_pair() -> None:
    passwords = Passwords(Users([TILL]), 10)
    passwords.remember(RIGHT, passwords.try_(RIGHT), 0.0)
    assert passwords.recall(Password("tillr", b"ight"), 0.0) is None
    assert passwords.recall(Password("til", b"lright"), 0.0) is None


def test_those_who_guess_push_out_nobody_who_was_right() -> None:
    passwords = Passwords(Users([TILL]), 10)
    passwords.remember(RIGHT, passwords.try_(RIGHT), 0.0)
    for guess in range(100):
        shown = Password("till", b"%d" % guess)
        passwords.remember(shown, passwords.try_(shown), 0.0)
    assert passwords.recall(RIGHT, 1.0) is not None


def test_an_unknown_user_is_tried_against_somebody() -> None:
    tried: list[bytes] = []

    class Counted(Hash):
        def fits(self, secret: bytes) -> bool:
            tried.append(secret)
            return False

    read = Hash.read(password_hash("a", b"0123456789abcdef"))
    known = Known(Principal("basic", "till"), Counted(read.digest, read.salt))
    Passwords(Users([known]), 10).try_(Password("nobody", b"guess"))
    assert tried == [b"guess"]


def test_a_memory_holds_so_many_and_forgets_what_was_there_longest() -> None:
    memory: Memory[int] = Memory(3)
    digests = [memory.digest(b"%d" % i) for i in range(5)]
    for number, digest in enumerate(digests):
        memory.put(digest, number, 10.0)
    assert [memory.get(digest, 0.0) for digest in digests] == [None, None, 2, 3, 4]
    memory.forget(lambda number: number == 3)
    assert len(memory) == 2
    assert memory.get(digests[4], 10.0) is None


def test_a_memory_holds_no_credential_and_no_hash_that_others_could_make() -> None:
    first, second = Memory[int](1), Memory[int](1)
    assert first.digest(b"secret") != second.digest(b"secret")
    assert b"secret" not in first.digest(b"secret")
