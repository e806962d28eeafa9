"""What all registrations of a node share: who it is, its keys and clock."""

from mip4.authentication import AaaAssociation, SecurityAssociation
from mip4.identification import Noise, Nonces, Timestamps
from mobile_node.security import Security
from mobile_node.wishes import Wishes


class Settings:
    """config: see runtime/config.py. ntp_ms: NTP time at now = 0, ms, or 0. seed: octets of chance.

    noise: made of them, for whoever needs chance.
    """

    def __init__(self, config: dict, ntp_ms: int, seed: bytes):
        self.nai = config["nai"].encode()
        self.home_agent = config["home_agent"]
        self.requested_home_agent = config["requested_home_agent"]
        self.lifetime = config["lifetime"]
        self.reverse_tunnel = config["reverse_tunnel"]
        self.force_udp = config["force_udp"]
        self.sessions = config["sessions"]
        self.link_mtu = config["link_mtu"]
        self.sub_nai_vendor = config["sub_nai_vendor"]
        self.sub_nai_type = config["sub_nai_type"]
        self.wishes = Wishes(config)
        self.noise = Noise(seed)
        self._timestamps = None if config["replay"] == "nonces" else Timestamps(ntp_ms, self.noise)
        home = SecurityAssociation(config["spi"], config["key"], config["algorithm"])
        foreign = {}
        for one in config["foreign_agents"]:
            foreign[one["care_of_address"]] = SecurityAssociation(one["spi"], one["key"], one["algorithm"])
        aaa = config["aaa"]
        aaa = None if aaa is None else AaaAssociation(aaa["spi"], aaa["key"], aaa["algorithm"])
        self.security = Security(home, foreign, aaa)

    def identifications(self) -> Timestamps | Nonces:
        """Of one session more: nonces of its own, or the timestamps of all, which rise from request to request."""
        return self._timestamps or Nonces(self.noise)
