"""config.json as it may be shown, and taken back: secrets stay on the board, and whoever brings it says "(kept)"."""

KEPT = "(kept)"
_SECRET = ("key", "password", "portal")
_NAMES = ("ssid", "care_of_address", "port", "kind")  # by which an element of a list is known again


def without_secrets(document):
    """A copy with KEPT in place of each secret."""
    if isinstance(document, dict):
        return {
            key: KEPT if key in _SECRET and isinstance(value, str) else without_secrets(value)
            for key, value in document.items()
        }
    return [without_secrets(one) for one in document] if isinstance(document, list) else document


def with_secrets(document, present, at: str = ""):
    """`document` with the secrets of `present` where it says KEPT. Raises ValueError that begins with the key."""
    if document == KEPT:
        if not isinstance(present, str):
            raise ValueError("%s: there is none that could be kept" % (at or "document"))
        return present
    if isinstance(document, dict):
        former = present if isinstance(present, dict) else {}
        return {
            key: with_secrets(value, former.get(key), "%s.%s" % (at, key) if at else key)
            for key, value in document.items()
        }
    if isinstance(document, list):
        former = present if isinstance(present, list) else []
        return [with_secrets(one, _known(one, former), "%s[%d]" % (at, index)) for index, one in enumerate(document)]
    return document


def _known(one, former: list):
    """The element of `former` that is about the same as `one`, or None."""
    for other in former:
        if isinstance(one, dict) and isinstance(other, dict):
            named = [key for key in _NAMES if key in one]
            if named and one[named[0]] == other.get(named[0]):
                return other
    return None
