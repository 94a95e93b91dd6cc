import pytest
from hypothesis import example, given, settings, strategies as st

from p2pswarm.discovery.codes.pairing import FIRST_SIZE, PROOF_SIZE, Giver, Taker
from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.code import Code

CODE = Code(7, "acorn", "abacus")
OTHER = Code(7, "acorn", "academy")
PLACE = b"where the taker is"
LINK = b"magnet:?xt=urn:btih:" + b"a" * 40


def met(code: Code = CODE, typed: Code = CODE) -> tuple[Giver, Taker]:
    giver, taker = Giver(code), Taker(typed)
    giver.meet(taker.first)
    taker.meet(giver.first)
    return giver, taker


def test_who_knows_the_code_gets_the_link() -> None:
    giver, taker = met()
    assert giver.proves(taker.proof(PLACE))
    assert taker.opened(giver.sealed(LINK)) == LINK


def test_the_giver_hears_where_the_taker_is_and_nobody_else() -> None:
    giver, taker = met()
    proof = taker.proof(PLACE)
    assert giver.place(proof) == PLACE
    assert PLACE not in proof
    assert giver.place(proof[:-1]) == b""
    assert giver.proves(proof[:PROOF_SIZE])  # who says nothing of that has the link, too
    assert giver.place(proof[:PROOF_SIZE]) == b""


def test_who_knows_another_code_proves_nothing_and_opens_nothing() -> None:
    giver, taker = met(typed=OTHER)
    assert not giver.proves(taker.proof(PLACE))
    with pytest.raises(RemoteProtocolError, match="does not know the code"):
        taker.opened(giver.sealed(LINK))


@pytest.mark.parametrize("typed", [Code(8, "acorn", "abacus"), OTHER])
def test_the_number_is_part_of_the_secret(typed: Code) -> None:
    giver, taker = met(typed=typed)
    assert not giver.proves(taker.proof(PLACE))


def test_a_proof_fits_one_pairing_only() -> None:
    giver, taker = met()
    again = Giver(CODE)
    again.meet(taker.first)  # the same first message, said again by somebody
    assert not again.proves(taker.proof(PLACE))
    assert not giver.proves(giver.sealed(LINK)[:PROOF_SIZE])  # nor the giver's own
    assert not Giver(CODE).proves(b"")


def test_first_messages_of_one_side_do_not_meet() -> None:
    with pytest.raises(RemoteProtocolError):
        Giver(CODE).meet(Giver(CODE).first)
    giver = Giver(CODE)
    with pytest.raises(RemoteProtocolError):
        giver.meet(giver.first)
    mirrored = Taker(CODE)
    with pytest.raises(RemoteProtocolError):
        mirrored.meet(b"A" + mirrored.first[1:])


def test_what_was_sealed_cannot_be_changed_or_measured() -> None:
    giver, taker = met()
    sealed = giver.sealed(LINK)
    assert len(sealed) == len(giver.sealed(LINK + b"&dn=a%20longer%20name"))
    for at in (0, PROOF_SIZE, len(sealed) - 1):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(RemoteProtocolError):
            taker.opened(bytes(changed))
    with pytest.raises(RemoteProtocolError):
        taker.opened(sealed[:PROOF_SIZE])


@given(st.binary(max_size=40) | st.binary(min_size=32, max_size=32).map(lambda each: b"B" + each))
@example(b"B" + bytes(32))
@example(b"B" + b"\1" + bytes(31))  # the neutral element
@example(b"B" + b"\xff" * 32)
@example(b"B" + bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))
@settings(max_examples=30, deadline=None)
def test_any_first_message_meets_or_is_refused(first: bytes) -> None:
    giver = Giver(CODE)
    try:
        giver.meet(first)
    except RemoteProtocolError:
        assert not giver.proves(b"")
        return
    assert len(first) == FIRST_SIZE
