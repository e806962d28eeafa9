"""The home networks of ha.toml, and who is at home there: [[network]] and [[subscriber]]."""

from __future__ import annotations

from host_agents.home_agent.policy import HomeNetwork, Subscriber
from host_agents.runtime.config_reader import Key, Reader, Section
from mip4.address import in_prefix, parse_prefix, show
from mip4.nai import check_nai, check_sub_nai

REPLAY = ("timestamps", "nonces")
_EVERYWHERE = (0, 0)  # stands in for a prefix that is none
_NARROWEST = 8  # prefix length of the largest home network


class NetworkSection(Section):
    """A home network, as the file has it."""

    prefix: str
    pool: list[str]
    gateway: str
    dns: list[str] = []
    interface: str = ""
    advertise_interval: float = 1.0


class SubscriberSection(Key, kw_only=True):
    """One SPI of a subscriber, as the file has it."""

    nai: str
    replay: str = ""
    sessions: int = 8
    addresses: dict[str, str] = {}
    aaa: Key | None = None


def read_network(reader: Reader, key: str, one: NetworkSection) -> HomeNetwork:
    """key: of the entry, for complaints."""
    prefix = reader.value(f"{key}.prefix", _EVERYWHERE, parse_prefix, one.prefix)
    reader.need(f"{key}.prefix", prefix[1] >= _NARROWEST, f"{one.prefix} is larger than a /{_NARROWEST}")
    reader.need(f"{key}.interface", len(one.interface) < 16, "an interface name has at most 15 characters")
    pool = tuple(_range(reader, f"{key}.pool", text, prefix) for text in one.pool)
    gateway = reader.address(f"{key}.gateway", one.gateway)
    dns = tuple(reader.address(f"{key}.dns", text) for text in one.dns)
    reader.need(f"{key}.dns", len(dns) <= 2, "two servers are all that RFC 4332 can name")
    interval = reader.advertise_interval(f"{key}.advertise_interval", one.advertise_interval)
    return HomeNetwork(prefix, pool, gateway, dns, one.interface, advertise_interval=interval)


def _range(reader: Reader, key: str, text: str, prefix: tuple[int, int]) -> tuple[int, int]:
    first_text, _, last_text = text.partition("-")
    first, last = reader.address(key, first_text.strip()), reader.address(key, (last_text or first_text).strip())
    reader.need(key, first <= last, f"{text} ends before it begins")
    inside = in_prefix(first, *prefix) and in_prefix(last, *prefix)
    reader.need(key, inside, f"{text} is not inside the prefix")
    return first, last


def read_subscribers(
    reader: Reader, entries: list[SubscriberSection], networks: tuple[HomeNetwork, ...]
) -> dict[str, Subscriber]:
    """Entries with one NAI are several SPIs of one subscriber; the first says what else it has.

    Each may have an `aaa` of its own. Replay protection is the NAI's, not the SPI's: a session has one state.
    """
    found: dict[str, Subscriber] = {}
    taken: dict[int, str] = {network.gateway: "a gateway" for network in networks}
    for at, one in enumerate(entries):
        key = f"subscriber[{at}]"
        nai = reader.value(f"{key}.nai", one.nai, check_nai, one.nai.encode())
        reader.need(f"{key}.replay", one.replay in ("", *REPLAY), f"{one.replay} is none of {', '.join(REPLAY)}")
        reader.need(f"{key}.sessions", 0 < one.sessions <= 65536, "outside 1..65536")
        association = reader.association(key, one)
        aaa = {} if one.aaa is None else {one.aaa.spi: reader.aaa_association(f"{key}.aaa", one.aaa)}
        if nai in found:
            known, style = found[nai], REPLAY[found[nai].nonces]
            reader.need(f"{key}.spi", one.spi not in known.associations, f"{one.spi} twice for {nai}")
            reader.need(f"{key}.aaa.spi", not aaa.keys() & known.aaa.keys(), f"{[*aaa]} twice for {nai}")
            reader.need(f"{key}.replay", one.replay in ("", style), f"{nai} has {style} already")
            known.associations[one.spi] = association
            known.aaa.update(aaa)
            continue
        addresses = {}
        for sub_nai, text in one.addresses.items():
            if sub_nai:
                reader.value(f"{key}.addresses", None, check_sub_nai, sub_nai.encode())
            address = reader.address(f"{key}.addresses", text)
            reader.need(f"{key}.addresses", address not in taken, f"{text} is {taken.get(address)}'s already")
            inside = any(in_prefix(address, *network.prefix) for network in networks)
            reader.need(f"{key}.addresses", inside, f"{show(address)} is in no home network")
            taken[address] = nai
            addresses[sub_nai] = address
        nonces = one.replay == "nonces"
        found[nai] = Subscriber(nai, {one.spi: association}, one.sessions, addresses, aaa, nonces)
    return found
