"""The address pool: who gets which address, and that nobody ever gets somebody else's."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from host_agents.home_agent.address_pool import AddressPool as Pool
from mip4.errors import Denied
from tests.helpers.alone import HomeAgentAlone
from tests.helpers.builders import NAI, NTP_2026, a_subscriber

ONE, TWO, THREE = ("n", "one"), ("n", "two"), ("n", "three")
PRINTER = ("n", "printer")


class AddressPool(Pool):
    """With a table of bindings of its own."""

    def __init__(self, ranges, reserved, never, owners=()):
        self.held = {}
        super().__init__(ranges, reserved, never, self.held.get, owners)

    def holder(self, address):
        return self.held.get(address)

    def take(self, address, session):
        super().take(address, session)
        self.held[address] = session

    def leaves(self, address):
        self.give_back(address, self.held.pop(address))


def _pool(first=10, last=13, reserved=None, never=(1,), owners=()):
    return AddressPool([(first, last)], reserved or {}, never, owners)


def _give(pool, session, asked=0):
    address = pool.choose(session, asked)
    pool.take(address, session)
    return address


def _denied(pool, session, asked=0):
    with pytest.raises(Denied) as denied:
        pool.choose(session, asked)
    return denied.value.code


def test_strangers_get_addresses_that_nobody_ever_had_first():
    pool = _pool()
    _give(pool, ONE)
    pool.leaves(10)

    assert _give(pool, TWO) == 11
    assert _give(pool, THREE) == 12


def test_then_the_one_given_back_longest_ago():
    pool = _pool(10, 12)
    for session in (ONE, TWO, THREE):
        _give(pool, session)
    for address in (11, 10, 12):
        pool.leaves(address)

    assert [_give(pool, ("stranger", name)) for name in "abc"] == [11, 10, 12]
    assert _denied(pool, ("stranger", "d")) == 130


def test_nobody_else_gets_an_address_that_is_occupied_even_if_no_other_is_left():
    pool = _pool(10, 11)
    for session in (ONE, TWO):
        _give(pool, session)
    for address in (10, 11):
        pool.leaves(address)
    pool.occupy(10, True)

    assert _give(pool, THREE) == 11
    assert _denied(pool, ("n", "four")) == 130
    assert _denied(pool, ("n", "four"), asked=10) == 129
    pool.occupy(10, False)

    assert _give(pool, ("n", "four")) == 10


def test_who_occupies_an_address_gets_it_back_asked_for_or_not():
    for asked in (0, 10):
        pool = _pool(10, 10)
        _give(pool, ONE)
        pool.leaves(10)
        pool.occupy(10, True)

        assert _give(pool, ONE, asked) == 10
        pool.leaves(10)
        assert _give(pool, TWO) == 10  # a registration ends what was known of the link


def test_a_host_in_the_middle_of_the_pool_is_passed_over_until_it_is_gone():
    pool = _pool(10, 12)
    pool.occupy(11, True)

    assert [_give(pool, session) for session in (ONE, TWO)] == [10, 12]
    assert _denied(pool, THREE) == 130
    pool.occupy(11, False)

    assert _give(pool, THREE) == 11


def test_what_is_bound_or_reserved_or_in_no_pool_cannot_be_occupied():
    pool = _pool(10, 12, reserved={11: PRINTER, 20: PRINTER}, never=(12,))
    _give(pool, ONE)
    for address in (10, 11, 12, 20, 99):
        pool.occupy(address, True)
        pool.occupy(address, False)

    assert _denied(pool, TWO) == 130
    assert _give(pool, PRINTER, 11) == 11


def test_a_session_gets_its_last_address_back_if_it_is_still_free():
    pool = _pool()
    _give(pool, ONE)
    _give(pool, TWO)
    pool.leaves(10)

    assert _give(pool, ONE) == 10
    pool.leaves(10)
    _give(pool, THREE, asked=10)
    assert _give(pool, ONE) == 12


def test_an_address_remembers_its_last_owner_and_a_session_its_last_address_only():
    pool = _pool()
    _give(pool, ONE)
    pool.leaves(10)
    _give(pool, ONE, asked=12)
    pool.leaves(12)

    assert pool.choose(ONE, 0) == 12


def test_a_reserved_address_is_for_its_session_alone_and_need_not_lie_in_the_pool():
    pool = _pool(reserved={7: PRINTER, 10: TWO})

    assert _give(pool, PRINTER) == 7
    assert _give(pool, ONE) == 11
    assert _denied(pool, ONE, asked=10) == 129
    pool.leaves(7)
    assert _denied(pool, ONE, asked=7) == 129
    assert _give(pool, TWO) == 10


def test_an_address_that_was_reserved_after_somebody_else_had_it_goes_to_nobody_else():
    pool = _pool(10, 10, reserved={10: PRINTER}, owners=[(10, ONE)])

    assert _denied(pool, ONE) == 130
    assert _denied(pool, TWO) == 130
    assert _give(pool, PRINTER) == 10


def test_an_address_that_is_reserved_no_longer_is_for_everybody_although_the_search_has_passed_it_by():
    pool = _pool(10, 12, reserved={10: PRINTER, 11: TWO})
    _give(pool, TWO)
    assert _give(pool, ONE) == 12

    pool.reserve({})

    assert _give(pool, THREE) == 10
    assert _denied(pool, PRINTER) == 130  # 11 is still held
    pool.leaves(11)
    assert _give(pool, PRINTER) == 11


def test_a_reserved_address_that_somebody_still_holds_is_waited_for():
    pool = _pool(reserved={10: PRINTER})
    pool.take(10, ONE)  # bound before it was reserved

    assert _denied(pool, PRINTER) == 130
    pool.leaves(10)
    assert _give(pool, PRINTER) == 10


def test_a_reservation_made_while_another_session_holds_the_address_stops_no_home_agent():
    agent = HomeAgentAlone()
    taken = agent.ask("pc1").home_address
    agent.kill()
    agent.policy = HomeAgentAlone(subscribers={NAI: a_subscriber(addresses={"printer": taken})}).policy
    agent.start(NTP_2026)

    assert agent.ask("printer").code == 130
    agent.ask("pc1", lifetime=0)
    assert agent.ask("printer").home_address == taken
    assert agent.ask("pc1").home_address != taken


@pytest.mark.parametrize("asked", [1, 9, 14, 0xFFFFFFFE])
def test_what_is_not_in_the_pool_cannot_be_asked_for(asked):
    assert _denied(_pool(first=10), ONE, asked) == 129


def test_a_free_address_can_be_asked_for_and_a_held_one_cannot():
    pool = _pool()

    assert _give(pool, ONE, asked=13) == 13
    assert _denied(pool, TWO, asked=13) == 129
    assert _give(pool, ONE, asked=13) == 13


def test_addresses_of_agents_and_gateways_are_never_given():
    pool = _pool(10, 12, never=(10, 12), owners=[(12, ONE)])

    assert _give(pool, ONE) == 11
    assert _denied(pool, TWO) == 130


def test_two_holders_are_an_error_of_ours():
    pool = _pool()
    pool.take(10, ONE)

    with pytest.raises(ValueError, match=r"0\.0\.0\.10 is held by another session"):
        pool.take(10, TWO)


def test_ha_25_a_full_pool_denies_with_130_and_renews():
    agent = HomeAgentAlone(subscribers={NAI: a_subscriber(sessions=500)})
    codes = [agent.ask(f"pc{number}").code for number in range(245)]

    assert codes == [0] * 241 + [130] * 4
    assert agent.ask("pc0").code == 0
    agent.ask("pc7", lifetime=0)
    assert agent.ask("pc244").home_address == agent.owners.get(0, 0x0A0A0011)


class PoolMachine(RuleBasedStateMachine):
    """Sessions come, go and come back; against a model that scans lists instead of being clever."""

    FIRST, LAST = 10, 17
    RESERVED = {12: ("n", "f"), 30: ("n", "g")}
    NEVER = (15,)
    SESSIONS = [("n", name) for name in "abcdefghijkl"]

    def __init__(self):
        super().__init__()
        self.pool = self._new(())
        self.held = {}  # session -> address
        self.used = set()
        self.queue = []  # (address, last owner) of free ones, oldest first
        self.last = {}  # session -> the free one that it had last, unless that is another's since
        self.occupied = set()

    def _new(self, owners):
        return AddressPool([(self.FIRST, 13), (14, self.LAST)], self.RESERVED, self.NEVER, owners)

    def _expected(self, session):
        for address, owner in self.RESERVED.items():
            if owner == session:
                return address
        if session in self.last:
            return self.last[session]
        general = [
            one for one in range(self.FIRST, self.LAST + 1) if one not in self.RESERVED and one not in self.NEVER
        ]
        for address in general:
            if address not in self.used:
                return address
        return next((address for address, _ in self.queue if address not in self.occupied), None)

    def _hold(self, session, address):
        self.pool.take(address, session)
        assert address not in self.held.values()
        self.held[session] = address
        self.used.add(address)
        self.occupied.discard(address)
        self.queue = [one for one in self.queue if one[0] != address]
        self.last = {one: last for one, last in self.last.items() if last != address}

    @rule(session=st.sampled_from(SESSIONS))
    def arrives(self, session):
        if session in self.held:
            return
        expected = self._expected(session)
        try:
            chosen = self.pool.choose(session, 0)
        except Denied as denial:
            assert (denial.code, expected) == (130, None)
            return
        assert chosen == expected
        self._hold(session, chosen)

    @rule(session=st.sampled_from(SESSIONS), asked=st.integers(8, 31))
    def asks(self, session, asked):
        if session in self.held:
            return
        mine = self.RESERVED.get(asked) == session
        general = self.FIRST <= asked <= self.LAST and asked not in self.RESERVED and asked not in self.NEVER
        try:
            assert self.pool.choose(session, asked) == asked
        except Denied as denial:
            assert denial.code == 129
            assert asked in self.held.values() or not (mine or general) or self._is_kept_from(session, asked)
            return
        assert asked not in self.held.values() and (mine or general) and not self._is_kept_from(session, asked)
        self._hold(session, asked)

    def _is_kept_from(self, session, address):
        return address in self.occupied and self.last.get(session) != address

    @rule(address=st.integers(8, 31), occupied=st.booleans())
    def is_seen_on_the_link(self, address, occupied):
        self.pool.occupy(address, occupied)
        general = self.FIRST <= address <= self.LAST and address not in self.RESERVED and address not in self.NEVER
        if not occupied:
            self.occupied.discard(address)
        elif general and address not in self.held.values():
            self.occupied.add(address)
            if address not in self.used:
                self.used.add(address)
                self.queue.append((address, None))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def leaves(self, data):
        session = data.draw(st.sampled_from(sorted(self.held)))
        address = self.held.pop(session)
        self.pool.leaves(address)
        if address not in self.RESERVED:
            self.queue.append((address, session))
            self.last[session] = address

    @rule()
    def restarts(self):
        """What the store kept: last owners, oldest first, and who holds what. The link is looked at anew."""
        self.used -= {address for address, owner in self.queue if owner is None}
        self.queue = [one for one in self.queue if one[1] is not None]
        self.last = {session: address for address, session in self.queue}
        self.occupied.clear()
        self.pool = self._new(self.queue)
        for session, address in self.held.items():
            self.pool.take(address, session)

    @invariant()
    def every_address_has_the_holder_that_the_model_says(self):
        for address in range(8, 32):
            holders = [session for session, held in self.held.items() if held == address]
            assert self.pool.holder(address) == (holders[0] if holders else None)


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
