"""What one session's registration says of itself among the effects: for the node, which acts on it, not the runtime."""

from mip4.record import Record


class Granted(Record):
    """The home agent granted, or renewed, a home address."""

    __slots__ = ()


class Ended(Record):
    """The registration is over: deregistered, or its lifetime ran out. wanted: whether it is still asked for."""

    __slots__ = ("wanted",)


class Returned(Record):
    """The home agent confirms that we are at home, and that the home address is ours."""

    __slots__ = ()


class Refused(Record):
    """A denial came. code: the Reply code; one_at_a_time: whether the agent should get our requests singly."""

    __slots__ = ("code", "one_at_a_time")


class Unnamed(Record):
    """Accepted without our sub-NAI: that home agent knows none. home_address: what it gave, 0 if it took it back."""

    __slots__ = ("home_address",)
