"""An encoder of lossless JPEG (ITU T.81, annex H), to make what decoders differ in: differences that wrap."""

import struct

import numpy as np


def encoded(stored: np.ndarray, precision: int, wrap: int) -> bytes:
    """One component, predicted from the left neighbour.

    Args:
        stored: (rows, columns), 0 to 2**precision - 1.
        precision: bits a sample.
        wrap: bits after which differences wrap: 16 by the standard; some writers take the precision.
    """
    values = stored.astype(int)
    guess = np.roll(values, 1, axis=1)
    guess[1:, 0] = values[:-1, 0]
    guess[0, 0] = 1 << (precision - 1)
    half = 1 << (wrap - 1)
    coded = "".join(_code(d) for d in ((values - guess + half) % (2 * half) - half).ravel().tolist())
    coded += "1" * (-len(coded) % 8)
    data = int(coded, 2).to_bytes(len(coded) // 8, "big").replace(b"\xff", b"\xff\0")
    counts = bytes([0, 0, 0, 0, 17, *[0] * 11])  # 17 categories, each a code of 5 bits
    frame = struct.pack(">BHHBBBB", precision, *stored.shape, 1, 1, 0x11, 0)
    return (
        b"\xff\xd8" + _segment(0xC3, frame) + _segment(0xC4, b"\0" + counts + bytes(range(17)))
        + _segment(0xDA, bytes([1, 1, 0, 1, 0, 0])) + data + b"\xff\xd9"
    )  # fmt: skip


def _code(difference: int) -> str:
    if difference == -32768:
        return format(16, "05b")
    bits = abs(difference).bit_length()
    low = difference if difference >= 0 else difference + (1 << bits) - 1
    return format(bits, "05b") + (format(low, f"0{bits}b") if bits else "")


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
