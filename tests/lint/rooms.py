"""Every #include of product code follows an arrow of rooms.txt."""
import os
import re

import source

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rooms.txt")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def load_table():
    """{"room": {path: what it includes}, "library": {header: who}, "door": {header: who}}"""
    kinds = {"room": {}, "library": {}, "door": {}}
    with open(TABLE, encoding="utf-8") as table:
        for line in table:
            match = re.match(r"(room|library|door) (\S+):\s*(.*)", line)
            if match:
                kinds[match[1]][match[2]] = match[3].split()
    return kinds


def room_of(path, rooms):
    fitting = [room for room in rooms if path.startswith(room + "/")]
    return max(fitting, key=len, default=None)


def may_include(path, header, rooms):
    room = room_of(path, rooms)
    allowed = rooms.get(room, []) + ([room] if room else [])
    return any(header == target or header.startswith(target + "/") for target in allowed)


def check_file(root, path, kinds):
    rooms, libraries, doors = kinds["room"], kinds["library"], kinds["door"]
    text = source.read(root, path)
    for match in INCLUDE.finditer(text):
        kind, header = match[1], match[2]
        at = f"{path}:{source.line_of(text, match.start())}"
        if header.endswith(".pb-c.h"):
            if not path.startswith("proto/"):
                yield f"{at}: {header}: only proto/ may include generated protobuf"
        elif kind == '"' and not may_include(path, header, rooms):
            yield f"{at}: {header}: {room_of(path, rooms) or 'no room of ours'} has no arrow to it"
        for library, users in libraries.items():
            if header.startswith(library) and not path.startswith(tuple(users)):
                yield f"{at}: {header}: only {' '.join(users)} may include {library}"
        if header in doors and not path.startswith(tuple(doors[header])):
            yield f"{at}: {header}: a door is included by {' '.join(doors[header])} only"


def check(root, _options):
    kinds = load_table()
    paths = source.files(root, source.PRODUCT, (".c", ".h"))
    return [problem for path in paths for problem in check_file(root, path, kinds)]


if __name__ == "__main__":
    source.main(check)
