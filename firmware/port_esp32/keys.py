"""The keys of config.json: at the first start they go into NVS, and the file names them there from then on."""

import json
import os

_PREFIX = "nvs:"


def hide(path: str, keystore) -> bool:
    """Move what stands openly in the file at `path` into the keystore. False if nothing did, or it is no such file.

    A power cut leaves the file as it was, or as it will be. Raises OSError.
    """
    try:
        with open(path) as file:
            document = json.load(file)
    except (OSError, ValueError):  # whoever reads it for its own sake says so
        return False
    moved = False
    for name, holder in _holders(document):
        key = holder.get("key")
        if isinstance(key, str) and key.startswith(("hex:", "text:")):
            keystore.put(name, key.encode())
            holder["key"] = _PREFIX + name
            moved = True
    if moved:
        with open(path + ".new", "w") as file:
            json.dump(document, file)
            file.flush()
        os.rename(path + ".new", path)
    return moved


def reveal(document, keystore) -> None:
    """Put the keys where the document names them. Raises ValueError that begins with "key"."""
    for _, holder in _holders(document):
        key = holder.get("key")
        if isinstance(key, str) and key.startswith(_PREFIX):
            octets = keystore.get(key[len(_PREFIX) :])
            if not octets:
                raise ValueError("key: %s is not in the NVS of this board: deploy the configuration again" % key)
            holder["key"] = octets.decode()


def _holders(document) -> list:
    """Every object that has a key, with the name of it in NVS."""
    if not isinstance(document, dict):
        return []
    found = [("key", document), ("key.aaa", document.get("aaa"))]
    agents = document.get("foreign_agents")
    for at, one in enumerate(agents if isinstance(agents, list) else []):
        found.append(("key.%d" % at, one))
    return [(name, one) for name, one in found if isinstance(one, dict)]
