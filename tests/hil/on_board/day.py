# On the board: a node with all its sessions lives through hours in seconds. Time is a number here; the agents are the
# few lines below, which say yes to everything, with the node's own codec.
from mip4 import effects
from mip4.authentication import SecurityAssociation
from mip4.const import ALL_SYSTEMS, PROTO_ICMP
from mip4.discovery import AgentAdvertisement, MobilityAgent
from mip4.extensions import Experimental, MobileHomeAuthentication, Nai
from mip4.ip import Packet
from mip4.messages import RegistrationReply, RegistrationRequest
from mobile_node.mobile_node import MobileNode

AGENT, CARE_OF = 0x0A630101, 0xCB007102
AGENT_LINK = b"\2\0\0\0\xaa\1"
POOL = 0x0A0A000A
ADVERTISED_MS = 30000


class Day:
    def __init__(self, config):
        self.now = 0
        self.registrations = 0
        self._association = SecurityAssociation(config["spi"], config["key"], config["algorithm"])
        self._addresses = {}
        self._sequence = 0
        self._next = 0
        self.node = MobileNode(config, 0, b"seed", [])
        self._do(self.node.start(0))
        self._do(self.node.link_up(0))

    def pass_time(self, seconds):
        # No object is kept: what the node does not keep is garbage at the end
        end = self.now + seconds * 1000
        while True:
            deadline = self.node.deadline()
            first = self._next if deadline is None else min(self._next, max(self.now, deadline))
            if first > end:
                break
            self.now = first
            if first == self._next:
                self._next += ADVERTISED_MS
                self._advertise()
            self._do(self.node.wake(self.now))
        self.now = end

    def _advertise(self):
        self._sequence += 1
        mobility = MobilityAgent(self._sequence, 600, 0x9100, [CARE_OF])
        message = AgentAdvertisement(0, 3 * ADVERTISED_MS // 1000, [(AGENT, 0)], [mobility]).encode()
        packet = Packet(AGENT, ALL_SYSTEMS, PROTO_ICMP, 1, message).encode()
        self._do(self.node.heard(packet, AGENT_LINK, self.now))

    def _do(self, said):
        for one in said:
            if type(one) is effects.Send:
                self._answer(one.datagram)

    def _answer(self, datagram):
        asked = RegistrationRequest.decode(datagram)
        echoes = [one for one in asked.extensions if type(one) in (Nai, Experimental)]
        names = b"".join([one.value for one in echoes if type(one) is Experimental])
        home = self._addresses.setdefault(names, POOL + len(self._addresses))
        reply = RegistrationReply(0, min(asked.lifetime, 600), home, asked.home_agent, asked.identification, echoes)
        octets = self._association.sign(reply.encode(), MobileHomeAuthentication)
        self.registrations += 1
        self._do(self.node.receive(octets, AGENT, self.now))
