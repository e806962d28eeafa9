# On the board: SLIP frames from the port this board is reached by, and back, as a device's packets would come.
import sys

import micropython

from mobile_node.slip import SlipDecoder, SlipEncoder


def echo(frames):
    port, back = sys.stdin.buffer, sys.stdout.buffer
    decoder, encoder, piece = SlipDecoder(1500), SlipEncoder(3002), bytearray(256)
    if hasattr(micropython, "kbd_intr"):
        micropython.kbd_intr(-1)  # a 3 is an octet like others
    try:
        octet = bytearray(1)
        while frames:
            port.readinto(octet)
            decoder.take(octet, 0, 1)
            if decoder.size:
                encoder.put(decoder.packet, 0, decoder.size)
                size = encoder.peek(piece)
                while size:
                    back.write(piece[:size])
                    encoder.sent(size)
                    size = encoder.peek(piece)
                frames -= 1
    finally:
        if hasattr(micropython, "kbd_intr"):
            micropython.kbd_intr(3)
