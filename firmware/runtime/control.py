"""Answers questions to a running node: a client sends one line, gets one JSON document and the end of the stream."""

import asyncio
import json

from runtime.sockets import readable, would_block, writable

_LONGEST = 64  # octets of a question
_PATIENCE_S = 5  # for a client that neither asks nor listens
_CLIENTS = 8  # at once


class Control:
    """Serves one listening socket. answers: question -> function without arguments that gives the JSON-able answer."""

    def __init__(self, listener, answers: dict, log):
        self._listener = listener
        self._answers = answers
        self._log = log
        self._clients = 0

    async def serve(self, runtime) -> None:
        """The source of control clients; each has a task of its own, so that a stuck one stops nobody."""
        while True:
            await readable(self._listener)
            try:
                client, _ = self._listener.accept()
            except OSError as error:
                if not would_block(error):
                    raise
                continue
            if self._clients >= _CLIENTS:
                client.close()
                continue
            self._clients += 1
            asyncio.create_task(self._attend(client))

    async def _attend(self, client) -> None:
        client.setblocking(False)
        try:
            await asyncio.wait_for(self._converse(client), _PATIENCE_S)
        except (OSError, asyncio.TimeoutError):
            pass  # the client went away, or was not worth waiting for
        except Exception as error:
            self._log.exception("control", error)
        finally:
            client.close()
            self._clients -= 1

    async def _converse(self, client) -> None:
        line = b""
        while b"\n" not in line and len(line) < _LONGEST:
            await readable(client)
            octets = client.recv(_LONGEST - len(line))
            if not octets:
                break
            line += octets
        question = line.split(b"\n")[0].strip()
        answer = self._answers.get(question)
        document = answer() if answer else {"error": "unknown question"}
        left = memoryview(json.dumps(document).encode() + b"\n")
        while left:
            await writable(client)
            left = left[client.send(left) :]
