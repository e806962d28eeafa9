"""Linux as a platform of the mobile node: what runtime/runtime.py asks of a port, under MicroPython's unix port."""

from mip4.const import ANY
from mip4.effects import (
    AnswerDhcp,
    Attach,
    Detach,
    HandIn,
    LeaveHomeLink,
    Remember,
    Send,
    SendTunnelled,
    Solicit,
    UseAgent,
    UseHomeLink,
    UseTunnel,
)
from port_unix import fields as fields
from port_unix.control_socket import be_the_only_one, listen
from port_unix.device_packets import bring
from port_unix.downlink import Downlink
from port_unix.instruments import Instruments as Instruments
from port_unix.links import Links
from port_unix.netlink import Netlink
from port_unix.own_link import LINK_ADDRESS, OwnLink
from port_unix.routes import Routes
from port_unix.serial_downlink import SerialDownlink
from port_unix.sysctl import settle_machine
from port_unix.uplink import Uplink
from runtime import clock, state
from runtime.errors import KernelRefused
from runtime.forwarder import Forwarder

Clock = clock.Clock
seed = clock.seed


def prepare(document) -> None:
    """The configuration before it is checked: on this platform it is what the file says."""


class Port:
    """The machine: one uplink, its downlinks, its kernel's tables, its state file, its control socket."""

    def __init__(self, config: dict, log):
        """Takes back what a former run left in the kernel. Raises KernelRefused."""
        self._config = config
        self._log = log
        self._remembered = None
        if config["control"]:
            be_the_only_one(config["control"])  # before anything of the other's is swept
        self._uplink = Uplink(config["uplinks"][0], log)
        netlink = Netlink()
        self._routes = Routes(netlink)
        self._uplink.use(self._routes)
        self._settled(settle_machine())
        self._forwarder = Forwarder(link_mtu=config["link_mtu"])
        self._ethernets = [Downlink(one, self._routes) for one in config["downlinks"] if one["kind"] == "ethernet"]
        lines = [one for one in config["downlinks"] if one["kind"] == "slip"]
        self._lines = [
            SerialDownlink(one, number, netlink, self._routes, self._forwarder, log) for number, one in enumerate(lines)
        ]
        self._downlinks = {one.name: one for one in self._ethernets + self._lines}
        self._by_interface = {one.interface: one for one in self._ethernets}
        self._links = Links([self._uplink.interface] + list(self._by_interface))
        self._attached = {}  # home address -> Attach
        self._lo = self._routes.index_of("lo")
        for line in self._lines:
            self._settled(line.settled)
        there = [self._lo]
        names = [self._uplink.interface] + [one.interface for one in self._downlinks.values()]
        for name in names:
            index = self._routes.index_of(name)
            if index:
                there.append(index)
            else:
                log.warning("interface %s is not there yet" % name)
        swept = self._routes.sweep(there, names)
        if swept:
            log.info("swept %d entries of a former run from the kernel" % swept)
        self._told = ANY  # the own address that the engine knows of
        self._tunnel = None  # the UseTunnel in force
        self._forwarding = False
        self._may_forward = config["mode"] != "foreign-agent" or config["delivery"] == "encapsulating"
        own = config["own_session"] is not None or config["applications"]
        self._own_link = None
        if own and self._may_forward:
            self._own_link = OwnLink(netlink, self._routes)
            self._settled(self._own_link.settled)
        self.runners = {
            Solicit: lambda effect: self._uplink.solicit(),
            Send: self._uplink.send,
            SendTunnelled: lambda effect: self._forwarder.send(effect.packet),
            UseAgent: self._use_agent,
            HandIn: self._hand_in,
            UseHomeLink: self._use_home_link,
            LeaveHomeLink: lambda effect: self._uplink.leave_home_link(),
            UseTunnel: self._use_tunnel,
            Attach: self._attach,
            Detach: self._detach,
            AnswerDhcp: lambda effect: self._downlinks[effect.downlink].answer_dhcp(effect),
            Remember: self._remember,
        }

    def remembered(self) -> list:
        """What the last Remember of a former run asked to keep; [] if there is nothing."""
        if not self._config["state"]:
            return []
        sessions = state.load(self._config["state"], self._config["nai"], self._log)
        return [one for one in sessions if one[1] in self._downlinks]  # a configuration can have changed since

    def control(self):
        """The listening control socket, None if the configuration wants none. Raises KernelRefused."""
        return listen(self._config["control"]) if self._config["control"] else None

    def sources(self) -> list:
        """Where events come from: list of (name, coroutine function that takes the runtime)."""
        found = [
            ("links", self._follow_links),
            ("carrier", lambda runtime: self._links.hurry(self._uplink.interface)),
            ("uplink", self._uplink.hear),
            ("ARP at home", self._uplink.arp.serve),
            ("gratuitous ARP", self._uplink.arp.repeat),
            ("lease", lambda runtime: self._uplink.lease(lambda: self._tell_address(runtime))),
        ]
        for downlink in self._ethernets:
            found.append(("dhcp on %s" % downlink.name, downlink.serve))
        for line in self._lines:
            found += line.sources()
        if not self._may_forward:
            return found
        for downlink in self._ethernets:
            found.append(("packets on %s" % downlink.name, lambda runtime, link=downlink: bring(link, self._forwarder)))
        if self._own_link is not None:
            found.append(("packets of our own", lambda runtime: bring(self._own_link, self._forwarder)))
        for name, tunnel in self._uplink.tunnels.items():
            found.append(("tunnel %s" % name, lambda runtime, tunnel=tunnel: tunnel.serve(self._forwarder)))
        return found

    def delivered(self) -> list:
        """As Forwarder.delivered()."""
        return self._forwarder.delivered()

    def status(self) -> dict:
        return {
            "uplink": self._uplink.status(),
            "downlinks": [one.status() for one in self._downlinks.values()],
            "forwarder": self._forwarder.status(),
        }

    async def _follow_links(self, runtime) -> None:
        self._forwarder.answered = lambda packet: runtime.tell("tunnelled", packet)
        await self._links.follow(lambda link, event: self._changed(runtime, link, event))

    def _changed(self, runtime, link, event: str) -> None:
        """A link event: first the port's own share of it, then the engine's."""
        downlink = self._by_interface.get(link.name)
        place = self._uplink if downlink is None else downlink
        names = () if downlink is None else (downlink.name,)
        which = "link_" if downlink is None else "downlink_"
        if event == "appeared":
            self._take_into_use(place, link)
        elif event == "up":
            self._log.info("%s %s up" % ("uplink" if downlink is None else "downlink", link.name))
            # The engine first: what it sends now is what a handoff waits for
            runtime.tell(which + "up", *names)
            runtime.attempt(place.came_up)
        else:
            self._log.info("%s %s down" % ("uplink" if downlink is None else "downlink", link.name))
            runtime.attempt(place.went_down)
            self._tell_address(runtime)
            runtime.tell(which + "down", *names)
        self._tell_address(runtime)

    def _tell_address(self, runtime) -> None:
        if self._uplink.own_address != self._told:
            self._told = self._uplink.own_address
            runtime.tell("address", self._told)

    def _take_into_use(self, place, link) -> None:
        try:
            self._settled(place.appeared(link.index, link.link_address))
        except KernelRefused as error:  # such as a port that another program has for now
            self._log.seldom(str(error), str(error))
            link.index = 0

    def _settled(self, changed: list) -> None:
        if changed:
            self._log.info("kernel settings changed: %s" % ", ".join(changed))

    def _use_tunnel(self, effect: UseTunnel) -> None:
        """The forwarder takes over from the kernel, or goes on with another tunnel."""
        tunnel = self._uplink.use_tunnel(effect)
        self._forwarder.use(tunnel, effect.home_agent, effect.kind, effect.broadcast)
        self._forward(True)
        self._tunnel = effect
        if self._own_link is not None and self._is_own(effect.source):
            self._own_link.carry(True, effect.source)
        elif effect.care_of_address:
            self._uplink.put_default()

    def _use_agent(self, effect: UseAgent) -> None:
        self._use_no_tunnel()
        if not self._is_own(effect.source):
            effect = UseAgent(effect.address, effect.link_address, ANY)
        self._uplink.use_agent(effect)

    def _use_home_link(self, effect: UseHomeLink) -> None:
        self._use_no_tunnel()
        self._uplink.use_home_link(effect.link_address, effect.source if self._is_own(effect.source) else ANY)

    def _use_no_tunnel(self) -> None:
        """The kernel carries the packets itself."""
        if self._forwarding:
            self._tunnel = None
            self._forwarder.use(None, ANY, "", ANY)
            self._forward(False)
            if self._own_link is not None:
                self._own_link.carry(False, ANY)

    def _hand_in(self, effect: HandIn) -> None:
        """What home addresses send goes by the forwarder to the agent; what is for them still comes by the kernel."""
        self._forwarder.use(self._uplink.hand_in(effect), ANY, "handed in", ANY)
        self._forward(True)
        if self._own_link is not None and self._uplink.source:
            self._own_link.carry(True, self._uplink.source)

    def _forward(self, on: bool) -> None:
        """Whether what devices send is the forwarder's to take, or the kernel's."""
        if on != self._forwarding:
            self._forwarding = on
            for downlink in self._downlinks.values():
                downlink.carry(on)

    def _is_own(self, home_address: int) -> bool:
        """Whether the kernel takes it as a source: it refuses a route for an address that is not this machine's."""
        own = self._attached.get(home_address)
        return own is not None and not own.downlink

    def _attach(self, effect: Attach) -> None:
        before = self._attached.get(effect.home_address)
        if before is not None and (before.downlink, before.gateway) != (effect.downlink, effect.gateway):
            self._detach(before)
        self._attached[effect.home_address] = effect
        if effect.downlink:
            downlink = self._downlinks[effect.downlink]
            place = downlink.place(effect.link_address)
            self._forwarder.attach(effect.home_address, downlink, place, effect.gateway, False)
            downlink.attach(effect)
        else:
            self._forwarder.attach(effect.home_address, self._own_link, LINK_ADDRESS, ANY, True)
            self._routes.put_address(self._lo, effect.home_address, 32)
        self._uplink.arp.attach(effect.home_address)

    def _detach(self, effect) -> None:
        before = self._attached.pop(effect.home_address, None)
        if before is None:
            return
        self._uplink.arp.detach(effect.home_address)
        self._forwarder.detach(effect.home_address)
        if before.downlink:
            self._downlinks[before.downlink].detach(effect.home_address)
        else:
            self._uplink.lose_source(effect.home_address)
            self._routes.remove_address(self._lo, effect.home_address, 32)
            if self._tunnel is not None and self._tunnel.source == effect.home_address:
                self._use_tunnel(self._tunnel)  # the default route went with its source

    def _remember(self, effect: Remember) -> None:
        if self._config["state"] and effect.sessions != self._remembered:
            state.save(self._config["state"], self._config["nai"], effect.sessions)
            self._remembered = effect.sessions
