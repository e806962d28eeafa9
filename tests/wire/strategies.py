"""What hypothesis may make of messages: anything that the fields' widths allow."""

from hypothesis import strategies as st

from mip4 import discovery, extensions
from mip4.ip import Datagram, Packet
from mip4.messages import RegistrationReply, RegistrationRequest

U8, U16, U32, U64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))


def octets(least: int, most: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=least, max_size=most)


EXTENSION = st.one_of(
    st.builds(extensions.Nai, octets(1, 255)),
    st.builds(extensions.MobileHomeAuthentication, U32, octets(1, 251)),
    st.builds(extensions.MobileForeignAuthentication, U32, octets(1, 251)),
    st.builds(extensions.ForeignHomeAuthentication, U32, octets(1, 251)),
    st.builds(extensions.MnAaaAuthentication, U32, octets(1, 300)),
    st.builds(extensions.CriticalVendor, U32, U16, octets(0, 300)),
    st.builds(extensions.NormalVendor, U32, U16, octets(0, 247)),
    st.builds(extensions.UdpTunnelReply, U8, st.booleans(), U16),
    st.builds(extensions.UdpTunnelRequest, st.booleans(), st.booleans(), U8),
    st.builds(extensions.ForeignAgentError, U8),
    st.builds(extensions.GreKey, U32),
    st.builds(extensions.EncapsulatingDelivery),
    st.builds(extensions.MobileForeignChallenge, octets(0, 255)),
    st.builds(extensions.RevocationSupport, st.booleans(), U32),
    st.builds(extensions.HomeAgentAddress, st.sampled_from([1, 2]), U32),
    st.builds(extensions.MessageString, st.sampled_from([1, 2]), octets(1, 254)),
    st.builds(extensions.Experimental, U8, octets(0, 254)),
)

REQUEST = st.builds(RegistrationRequest, U8, U16, U32, U32, U32, U64, st.lists(EXTENSION, max_size=6))
REPLY = st.builds(RegistrationReply, U8, U16, U32, U32, U64, st.lists(EXTENSION, max_size=6))

_AGENT = st.builds(discovery.MobilityAgent, U16, U16, U16, st.lists(U32, max_size=62))
_BESIDE = st.one_of(
    _AGENT,
    st.builds(discovery.PrefixLengths, st.lists(U8, max_size=255)),
    st.builds(discovery.AdvertisedChallenge, octets(0, 255)),
)
ADVERTISEMENT = st.builds(
    lambda code, lifetime, routers, agent, others: discovery.AgentAdvertisement(
        code, lifetime, routers, [agent, *others]
    ),
    st.sampled_from([0, 16]),
    U16,
    st.lists(st.tuples(U32, U32), max_size=8),
    _AGENT,
    st.lists(_BESIDE, max_size=3),
)

PACKET = st.builds(Packet, U32, U32, U8, U8, octets(0, 1480))
DATAGRAM = st.builds(Datagram, U32, U16, U32, U16, octets(0, 1472))
