"""What connects the machines of docs/deploy.md and deploy-foreign-agent.md: links, addresses, and who gives them."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.deploy.machine import Machine
from tests.runtime.namespaces import Network
from tools.lab.crew import wait_until

_DHCP = """\
interface {interface}
start {network}.100
end {network}.199
lease_file {folder}/{interface}.leases
pidfile {folder}/{interface}.pid
option subnet 255.255.255.0
option router {router}
"""
_CAMERA = """
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
socketserver.TCPServer(("", 80), Echo).serve_forever()
"""


class Internet:
    """The router has `wan0` and `lan0`; the hotspot `wan0` and the bridge `guest0`; the node `eth0`.

    The node's cable begins in a network far from both routers; there as on `guest0` who comes is given an address.
    """

    def __init__(self, network: Network, folder: Path, undo: ExitStack, machines: dict[str, Machine]) -> None:
        self.machines = machines
        self._network, self._folder, self._undo = network, folder, undo
        network.node("inet", forwards=True)
        self._plug("router", "wan0", "192.0.2.1/24", "192.0.2.254")
        self._plug("hotspot", "wan0", "203.0.113.2/24", "203.0.113.1")
        self._plug("node", "eth0", "", "198.51.100.1")
        self._bridge("router", "lan0", "192.168.1.1")
        self._bridge("hotspot", "guest0", "192.168.7.1")
        self._give_addresses(self.place, "to-node", "198.51.100.1")
        self._give_addresses(f"/proc/{machines['hotspot'].pid}/ns/net", "guest0", "192.168.7.1")

    @property
    def place(self) -> str:
        """The namespace where somebody is who has nothing to do with Mobile IP."""
        return f"/run/netns/{self._network.full('inet')}"

    def run(self, name: str, script: str) -> str:
        done = self.machines[name].run(script)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def carry_the_node_to_the_hotspot(self) -> None:
        """Its cable is in a port of `guest0` then."""
        pid = str(self.machines["hotspot"].pid)
        self._network.ip("inet", "link", "set", "to-node", "netns", pid, "name", "port1")
        self.run("hotspot", "ip link set port1 master guest0; ip link set port1 up")

    def _plug(self, name: str, interface: str, address: str, gateway: str) -> None:
        ends = ("type", "veth", "peer", "name", interface, "netns", str(self.machines[name].pid))
        self._network.ip("inet", "link", "add", f"to-{name}", *ends)
        self._network.ip("inet", "address", "add", f"{gateway}/24", "dev", f"to-{name}")
        self._network.ip("inet", "link", "set", f"to-{name}", "up")
        # A real network card finishes checksums; a veth would leave that to nobody, and a node's raw socket see it.
        off = "ethtool --offload {} tx off >/dev/null"
        subprocess.run(["nsenter", f"--net={self.place}", "sh", "-c", off.format(f"to-{name}")], check=True)
        routed = f"; ip address add {address} dev {interface}; ip route add default via {gateway}" if address else ""
        self.run(name, f"{off.format(interface)}; ip link set {interface} up{routed}")

    def _bridge(self, name: str, bridge: str, address: str) -> None:
        """With a link address of its own, which does not change with its ports."""
        self.run(
            name,
            f"ip link add {bridge} address 02:00:00:00:00:01 type bridge; ip link set {bridge} up;"
            f"ip address add {address}/24 dev {bridge}",
        )

    def _give_addresses(self, place: str, interface: str, router: str) -> None:
        network, folder = router.rpartition(".")[0], self._folder
        path = folder / f"{interface}.conf"
        path.write_text(_DHCP.format(interface=interface, network=network, router=router, folder=folder))
        (folder / f"{interface}.leases").touch()
        command = ["nsenter", f"--net={place}", "busybox", "udhcpd", "-f", "-a", "20", str(path)]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._undo.callback(server.wait)
        self._undo.callback(server.kill)


class Connection:
    """Of somebody in the internet to port 8080 of the home router, which the camera answers: over TCP, line by line."""

    def __init__(self, internet: Internet, network: Network) -> None:
        internet.run("node", f"systemd-run --unit=camera {sys.executable} -c '{_CAMERA}'")
        self._said = 0
        with network.inside("inet"):
            wait_until(self._connected, 30, "a connection to the camera")

    def _connected(self) -> bool:
        try:
            self._socket = socket.create_connection(("192.0.2.1", 8080), timeout=20)
        except ConnectionRefusedError:  # it is about to listen
            return False
        return True

    def goes_on(self) -> None:
        """Raises AssertionError and TimeoutError."""
        self._said += 1
        line = b"%d\n" % self._said
        self._socket.sendall(line)
        assert self._socket.recv(len(line), socket.MSG_WAITALL) == line

    def close(self) -> None:
        self._socket.close()
