"""What a shared library takes from other libraries and gives to them, read from its ELF file without binutils."""

import struct
from pathlib import Path
from typing import NamedTuple

SECTION, SYMBOL = struct.Struct("<IIQQQQIIQQ"), struct.Struct("<IBBHQQ")
DYNAMIC_SYMBOLS, DYNAMIC = 11, 6
NEEDED = 1
LOCAL = 0


class Dynamic(NamedTuple):
    """The dynamic symbols of a library, and the libraries that it names."""

    imports: set[str]
    exports: set[str]
    libraries: int


def dynamic(path: Path) -> Dynamic:
    """The dynamic section of a 64-bit little-endian ELF file."""
    data = path.read_bytes()
    assert data[:6] == b"\x7fELF\x02\x01"
    start, size, count = struct.unpack_from("<Q", data, 40)[0], *struct.unpack_from("<HH", data, 58)
    sections = [SECTION.unpack_from(data, start + i * size) for i in range(count)]
    (symbols,) = (section for section in sections if section[1] == DYNAMIC_SYMBOLS)
    texts = sections[symbols[6]]
    imports, exports = set(), set()
    for name, info, _, section, _, _ in SYMBOL.iter_unpack(data[symbols[4] : symbols[4] + symbols[5]]):
        if info >> 4 != LOCAL:
            text = data[texts[4] + name :]
            (exports if section else imports).add(text[: text.index(b"\0")].decode())
    (entries,) = (section for section in sections if section[1] == DYNAMIC)
    tags = [tag for tag, _ in struct.iter_unpack("<QQ", data[entries[4] : entries[4] + entries[5]])]
    return Dynamic(imports, exports, tags.count(NEEDED))
