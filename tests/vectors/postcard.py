"""Section 1 of docs/protocol.md, and the tables of section 3: each type reads bytes into the form that section 10 gives it
in JSON, and writes it back. What does not write back as it was read is refused."""

import base64

ID, KEY, SIGNATURE = 32, 32, 64
END_HEIGHT = 2**48


class Fault(Exception):
    """Why something is refused: its name as the tables of docs/protocol.md write it."""

    @property
    def name(self):
        return self.args[0]


class Bytes:
    """What is left to read."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Fault("Body")
        self.at += count
        return self.data[self.at - count:self.at]

    def rest(self):
        return self.take(len(self.data) - self.at)

    def done(self):
        return self.at == len(self.data)


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def b32(data):
    return base64.b32encode(data).decode().rstrip("=").lower()


def unb32(text):
    """Base32 without padding, either case; stray bits are refused."""
    if not text.isascii() or (text != text.lower() and text != text.upper()):
        raise Fault("Text")
    try:
        data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except ValueError:
        raise Fault("Text") from None
    if b32(data) != text.lower():
        raise Fault("Text")
    return data


def need(condition, name="Body"):
    if not condition:
        raise Fault(name)


class Int:
    def __init__(self, bits):
        self.bits = bits

    def read(self, data):
        if self.bits == 8:
            return data.take(1)[0]
        start, number, shift = data.at, 0, 0
        while True:
            byte = data.take(1)[0]
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
            need(shift < 70)
        need(number < 2**self.bits and varint(number) == data.data[start:data.at])
        return number

    def write(self, value):
        need(type(value) is int and 0 <= value < 2**self.bits)
        return bytes([value]) if self.bits == 8 else varint(value)


class Bool:
    def read(self, data):
        byte = data.take(1)[0]
        need(byte < 2)
        return byte == 1

    def write(self, value):
        need(type(value) is bool)
        return bytes([value])


class Fixed:
    """Bytes of a known length: base32, hexadecimal, or a list of numbers."""

    def __init__(self, length, form):
        self.length, self.form = length, form

    def read(self, data):
        return self.form[0](data.take(self.length))

    def write(self, value):
        data = self.form[1](value)
        need(len(data) == self.length)
        return data


BASE32 = (b32, unb32)
HEX = (bytes.hex, lambda text: bytes.fromhex(text))
BASE64 = (lambda data: base64.b64encode(data).decode(), lambda text: base64.b64decode(text, validate=True))
LIST = (list, bytes)


class Text:
    def __init__(self, most, least=0):
        self.most, self.least = most, least

    def read(self, data):
        raw = data.take(LENGTH.read(data))
        need(self.least <= len(raw) <= self.most)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise Fault("Body") from None

    def write(self, value):
        need(type(value) is str and self.least <= len(value.encode()) <= self.most)
        return varint(len(value.encode())) + value.encode()


class Option:
    def __init__(self, of):
        self.of = of

    def read(self, data):
        return self.of.read(data) if Bool().read(data) else None

    def write(self, value):
        return b"\0" if value is None else b"\1" + self.of.write(value)


class Sequence:
    def __init__(self, of, most, least=0):
        self.of, self.most, self.least = of, most, least

    def read(self, data):
        count = LENGTH.read(data)
        need(self.least <= count <= self.most)
        return [self.of.read(data) for _ in range(count)]

    def write(self, value):
        need(type(value) is list and self.least <= len(value) <= self.most)
        return varint(len(value)) + b"".join(self.of.write(one) for one in value)


class Items:
    """One after the other up to the end, without a count."""

    def __init__(self, of, most=2**20, fault="TooMany", least=0):
        self.of, self.most, self.fault, self.least = of, most, fault, least

    def read(self, data):
        items = []
        while not data.done():
            items.append(self.of.read(data))
        need(len(items) <= self.most, self.fault)
        need(len(items) >= self.least, "Body")
        return items

    def write(self, value):
        need(len(value) <= self.most, self.fault)
        return b"".join(self.of.write(one) for one in value)


class Struct:
    """Fields in order. An option may be left out of JSON."""

    def __init__(self, **fields):
        self.fields = fields

    def read(self, data):
        return {name: of.read(data) for name, of in self.fields.items()}

    def write(self, value):
        need(type(value) is dict and not set(value) - set(self.fields))
        parts = []
        for name, of in self.fields.items():
            need(name in value or isinstance(of, Option))
            parts.append(of.write(value.get(name)))
        return b"".join(parts)


class Enum:
    """The variant's number, then its fields; nothing for a variant without any."""

    def __init__(self, *variants):
        self.variants = variants

    def read(self, data):
        number = LENGTH.read(data)
        need(number < len(self.variants))
        name, of = self.variants[number]
        return name if of is None else {name: of.read(data)}

    def write(self, value):
        name, inner = (value, None) if type(value) is str else next(iter(value.items()))
        for number, (known, of) in enumerate(self.variants):
            if known == name:
                need((of is None) == (type(value) is str))
                return varint(number) + (b"" if of is None else of.write(inner))
        raise Fault("Body")


class IdPrefix:
    """At most 32 bytes. That they do not end in zero is looked at with the ranges, not with the frame."""

    def read(self, data):
        raw = data.take(LENGTH.read(data))
        need(len(raw) <= ID)
        return raw.hex()

    def write(self, value):
        raw = bytes.fromhex(value)
        need(len(raw) <= ID)
        return varint(len(raw)) + raw


class Rest:
    """Bytes up to the end."""

    def __init__(self, least, most, fault):
        self.least, self.most, self.fault = least, most, fault

    def read(self, data):
        raw = data.rest()
        need(self.least <= len(raw) <= self.most, self.fault)
        return BASE64[0](raw)

    def write(self, value):
        raw = BASE64[1](value)
        need(self.least <= len(raw) <= self.most, self.fault)
        return raw


class Blob:
    """Bytes behind their length."""

    def __init__(self, least, most):
        self.least, self.most = least, most

    def read(self, data):
        raw = data.take(LENGTH.read(data))
        need(self.least <= len(raw) <= self.most)
        return BASE64[0](raw)

    def write(self, value):
        raw = BASE64[1](value)
        need(self.least <= len(raw) <= self.most)
        return varint(len(raw)) + raw


U8, U16, U32, U64 = Int(8), Int(16), Int(32), Int(64)
LENGTH = U32
THE_ID, THE_KEY, THE_SIGNATURE = Fixed(ID, BASE32), Fixed(KEY, BASE32), Fixed(SIGNATURE, BASE64)
POSITION = Struct(height=U64, id=THE_ID)
VERSIONS = Struct(oldest=U8, newest=U8)
LIMITS = Struct(frame=U32, message=U32)
TOKEN = Struct(epoch=Fixed(8, LIST), number=U64)
FINGERPRINT = Fixed(16, LIST)
TIPS = Enum(("Named", Sequence(THE_ID, 2)), ("Digest", FINGERPRINT))
PERMISSION = Enum(("Read", None), ("Write", U16), ("Admin", U16))
START = Struct(height=U64, id=IdPrefix())
BOUND = Struct(rise=U64, id=IdPrefix())
MODE = Enum(
    ("Skip", None), ("Open", None), ("Empty", None),
    ("Fingerprint", Struct(fingerprint=FINGERPRINT, count=U64)),
    ("List", Sequence(Fixed(8, HEX), 64)), ("Ids", Sequence(THE_ID, 64)),
    ("Ask", None), ("Answer", Struct(check=U32, wanted=U64)), ("Sending", None),
)
RANGE = Struct(bound=BOUND, mode=MODE)
HELLO = Struct(versions=VERSIONS, capabilities=U32, limits=LIMITS, tree=THE_ID, salt=Fixed(8, HEX), tips=TIPS, count=U64,
               token=Option(TOKEN), start=START, hold=U32)
REPLY = Struct(version=U8, capabilities=U32, limits=LIMITS, same=Bool(), count=U64)
END = Struct(until=Option(POSITION), tips=Option(TIPS), count=U64, token=Option(TOKEN))
RULE = Text(72)
REFUSAL = Enum(
    ("Unknown", None), ("Busy", Struct(delay=U32)), ("Incompatible", Struct(versions=VERSIONS, limits=LIMITS)),
    ("Refused", Struct(id=THE_ID, rule=RULE)), ("Malformed", Struct(rule=RULE)), ("Failed", None), ("Partial", None),
    ("NoAdvance", None),
)
HAVE = Struct(versions=VERSIONS, capabilities=U32, limits=LIMITS, tree=THE_ID, entry=U32, entries=U32, bytes=U32,
              relieve=Bool(), base=Sequence(POSITION, 4))
TREES_REQUEST = Struct(versions=VERSIONS, after=Option(THE_ID))
INVITE = Struct(version=U8, tree=THE_ID, key=THE_KEY, permission=PERMISSION, uses=U16, expires=U64, by=THE_KEY,
                signature=THE_SIGNATURE)
REDEMPTION = Struct(invite=INVITE, proof=THE_SIGNATURE)
ASK = Struct(versions=VERSIONS, tree=THE_ID, permission=PERMISSION, name=Text(64), invite=Option(REDEMPTION), hold=U32)
ASKED = Struct(version=U8, outcome=Enum(("Received", None), ("Approved", PERMISSION), ("Rejected", None)))
KEY_PROOF = Struct(key=THE_KEY, signature=THE_SIGNATURE)
TREES_REPLY = Struct(version=U8, more=Bool())
TREE_LINE = Struct(tree=THE_ID, name=Text(128), count=U64, changed=U64)
MAX_ENTRY, MAX_FRAME = 262_144, 2**20

# The kinds of frames: name in JSON, and the parts of the body by their name there; one without a name is all of it.
KINDS = [
    ("sync", dict(head=HELLO, ranges=Items(RANGE))),
    ("reply", dict(head=REPLY, ranges=Items(RANGE))),
    ("entries", Items(Blob(1, MAX_ENTRY), 4_096, "Body")),
    ("end", END),
    ("wants", Items(THE_ID, 256)),
    ("missing", Items(THE_ID, 256)),
    ("refusal", REFUSAL),
    ("trees", TREES_REQUEST),
    ("tree_list", dict(head=TREES_REPLY, trees=Items(TREE_LINE, 256))),
    ("ask", dict(head=ASK, metadata=Rest(0, 4_096, "TooMany"))),
    ("have", dict(head=HAVE, ids=Items(THE_ID, 1_024))),
    ("advance", Rest(1, MAX_ENTRY, "Body")),
    ("gone", Items(THE_ID, 256)),
    ("asked", ASKED),
    ("keys", Items(KEY_PROOF, 16, least=1)),
]


def read_all(of, data):
    """A value that takes up all of the bytes."""
    left = Bytes(data)
    value = of.read(left)
    need(left.done())
    return value


def read_frame(data):
    """A frame's name and its value in the form of JSON."""
    need(data, "Empty")
    need(len(data) <= MAX_FRAME, "TooLarge")
    need(data[0] < len(KINDS), "UnknownKind")
    name, of = KINDS[data[0]]
    left = Bytes(data[1:])
    value = {part: each.read(left) for part, each in of.items()} if type(of) is dict else of.read(left)
    need(left.done())
    if write_frame({name: value}) != data:
        raise Fault("Body")
    return name, value


def write_frame(form):
    """The bytes of a frame from its form in JSON."""
    if type(form) is str:
        data = BASE64[1](form)
        read_frame(data)
        return data
    need(type(form) is dict and len(form) == 1)
    (name, value), = form.items()
    for number, (known, of) in enumerate(KINDS):
        if known == name:
            if type(of) is not dict:
                return bytes([number]) + of.write(value)
            need(type(value) is dict and set(value) == set(of))
            return bytes([number]) + b"".join(each.write(value[part]) for part, each in of.items())
    raise Fault("Body")
