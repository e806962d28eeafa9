# On the board: what an action leaves on the heap.
import gc


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
