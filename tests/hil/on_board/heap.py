# On the board: how much of the heap is names, functions and classes, and not the code in them. Frozen into an image a
# module costs that much, since its code stays in flash.
import gc
import sys

KEPT = 4


def cost(make):
    # Octets of heap that one of what make() gives takes
    kept = [None] * KEPT
    gc.collect()
    before = gc.mem_alloc()
    for at in range(KEPT):
        kept[at] = make()
    gc.collect()
    return (gc.mem_alloc() - before) // KEPT


def table(size):
    return cost(lambda: {at: None for at in range(size)})


def names():
    function = type(cost)
    of_function = cost(lambda: lambda: None)
    of_class = cost(lambda: type("Empty", (), {})) - table(0)
    total = 0
    seen = []
    for name, module in sys.modules.items():
        if not hasattr(module, "__file__") or name == "__main__":
            continue
        total += of_class + table(len(module.__dict__))
        for value in module.__dict__.values():
            if isinstance(value, function):
                total += of_function
            elif isinstance(value, dict):
                total += table(len(value))
            elif isinstance(value, type) and value not in seen:
                seen.append(value)
                members = value.__dict__
                total += of_class + table(len(members))
                total += of_function * len([one for one in members.values() if isinstance(one, function)])
    return total


def garbage(action, times=20):
    # Octets that one action leaves for the collector
    action()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(times):
        action()
    left = gc.mem_alloc() - before
    gc.enable()
    return left // times
