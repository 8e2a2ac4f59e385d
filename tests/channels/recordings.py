"""Voice recordings of silence, as long as a test wants them."""

from __future__ import annotations


def amr(seconds: float) -> bytes:
    """AMR, 12.2 kbit/s: 50 frames a second of one byte and 31."""
    return b"#!AMR\n" + (b"\x3c" + bytes(31)) * round(seconds * 50)


def mp3(seconds: float) -> bytes:
    """MP3, 32 kbit/s, 44.1 kHz, one channel: frames of 1152 samples and 104 bytes."""
    return b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10) + (
        b"\xff\xfb\x10\xc0" + bytes(100)
    ) * round(seconds * 44100 / 1152)  # fmt: skip
