"""The one place where shared code asks which interpreter it runs on."""

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


__all__ = ["const"]
