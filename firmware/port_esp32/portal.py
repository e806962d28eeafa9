"""The page on the access point: what the node does, its networks, its configuration. Behind a password; no scripts."""

import asyncio
import json
import os
from binascii import a2b_base64

from microdot import Microdot, Request

from mip4.compat import const, equal
from port_esp32 import pages
from port_esp32.kept import with_secrets, without_secrets
from runtime.errors import ConfigurationError

_PORT = const(80)
_LONGEST = const(8192)  # octets of what a client brings
_WRONG_MS = const(1000)  # before a wrong password is answered
_RESTART_MS = const(500)  # for the answer to leave
_HTML = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
}
_WANTED = dict(_HTML)
_WANTED["WWW-Authenticate"] = 'Basic realm="Entourage", charset="UTF-8"'


class Portal:
    """password: as configured. path: of config.json. is_here(host): whether a client is on the access point.

    check(path): raises ConfigurationError for a file that the node could not run with. restart(): does not come back.
    """

    def __init__(self, password: str, path: str, is_here, check, restart):
        self._password = password.encode()
        self._path = path
        self._is_here = is_here
        self._check = check
        self._restart = restart
        self._runtime = None

    async def serve(self, runtime) -> None:
        """The source of requests; they tell nothing."""
        self._runtime = runtime
        Request.max_content_length = Request.max_body_length = _LONGEST
        app = Microdot()
        app.before_request(self._guard)
        for path, action in (("/", self._status), ("/uplinks", self._uplinks), ("/config", self._config)):
            app.get(path)(action)
        app.get("/config.json")(self._export)
        actions = (
            ("/uplinks", self._change_uplinks),
            ("/config", self._import),
            ("/password", self._change_password),
            ("/restart", self._start_again),
        )
        for path, action in actions:
            app.post(path)(action)
        await app.start_server(host="0.0.0.0", port=_PORT)

    async def _guard(self, request):
        """None for whoever is on our link and has the password, and comes from no page of somebody else's."""
        if not self._is_here(request.client_addr[0]):
            return "", 403
        origin = request.headers.get("Origin")
        if request.method == "POST" and origin and origin != "http://" + request.headers.get("Host", ""):
            return "", 403
        if not equal(_password_in(request.headers.get("Authorization", "")), self._password):
            await asyncio.sleep_ms(_WRONG_MS)
            return pages.page("Entourage", "<p>This page wants its password."), 401, _WANTED
        return None

    async def _status(self, request):
        return pages.page("Entourage", pages.status(self._runtime.status())), 200, _HTML

    async def _uplinks(self, request, said: str = ""):
        return pages.page("Networks", pages.uplinks(self._read()), said), 200, _HTML

    async def _config(self, request, said: str = ""):
        return pages.page("Configuration", pages.configuration(self._read()), said), 200, _HTML

    async def _export(self, request):
        octets = json.dumps(without_secrets(self._read()))
        headers = {"Content-Type": "application/json", "Content-Disposition": 'attachment; filename="config.json"'}
        return octets, 200, headers

    async def _change_uplinks(self, request):
        document, form = self._read(), request.form or {}
        gone, ssid = form.get("remove"), form.get("ssid")
        named = gone or ssid
        former = [one for one in document["uplinks"] if one["ssid"] == named]
        document["uplinks"] = [one for one in document["uplinks"] if one["ssid"] != named]
        if not gone:
            fresh = former[0] if former else {"ssid": ssid}
            fresh["password"] = form.get("password") or None
            priority = form.get("priority", "")
            fresh["priority"] = int(priority) if priority.isdigit() else priority
            document["uplinks"].append(fresh)
        return await self._uplinks(request, self._save(document))

    async def _import(self, request):
        try:
            document = with_secrets(json.loads((request.form or {}).get("document", "")), self._read())
        except ValueError as error:
            return await self._config(request, "Not saved: %s" % (error.args[0] if error.args else "no JSON document"))
        return await self._config(request, self._save(document))

    async def _change_password(self, request):
        document = self._read()
        document["portal"] = (request.form or {}).get("password", "")
        said = self._save(document)
        if said.startswith("Saved"):
            self._password = document["portal"].encode()
        return await self._config(request, said)

    async def _start_again(self, request):
        asyncio.create_task(self._leave())
        return pages.page("Entourage", "<p>The node starts again.<p><a href=/>Look</a> in half a minute."), 200, _HTML

    async def _leave(self) -> None:
        await asyncio.sleep_ms(_RESTART_MS)
        self._restart()

    def _read(self) -> dict:
        with open(self._path) as file:
            return json.load(file)

    def _save(self, document) -> str:
        """Whole or not at all, and only what the node could run with. What came of it, in words."""
        fresh = self._path + ".new"
        with open(fresh, "w") as file:
            json.dump(document, file)
            file.flush()
        try:
            self._check(fresh)
        except ConfigurationError as error:
            os.remove(fresh)
            return "Not saved: %s" % str(error).replace(fresh + ": ", "")
        os.rename(fresh, self._path)
        return "Saved. It holds from the node's next start on."


def _password_in(header: str) -> bytes:
    """Of HTTP's Basic scheme (RFC 7617), whoever claims to be the user; b"" where there is none."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return a2b_base64(value).partition(b":")[2]
    except ValueError:
        return b""
