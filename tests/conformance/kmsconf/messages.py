"""Protobuf, as much of it as six messages need."""


def varint(value):
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def field(number, value):
    """A length-delimited field; text is sent as UTF-8."""
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(data):
    """{number: [bytes, ...]} of a message with length-delimited fields; raises ValueError on anything else."""
    found = {}
    at = 0

    def read_varint():
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise ValueError("bad varint")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    while at < len(data):
        tag = read_varint()
        if tag & 7 != 2:
            raise ValueError(f"wire type {tag & 7}")
        length = read_varint()
        if at + length > len(data):
            raise ValueError("truncated field")
        found.setdefault(tag >> 3, []).append(bytes(data[at:at + length]))
        at += length
    return found


def last(found, number):
    values = found.get(number)
    return values[-1] if values else b""


def encrypt_v2(plaintext, uid="6f1d6dd2-0000-4000-8000-000000000001"):
    return field(1, plaintext) + (field(2, uid) if uid else b"")


def decrypt_v2(ciphertext, key_id, annotations=(), uid="6f1d6dd2-0000-4000-8000-000000000002"):
    message = field(1, ciphertext) + (field(2, uid) if uid else b"") + field(3, key_id)
    for name, value in annotations:
        message += field(4, field(1, name) + field(2, value))
    return message


def encrypt_v1(plain, version="v1beta1"):
    return field(1, version) + field(2, plain)


def decrypt_v1(cipher, version="v1beta1"):
    return field(1, version) + field(2, cipher)
