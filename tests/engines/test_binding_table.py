"""The table of a home agent: what expires is found without a look at what does not."""

from __future__ import annotations

import sys

from msgspec.structs import replace

from host_agents.effects import MobilityBinding
from host_agents.home_agent.binding_table import MobilityBindingTable

FIRST = MobilityBinding("n@example.net", "0", 1, 0xCB007102, 600, 1000, 2, 1, False)


def a_table(count: int, expires: int = 1000) -> MobilityBindingTable:
    table = MobilityBindingTable()
    for number in range(count):
        table.put(replace(FIRST, sub_nai=str(number), home_address=number + 1, expires=expires))
    return table


def test_what_is_over_is_found_in_shares_however_many_end_in_the_same_moment():
    table, found = a_table(1000), []

    assert table.next_look() == 1000
    assert table.expired(999, 256) == []
    while some := table.expired(1000, 256):
        assert len(some) <= 256
        found += some
        for binding in some:
            table.remove((binding.nai, binding.sub_nai))

    assert {one.home_address for one in found} == set(range(1, 1001))
    assert (len(table), table.next_look()) == (0, None)


def test_a_thousand_renewed_bindings_are_looked_at_in_shares_too_and_stay():
    table = a_table(1000)
    for binding in list(table):
        table.renew(replace(binding, expires=5000))

    looks = 0
    while table.next_look() == 1000:
        assert table.expired(1000, 256) == []
        looks += 1

    assert looks == 4
    assert table.next_look() == 5000
    assert len(table) == 1000


def test_a_binding_that_is_not_due_is_not_looked_at(monkeypatch):
    table = a_table(100, expires=9000)
    table.put(replace(FIRST, sub_nai="soon", home_address=500, expires=1000))
    seen = []
    monkeypatch.setattr(
        "host_agents.home_agent.binding_table.ends_at", lambda one: seen.append(one.sub_nai) or one.expires
    )

    (found,) = table.expired(8999, 256)

    assert (found.sub_nai, seen) == ("soon", ["soon"])


def test_who_comes_and_goes_adds_nothing_to_what_has_to_be_looked_at():
    table = a_table(10)
    for _ in range(1000):
        binding = table.remove((FIRST.nai, "3"))
        assert binding is not None
        table.put(replace(binding, expires=binding.expires + 1))

    assert len(table._expiries) == 10
    assert len(table.expired(1000, 256)) == 9
    assert table.next_look() == 2000


def test_an_address_that_somebody_else_has_now_ends_with_his_time():
    table = a_table(1)
    table.remove((FIRST.nai, "0"))
    table.put(replace(FIRST, sub_nai="other", expires=3000))

    assert table.expired(1000, 256) == []
    assert [one.sub_nai for one in table.expired(3000, 256)] == ["other"]


def test_a_binding_is_a_few_hundred_octets_and_its_strings_are_shared():
    small, large = a_table(1000), a_table(2000)

    def size(table: MobilityBindingTable) -> int:
        containers = [table._by_home_address, table._due, table._expiries, *table._by_nai.values()]
        return sum(map(sys.getsizeof, containers)) + sum(map(sys.getsizeof, table))

    assert (size(large) - size(small)) / 1000 < 500


def test_whoever_looks_at_all_may_take_long_and_sees_each_as_it_is_by_then():
    table = a_table(4)

    seen = iter(table)
    assert next(seen).home_address == 1
    table.renew(replace(FIRST, sub_nai="1", home_address=2, expires=5000))
    table.remove((FIRST.nai, "2"))
    table.put(replace(FIRST, sub_nai="new", home_address=9))

    assert [(one.home_address, one.expires) for one in seen] == [(2, 5000), (4, 1000)]
