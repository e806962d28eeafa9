"""Every vector file keeps its promises on CPython; tests/mpy asks the same of MicroPython."""

from pathlib import Path

import pytest

from tests.vectors import checks

VECTORS = sorted(path for path in Path(checks.__file__).parent.glob("*.json") if path.name != "keys.json")
# Of an ICMP message the checksum refuses every cut: see test_discovery.py.
REGISTRATIONS = [path for path in VECTORS if "udp" in (vector := checks.load(str(path))) and "message" in vector]


@pytest.mark.parametrize("path", VECTORS, ids=[path.stem for path in VECTORS])
def test_the_vector_is_read_and_made_octet_for_octet(path):
    assert checks.check(str(path)) > 0


@pytest.mark.parametrize("path", REGISTRATIONS, ids=[path.stem for path in REGISTRATIONS])
def test_a_vector_cut_anywhere_is_refused_unless_the_cut_is_between_two_extensions(path):
    vector = checks.load(str(path))
    message = checks.message_in(bytes.fromhex(vector["datagram"]))
    cls = checks.message_class(vector["message"])

    whole = cls.decode(message)
    between = {one.at for one in whole.extensions} | {len(message)}

    for end in range(len(message)):
        assert checks.raised(cls.decode, message[:end]) == ("" if end in between else "Malformed"), end
