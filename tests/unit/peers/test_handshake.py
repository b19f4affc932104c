"""Who gets in: whoever shares a secret, in either direction of a rotation, and nobody else, whatever he sends."""

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.peers.handshake import VERSION, Calling, Keys, Listening, Secret, Stranger

OURS, NEWER, THEIRS = Secret("ours"), Secret("newer"), Secret("theirs")


def shake(caller: Calling, listener: Listening) -> tuple[Keys, Keys]:
    proof, callers = caller.answer(listener.challenge(caller.hello()))
    return callers, listener.accept(proof)


def test_both_sides_come_to_the_same_keys_one_a_direction() -> None:
    listener = Listening([OURS])
    callers, listeners = shake(Calling([OURS], "host-a:1"), listener)
    assert callers == listeners
    assert callers.from_caller != callers.from_listener
    assert listener.address == "host-a:1"


def test_no_two_sessions_have_the_same_keys() -> None:
    assert shake(Calling([OURS], "a:1"), Listening([OURS])) != shake(Calling([OURS], "a:1"), Listening([OURS]))


@pytest.mark.parametrize(
    ("callers", "listeners"),
    [([OURS], [NEWER, OURS]), ([NEWER, OURS], [OURS]), ([NEWER], [NEWER, OURS]), ([NEWER, OURS], [NEWER, OURS])],
)
def test_a_secret_is_rotated_while_both_sides_have_one_in_common(
    callers: list[Secret], listeners: list[Secret]
) -> None:
    at_caller, at_listener = shake(Calling(callers, "a:1"), Listening(listeners))
    assert at_caller == at_listener


def test_a_caller_without_the_secret_is_refused() -> None:
    with pytest.raises(Stranger, match=r"peer\.secret"):
        Listening([OURS]).challenge(Calling([THEIRS], "a:1").hello())


def test_a_caller_that_only_knows_the_secrets_id_is_refused() -> None:
    listener = Listening([OURS])
    listener.challenge(ormsgpack.packb([VERSION, "a:1", b"n" * 16, [OURS.id]]))
    with pytest.raises(Stranger, match="proof is wrong"):
        listener.accept(b"x" * 16)


def test_a_listener_without_the_secret_is_not_believed() -> None:
    caller = Calling([OURS], "a:1")
    caller.hello()
    with pytest.raises(Stranger):
        caller.answer(ormsgpack.packb([b"n" * 16, OURS.id, b"x" * 16]))


def test_a_proof_cannot_be_sent_back_as_the_others() -> None:
    listener = Listening([OURS])
    challenge = listener.challenge(Calling([OURS], "a:1").hello())
    with pytest.raises(Stranger):
        listener.accept(ormsgpack.unpackb(challenge)[2])


def test_the_address_is_part_of_the_proof() -> None:
    caller, listener = Calling([OURS], "a:1"), Listening([OURS])
    hello = ormsgpack.unpackb(caller.hello())
    challenge = listener.challenge(ormsgpack.packb([hello[0], "somebody-else:1", *hello[2:]]))
    with pytest.raises(Stranger):
        caller.answer(challenge)


def test_another_version_is_told_apart() -> None:
    hello = ormsgpack.unpackb(Calling([OURS], "a:1").hello())
    with pytest.raises(Stranger, match="version 9"):
        Listening([OURS]).challenge(ormsgpack.packb([9, *hello[1:]]))


@given(st.binary(max_size=80))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises(Stranger):
        Listening([OURS]).challenge(data)
    with pytest.raises(Stranger):
        Calling([OURS], "a:1").answer(data)


@given(st.lists(st.none() | st.integers(-9, 9) | st.binary(max_size=20) | st.text(max_size=5), max_size=5))
def test_no_msgpack_does_more_than_be_refused(fields: list[object]) -> None:
    with pytest.raises(Stranger):
        Listening([OURS]).challenge(ormsgpack.packb(fields))
