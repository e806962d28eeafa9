# Prints how many octets of heap modules take, but for the code in them: names, functions, classes, tables. Frozen into
# an image they cost that much, since code and words stay in flash there. asyncio, frozen in either place, is counted.
# Arguments: a folder with an empty module, empty.py; one with faces for what only a board has; the modules.
import gc
import os
import sys

empty, faces, *modules = sys.argv[1:]


def used():
    gc.collect()
    return gc.mem_alloc()


def module_itself():
    # Twice, as only then its words are there
    for _ in range(2):
        sys.modules.pop("empty", None)
        before = used()
        __import__("empty")
    return used() - before


def body(name):
    path = sys.modules[name].__file__
    with open(path) as file:
        code = compile(file.read(), path, "exec")
    space = {"__name__": name}
    before = used()
    exec(code, space)
    return used() - before


def main():
    before = used()
    for name in ("asyncio", "asyncio.event", "asyncio.funcs"):  # of it what every node needs
        __import__(name)
    total = used() - before
    sys.path[:0] = [empty, faces]
    total += module_itself() * len(modules)
    for name in ("time", "socket"):
        sys.modules.pop(name, None)
    os.putenv("FLASH", "none")
    for name in modules:
        __import__(name)  # so that no body brings another one
    print(total + sum([body(name) for name in modules]))


main()
