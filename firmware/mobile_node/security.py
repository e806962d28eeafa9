"""The keys of a mobile node, and what it puts on and demands of registration messages with them (RFC 5944 §3.5)."""

from mip4.const import is_from_home_agent
from mip4.errors import BadAuthenticator
from mip4.extensions import (
    MobileForeignAuthentication,
    MobileForeignChallenge,
    MobileHomeAuthentication,
    encode_all,
    find,
)


class Security:
    """home: the association with the home agent. foreign: care-of address -> association with that foreign agent.

    aaa: the association with our AAA server (RFC 4721), None for none.
    """

    def __init__(self, home, foreign: dict, aaa):
        self._home = home
        self._foreign = foreign
        self._aaa = aaa

    def sign(self, message: bytes, care_of_address: int, for_agent: list, challenge: bytes) -> bytes:
        """A request, with the home agent's authenticator and, where there is a key for it, the foreign agent's (MN-06).

        for_agent: extensions that the home agent is not to see. challenge: of the foreign agent, b"" for none. It goes
        along only with an authenticator that answers it. That for the AAA server goes only to agents that challenge: to
        others it is unknown, and cannot be skipped.
        """
        signed = self._home.sign(message, MobileHomeAuthentication)
        foreign = self._foreign.get(care_of_address)
        if challenge and (foreign is not None or self._aaa is not None):
            signed += MobileForeignChallenge(challenge).encode()
            if self._aaa is not None:
                signed = self._aaa.sign(signed, challenge)
        signed += encode_all(for_agent)  # behind all that the home agent gets
        return signed if foreign is None else foreign.sign(signed, MobileForeignAuthentication)

    def verify(self, datagram: bytes, reply, care_of_address: int) -> list:
        """The extensions that may be believed: of a home agent's reply those that its authenticator covers.

        Raises BadAuthenticator. A foreign agent's own denial needs none of the home agent's (MN-14 … MN-16).
        """
        foreign = self._foreign.get(care_of_address)
        if foreign is not None:
            foreign.verify(datagram, _only(reply, MobileForeignAuthentication))
        if not is_from_home_agent(reply.code):
            return reply.extensions
        home = _only(reply, MobileHomeAuthentication)
        self._home.verify(datagram, home)
        return [one for one in reply.extensions if one.at < home.at]


def _only(reply, cls):
    found = find(reply.extensions, cls)
    if len(found) != 1:
        raise BadAuthenticator("%d extensions of type %d, one is needed" % (len(found), cls.kind))
    return found[0]
