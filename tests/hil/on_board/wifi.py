# On the board: joins a Wi-Fi, and gives the address it has there.
import time

import network


def join(ssid, password, seconds=30):
    station = network.WLAN(network.WLAN.IF_STA)
    station.active(True)
    station.disconnect()
    station.config(pm=network.WLAN.PM_NONE)
    station.connect(ssid, password or None)
    end = time.ticks_add(time.ticks_ms(), seconds * 1000)
    while not station.isconnected():
        if time.ticks_diff(end, time.ticks_ms()) < 0:
            raise OSError("%s: not joined, status %d" % (ssid, station.status()))
        time.sleep_ms(20)
    return station.ifconfig()[0]
