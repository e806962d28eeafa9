"""The sub-NAI: which session of a NAI a registration message is about.

Two carriers: A, the experimental extension 255 (RFC 4064); B, a vendor extension 134 (RFC 3115) under the operator's
enterprise number. Sub-type 1 carries the sub-NAI alone, sub-type 2 the NAI and the sub-NAI together.
"""

from mip4.compat import const
from mip4.cursor import pack
from mip4.errors import Malformed
from mip4.extensions import Experimental, NormalVendor
from mip4.nai import check_sub_nai
from mip4.record import Record

ALONE = const(1)
_WITH_NAI = const(2)


class SubNai(Record):
    """A sub-NAI and how it travelled. vendor: enterprise number, 0 for carrier A. nai: None in sub-type 1."""

    __slots__ = ("sub_nai", "vendor", "nai")

    def extension(self):
        """The extension to put directly after the NAI's. Raises ValueError where it does not fit."""
        sub_type, value = ALONE, self.sub_nai
        if self.nai is not None:
            sub_type, value = _WITH_NAI, pack("B", len(self.nai)) + self.nai + self.sub_nai
        if self.vendor:
            return NormalVendor(self.vendor, sub_type, value)
        return Experimental(sub_type, value)


def find_sub_nai(extensions: list, vendor: int, nai: bytes) -> SubNai | None:
    """The one sub-NAI among `extensions`, or None.

    vendor: the enterprise number of carrier B, 0 where only A is understood. nai: what extension 131 said.
    Raises Malformed for two of them, a bad one, or one whose own NAI disagrees.
    """
    found = None
    for one in extensions:
        if type(one) is Experimental:
            sub_type, carrier = one.sub_type, 0
        elif type(one) is NormalVendor and vendor and one.vendor == vendor:
            sub_type, carrier = one.vendor_type, vendor
        else:
            continue
        if sub_type not in (ALONE, _WITH_NAI):
            continue
        if found is not None:
            raise Malformed("two sub-NAIs")
        found = _with_nai(one.value, carrier, nai) if sub_type == _WITH_NAI else SubNai(one.value, carrier, None)
        check_sub_nai(found.sub_nai)
    return found


def _with_nai(value: bytes, carrier: int, nai: bytes) -> SubNai:
    if not value or len(value) < 1 + value[0]:
        raise Malformed("sub-NAI of sub-type 2 ends within its NAI")
    inner = value[1 : 1 + value[0]]
    if inner != nai:
        raise Malformed("sub-NAI of sub-type 2 names another NAI")
    return SubNai(value[1 + value[0] :], carrier, inner)
