"""The flight recorder's ring: whatever happens to the power, whole records are found, in order, and nothing else."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.flight_ring import LONGEST, PAGE, Ring, decode, encode, file_names


def bodies(count: int, size: int = 40) -> list[bytes]:
    return [(f"record {number} ".encode() * 9)[: size + number % 17] for number in range(count)]


def kept(path: Path) -> list[bytes]:
    found = [one for name in file_names(str(path)) if Path(name).exists() for one in decode(Path(name).read_bytes())]
    return [body for _, body in sorted(found)]


def a_ring(path: Path, size: int = 1 << 16) -> Ring:
    ring = Ring(str(path), size)
    ring.open()
    return ring


def test_what_was_appended_is_found_again_in_whole_pages(tmp_path):
    written = bodies(50)

    ring = a_ring(tmp_path / "flight")
    ring.append(written[:20])
    ring.append(written[20:])

    assert kept(tmp_path / "flight") == written
    assert (tmp_path / "flight.0").stat().st_size == ring.written * PAGE


def test_a_power_cut_at_any_octet_loses_what_was_not_whole_and_nothing_else(tmp_path):
    """For every offset: the records that end before it are there, and what is appended later too, behind them."""
    ring = a_ring(tmp_path / "flight")
    ring.append(bodies(6))
    ring.append(bodies(6, size=70))
    whole = (tmp_path / "flight.0").read_bytes()
    everything = decode(whole)
    ends = [whole.index(encode(*one)) + len(encode(*one)) for one in everything]

    for cut in range(len(whole) + 1):
        path = tmp_path / "cut"
        (tmp_path / "cut.0").write_bytes(whole[:cut])
        before = [body for (_, body), end in zip(everything, ends, strict=True) if end <= cut]
        assert kept(path) == before, cut

        again = a_ring(path)
        again.append([b"after the cut"])

        assert kept(path) == [*before, b"after the cut"], cut
        assert (tmp_path / "cut.0").stat().st_size % PAGE == 0


def test_a_cut_while_the_oldest_file_is_begun_anew_keeps_the_others(tmp_path):
    ring = a_ring(tmp_path / "flight", size=8 * 2 * PAGE)
    for body in bodies(45, size=100):
        ring.append([body])
    newest = max(tmp_path.glob("flight.*"), key=lambda one: decode(one.read_bytes())[-1][0])
    number = int(newest.suffix[1:])
    following = tmp_path / f"flight.{(number + 1) % 8}"
    expected = [body for body in kept(tmp_path / "flight") if body not in dict(decode(following.read_bytes())).values()]
    following.write_bytes(b"")  # truncated, and then the power went

    again = a_ring(tmp_path / "flight", size=8 * 2 * PAGE)
    again.append([b"after the cut"])

    assert kept(tmp_path / "flight") == [*expected, b"after the cut"]


def test_the_ring_never_grows_and_keeps_the_newest(tmp_path):
    ring = a_ring(tmp_path / "flight", size=8 * 1024)
    written = bodies(1000)

    for at in range(0, 1000, 7):
        ring.append(written[at : at + 7])
        assert sum(one.stat().st_size for one in tmp_path.iterdir()) <= 8 * 1024

    found = kept(tmp_path / "flight")
    assert found == written[-len(found) :] and len(found) > 80


def test_a_ring_that_is_opened_again_goes_on_where_it_was(tmp_path):
    for body in bodies(300):
        a_ring(tmp_path / "flight", size=8 * 1024).append([body])

    found = kept(tmp_path / "flight")
    assert found == bodies(300)[-len(found) :]


@given(st.binary(max_size=3 * PAGE))
def test_octets_that_are_no_ring_are_no_records_and_no_exception(octets):
    for sequence, body in decode(octets):
        assert encode(sequence, body) in octets


@given(st.data())
def test_a_flipped_bit_costs_its_page_at_most(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("ring")
    a_ring(folder / "flight").append(bodies(20))
    octets = bytearray((folder / "flight.0").read_bytes())
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] ^= 1 << data.draw(st.integers(0, 7))

    found = decode(bytes(octets))

    page = at // PAGE * PAGE
    others = decode(bytes(octets[:page])) + decode(bytes(octets[page + PAGE :]))
    assert [one for one in found if one in others] == others
    assert all(body in bodies(20) for _, body in found)
    shutil.rmtree(folder)


@pytest.mark.parametrize("size", [0, LONGEST + 1])
def test_a_body_that_fits_no_record_is_refused(size):
    with pytest.raises(ValueError):
        encode(0, bytes(size))
