"""Record: our dataclass, because MicroPython has none."""


class Record:
    """Named fields, equality and a repr on both interpreters. The fields are the __slots__, and all are required."""

    __slots__ = ()

    def __init__(self, *values, **named):
        if len(values) + len(named) != len(self.__slots__):
            raise TypeError("%s takes %s" % (type(self).__name__, ", ".join(self.__slots__)))
        for field, value in zip(self.__slots__, values):
            setattr(self, field, value)
        for field, value in named.items():
            if field not in self.__slots__[len(values) :]:  # MicroPython would accept the misspelt name
                raise TypeError("%s has no field %s left" % (type(self).__name__, field))
            setattr(self, field, value)

    def __init_subclass__(cls):
        """CPython only, MicroPython never calls it: an __init__ without loops, since an agent makes millions."""
        if "__init__" not in cls.__dict__:  # without fields too: it must not inherit those of its parent
            fast = {}
            lines = ["def __init__(self, %s):" % ", ".join(cls.__slots__), "pass"]
            exec("\n ".join(lines + ["self.%s = %s" % (one, one) for one in cls.__slots__]), fast)
            cls.__init__ = fast["__init__"]

    def values(self) -> tuple:
        return tuple([getattr(self, field) for field in self.__slots__])

    def __eq__(self, other) -> bool:
        return type(self) is type(other) and self.values() == other.values()

    def __repr__(self) -> str:
        shown = ["%s=%r" % (field, getattr(self, field)) for field in self.__slots__]
        return "%s(%s)" % (type(self).__name__, ", ".join(shown))
