"""Which Wi-Fi network a board joins, and when it looks for another: told, not measured, so a day passes in no time."""

from __future__ import annotations

from itertools import pairwise

from port_esp32.roaming import Join, Profile, Roaming, Scan

CONNECTING, GOT_IP, NO_AP, WRONG_PASSWORD, LEFT = 1001, 1010, 201, 202, 8
OFFICE = Profile("office", "long enough", 1, "dhcp", 0)
HOME = Profile("home", "long enough", 2, "dhcp", 0)
NEAR, FAR, OTHER = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", b"\2\0\0\0\0\3"


class Radio:
    """A Roaming with its clock, and what the driver would say."""

    def __init__(self, *profiles: Profile, known: tuple[str, bytes] | None = None) -> None:
        self.roaming = Roaming(list(profiles), known)
        self.now = 0
        self.status, self.rssi = CONNECTING, -50

    def poll(self, idle: bool = False) -> object:
        return self.roaming.poll(self.status, self.status == GOT_IP, self.rssi, idle, self.now)

    def pass_time(self, seconds: float, idle: bool = False) -> object:
        """Polled every quarter of a second, as on a board; the first action, or None."""
        for _ in range(int(seconds * 4)):
            self.now += 250
            action = self.poll(idle)
            if action is not None:
                return action
        return None

    def join(self, *networks: tuple[str, bytes, int]) -> None:
        """From a scan, at once."""
        assert isinstance(self.poll(), Scan)
        assert isinstance(self.roaming.scanned(list(networks), self.now), Join)
        self.status = GOT_IP
        assert self.pass_time(0.25) is None
        self.roaming.joined()


def test_the_preferred_network_is_joined_and_of_two_alike_the_stronger_access_point():
    radio = Radio(OFFICE, HOME)

    assert radio.poll() == Scan()
    assert radio.roaming.scanned([("office", OTHER, -40), ("home", FAR, -70), ("home", NEAR, -60)], 0) == Join(
        HOME, NEAR
    )


def test_a_network_too_weak_to_be_of_use_or_unknown_is_not_joined():
    radio = Radio(OFFICE)
    radio.poll()

    assert radio.roaming.scanned([("office", NEAR, -90), ("stranger", FAR, -30)], 0) is None


def test_the_access_point_joined_last_is_joined_again_without_a_scan():
    assert Radio(OFFICE, HOME, known=("office", NEAR)).poll() == Join(OFFICE, NEAR)


def test_a_link_that_breaks_is_first_looked_for_where_it_was_and_then_everywhere():
    radio = Radio(OFFICE)
    radio.join(("office", NEAR, -50))

    radio.status = 200
    assert radio.pass_time(0.25) == Join(OFFICE, NEAR)
    radio.status = NO_AP

    assert radio.pass_time(0.25) == Scan()
    assert radio.roaming.scanned([("office", FAR, -60)], radio.now) == Join(OFFICE, FAR)


def test_without_any_network_the_scans_become_rarer():
    radio = Radio(OFFICE)
    scans = []

    while radio.now < 600000:
        if radio.poll() == Scan():
            scans.append(radio.now)
            radio.roaming.scanned([], radio.now)
        radio.now += 250

    waits = [later - sooner for sooner, later in pairwise(scans)]
    assert waits[:4] == [2000, 5000, 10000, 20000]
    assert set(waits[4:]) == {30000}


def test_a_wrong_password_is_said_and_that_network_left_alone_for_minutes():
    radio = Radio(OFFICE, HOME)
    radio.poll()
    both = [("office", NEAR, -50), ("home", FAR, -50)]
    assert radio.roaming.scanned(both, 0) == Join(HOME, FAR)

    radio.status = WRONG_PASSWORD
    assert radio.pass_time(2) == Scan()

    assert radio.roaming.failed == "home: wrong password"
    assert radio.roaming.scanned(both, radio.now) == Join(OFFICE, NEAR)


def test_a_network_that_gives_no_address_is_given_up_in_time():
    radio = Radio(OFFICE)
    radio.poll()
    radio.roaming.scanned([("office", NEAR, -50)], 0)

    assert radio.pass_time(14.5) is None
    assert radio.pass_time(1) == Scan()
    assert radio.roaming.failed == "office: no address in time"
    assert radio.roaming.scanned([("office", NEAR, -50)], radio.now) is None  # for now


def test_what_the_driver_says_of_the_network_it_has_left_is_no_failure_of_the_next():
    radio = Radio(OFFICE)
    radio.poll()
    radio.roaming.scanned([("office", NEAR, -50)], 0)

    radio.status = LEFT
    assert radio.pass_time(2) is None
    radio.status = GOT_IP

    assert radio.pass_time(1) is None
    assert radio.roaming.current == OFFICE


def test_no_scan_disturbs_a_good_link_that_somebody_uses():
    radio = Radio(OFFICE, HOME)
    radio.join(("office", NEAR, -60))

    assert radio.pass_time(3600) is None


def test_on_an_idle_link_a_preferred_network_is_looked_for_every_few_minutes_and_taken_when_strong():
    radio = Radio(OFFICE, HOME)
    radio.join(("office", NEAR, -60))

    assert radio.pass_time(299, idle=True) is None
    assert radio.pass_time(2, idle=True) == Scan()

    assert radio.roaming.scanned([("office", NEAR, -60), ("home", FAR, -75)], radio.now) is None
    assert radio.roaming.scanned([("office", NEAR, -60), ("home", FAR, -65)], radio.now) == Join(HOME, FAR)


def test_on_the_best_network_an_idle_link_is_left_in_peace():
    radio = Radio(OFFICE, HOME)
    radio.join(("home", NEAR, -60))

    assert radio.pass_time(3600, idle=True) is None


def test_a_weak_link_goes_to_another_access_point_only_if_that_is_clearly_stronger():
    radio = Radio(OFFICE)
    radio.join(("office", NEAR, -60))

    radio.rssi = -80
    assert radio.pass_time(25) == Scan()
    assert radio.roaming.scanned([("office", NEAR, -80), ("office", FAR, -75)], radio.now) is None
    assert radio.pass_time(19) is None
    assert radio.pass_time(2) == Scan()

    assert radio.roaming.scanned([("office", NEAR, -80), ("office", FAR, -65)], radio.now) == Join(OFFICE, FAR)


def test_one_bad_measurement_is_no_weak_link():
    radio = Radio(OFFICE)
    radio.join(("office", NEAR, -60))
    assert radio.pass_time(60) is None

    radio.rssi = -95
    assert radio.pass_time(0.25) is None
    radio.rssi = -60

    assert radio.pass_time(60) is None
