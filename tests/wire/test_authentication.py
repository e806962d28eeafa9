"""Signing, verifying, keys: what a signature covers and what nobody gets to see."""

import ast
import hashlib
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mip4.authentication import ALGORITHMS, AaaAssociation, SecurityAssociation, parse_key
from mip4.errors import BadAuthenticator
from mip4.extensions import (
    ForeignHomeAuthentication,
    MobileForeignAuthentication,
    MobileForeignChallenge,
    MobileHomeAuthentication,
    challenge_before,
)
from mip4.messages import RegistrationRequest
from tests.vectors import checks

HERE = Path(checks.__file__).parent
KEYS = checks.keys_beside(str(HERE / "keys.json"))
BARE = RegistrationRequest(0, 300, 0, 1, 2, 3, []).encode()
CLASSES = [MobileHomeAuthentication, MobileForeignAuthentication, ForeignHomeAuthentication]


def payload_of(name: str) -> bytes:
    return checks.message_in(bytes.fromhex(checks.load(str(HERE / f"{name}.json"))["datagram"]))


def last_of(message: bytes):
    return RegistrationRequest.decode(message).extensions[-1]


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
@given(key=st.binary(min_size=1, max_size=100), spi=st.integers(256, 0xFFFFFFFF))
def test_what_is_signed_verifies(algorithm, cls, key, spi):
    association = SecurityAssociation(spi, key, algorithm)

    signed = association.sign(BARE, cls)

    assert signed[: len(BARE)] == BARE
    assert (type(last_of(signed)), last_of(signed).spi) == (cls, spi)
    association.verify(signed, last_of(signed))
    association.verify(memoryview(signed), last_of(signed))


def test_a_signature_covers_every_bit_up_to_its_own_spi_and_none_behind_itself():
    original = payload_of("v03")
    home = RegistrationRequest.decode(original).extensions[2]

    for bit in range(len(original) * 8):
        changed = bytearray(original)
        changed[bit // 8] ^= 1 << bit % 8
        if bit // 8 < home.covered():
            with pytest.raises(BadAuthenticator):
                KEYS["K1"].verify(bytes(changed), home)
        else:
            KEYS["K1"].verify(bytes(changed), home)


def test_every_bit_of_the_authenticator_counts():
    message = payload_of("v03")

    for bit in range(128):
        home = RegistrationRequest.decode(message).extensions[2]
        changed = bytearray(home.authenticator)
        changed[bit // 8] ^= 1 << bit % 8
        home.authenticator = bytes(changed)
        with pytest.raises(BadAuthenticator):
            KEYS["K1"].verify(message, home)


@pytest.mark.parametrize("length", [1, 15, 17, 251])
def test_an_authenticator_of_another_length_never_holds(length):
    message = payload_of("v03")
    home = RegistrationRequest.decode(message).extensions[2]
    home.authenticator = (home.authenticator * 16)[:length]

    with pytest.raises(BadAuthenticator):
        KEYS["K1"].verify(message, home)


def test_the_right_key_under_another_spi_does_not_hold():
    key = bytes(range(16))
    signed = SecurityAssociation(256, key).sign(BARE, MobileHomeAuthentication)

    with pytest.raises(BadAuthenticator, match="extension 32 with SPI 256"):
        SecurityAssociation(257, key).verify(signed, last_of(signed))


def test_the_old_keyed_md5_leaves_the_spi_out_of_its_digest():
    one = SecurityAssociation(256, b"key", "keyed-md5").sign(BARE, MobileHomeAuthentication)
    other = SecurityAssociation(257, b"key", "keyed-md5").sign(BARE, MobileHomeAuthentication)

    assert last_of(one).authenticator == last_of(other).authenticator
    with pytest.raises(BadAuthenticator):
        SecurityAssociation(257, b"key", "keyed-md5").verify(one, last_of(one))


def test_the_later_keyed_md5_takes_the_spi_in():
    one = SecurityAssociation(256, b"key", "keyed-md5-spi").sign(BARE, MobileHomeAuthentication)
    other = SecurityAssociation(257, b"key", "keyed-md5-spi").sign(BARE, MobileHomeAuthentication)

    assert last_of(one).authenticator != last_of(other).authenticator
    assert last_of(one).authenticator == hashlib.md5(b"key" + one[:-16] + b"key").digest()


@pytest.mark.parametrize("spi", [-1, 0, 2, 255, 0x100000000])
def test_a_reserved_spi_is_refused(spi):
    with pytest.raises(ValueError, match="SPI"):
        SecurityAssociation(spi, b"key")


# ---- MN-AAA (RFC 4721)

CHALLENGES = [b"", b"c", bytes(range(237)), bytes(range(238)), bytes(range(255))]


@pytest.mark.parametrize("challenge", CHALLENGES, ids=[f"{len(one)} octets" for one in CHALLENGES])
@pytest.mark.parametrize("spi", [2, 1024])
def test_what_is_signed_for_a_aaa_server_verifies_and_covers_all_in_front_of_it(spi, challenge):
    association = AaaAssociation(spi, b"key")
    carried = MobileForeignChallenge(challenge).encode()

    signed = association.sign(BARE + carried, challenge)

    found = RegistrationRequest.decode(signed).extensions
    assert challenge_before(found, found[-1]) == challenge
    association.verify(memoryview(signed), found[-1], challenge)
    for at in range(found[-1].covered()):
        damaged = signed[:at] + bytes((signed[at] ^ 1,)) + signed[at + 1 :]
        with pytest.raises(BadAuthenticator):
            association.verify(damaged, found[-1], challenge)


def test_chap_is_md5_of_the_challenges_first_octet_the_key_the_digest_and_the_challenges_last_237_octets():
    challenge = bytes(range(250))
    signed = AaaAssociation(2, b"key").sign(BARE, challenge)

    covered = BARE + bytes.fromhex("2401001400000002")
    inner = hashlib.md5(covered).digest()
    assert signed == covered + hashlib.md5(b"\0" + b"key" + inner + challenge[13:]).digest()


def test_without_a_challenge_chap_takes_an_octet_of_zero_for_it():
    association = AaaAssociation(2, b"key")

    assert association.sign(BARE, b"") == association.sign(BARE, b"\0")


def test_the_answer_to_one_challenge_is_none_to_another_and_none_under_another_spi():
    chap, hmac = AaaAssociation(2, b"key"), AaaAssociation(1024, b"key")
    signed = chap.sign(BARE, b"one")

    with pytest.raises(BadAuthenticator, match="extension 36 with SPI 2"):
        chap.verify(signed, last_of(signed), b"another")
    with pytest.raises(BadAuthenticator):
        hmac.verify(signed, last_of(signed), b"one")
    with pytest.raises(BadAuthenticator):
        chap.verify(hmac.sign(BARE, b"one"), last_of(hmac.sign(BARE, b"one")), b"one")


@pytest.mark.parametrize("spi", [0, 1, 3, 255])
def test_of_the_reserved_spis_a_aaa_server_has_that_of_chap_alone(spi):
    with pytest.raises(ValueError, match="SPI"):
        AaaAssociation(spi, b"key")


def test_an_association_with_a_aaa_server_needs_a_key_and_never_shows_it():
    assert repr(AaaAssociation(2, b"very secret")) == "AaaAssociation(spi=2, chap)"
    assert repr(AaaAssociation(1024, b"very secret")) == "AaaAssociation(spi=1024, hmac-md5)"
    with pytest.raises(ValueError, match="empty key for SPI 2"):
        AaaAssociation(2, b"")


def test_an_unknown_algorithm_is_refused_with_the_known_ones_named():
    with pytest.raises(ValueError, match=", ".join(sorted(ALGORITHMS))):
        SecurityAssociation(256, b"key", "md5")


def test_an_empty_key_is_refused():
    with pytest.raises(ValueError, match="empty key for SPI 256"):
        SecurityAssociation(256, b"")


def test_an_association_shows_its_spi_and_never_its_key():
    association = SecurityAssociation(4096, b"very secret")

    assert repr(association) == "SecurityAssociation(spi=4096, hmac-md5)"
    assert str(association) == repr(association)


def test_a_bad_authenticator_is_answered_with_131_by_the_home_and_67_by_the_foreign_agent():
    assert (BadAuthenticator.home_code, BadAuthenticator.foreign_code) == (131, 67)


@pytest.mark.parametrize("spi", [2, 1024])
def test_one_that_a_aaa_server_would_refuse_with_144_and_108(spi):
    signed = AaaAssociation(spi, b"another").sign(BARE, b"")

    with pytest.raises(BadAuthenticator) as refused:
        AaaAssociation(spi, b"key").verify(signed, last_of(signed), b"")

    assert (refused.value.home_code, refused.value.foreign_code) == (144, 108)


def test_nothing_compares_authenticators_but_equal_which_takes_as_long_for_any_two(monkeypatch):
    compared = []
    monkeypatch.setattr("mip4.authentication.equal", lambda *both: compared.append(both) or True)
    signed = SecurityAssociation(256, b"another").sign(BARE, MobileHomeAuthentication)
    for_server = AaaAssociation(2, b"another").sign(BARE, b"")

    SecurityAssociation(256, b"key").verify(signed, last_of(signed))
    AaaAssociation(2, b"key").verify(for_server, last_of(for_server), b"")

    assert [theirs for _, theirs in compared] == [last_of(signed).authenticator, last_of(for_server).authenticator]
    elsewhere = [path for top in ("firmware", "host_agents") for path in (HERE.parents[1] / top).rglob("*.py")]
    for path in elsewhere:
        for node in ast.walk(ast.parse(path.read_text())):
            sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
            assert not [one for one in sides if isinstance(one, ast.Attribute) and one.attr == "authenticator"], path


@pytest.mark.parametrize(
    "text, key",
    [
        ("hex:00ff", b"\0\xff"),
        ("hex:00Ff", b"\0\xff"),
        ("hex:", b""),
        ("text:a:b", b"a:b"),
        ("text:é", b"\xc3\xa9"),
        ("text:", b""),
    ],
)
def test_a_key_is_written_in_hexadecimal_or_as_text(text, key):
    assert parse_key(text) == key


@pytest.mark.parametrize(
    "text", ["", "5ec2e7", "hex", "hex:5ec2e7f", "hex:5ec2e7zz", "hex:+55ec2e7", "hex: 5ec2e7", "Hex:5ec2e7"]
)
def test_a_key_that_cannot_be_read_is_refused_and_not_shown_even_in_the_traceback(text):
    with pytest.raises(ValueError, match=r"^key: ") as caught:
        parse_key(text)

    shown = "".join(traceback.format_exception(caught.value, limit=0))
    assert "c2" not in shown and "zz" not in shown
