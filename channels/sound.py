"""How long a voice recording plays: platforms refuse long ones, and say so only after the upload.

AMR and MP3 are sequences of frames that say their own length, so they are counted without decoding.
This module knows no platform.
"""

from __future__ import annotations

# Bytes of a frame after its first one, by frame type; a frame is 20 ms (3GPP TS 26.101 and 26.201).
_AMR = (12, 13, 15, 17, 19, 20, 26, 31, 5, 0, 0, 0, 0, 0, 0, 0)
_AMR_WIDE = (17, 23, 32, 36, 40, 46, 50, 58, 60, 5, 0, 0, 0, 0, 0, 0)
# MPEG audio, layer III (ISO 11172-3, 13818-3): kbit/s and samples a second by index
_RATES = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_RATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLES = (44100, 48000, 32000)


def seconds(data: bytes) -> float | None:
    """How long an AMR or MP3 recording plays; None when it is neither, or not whole."""
    if data.startswith(b"#!AMR-WB\n"):
        return _amr(data[9:], _AMR_WIDE)
    if data.startswith(b"#!AMR\n"):
        return _amr(data[6:], _AMR)
    return _mp3(data)


def _amr(frames: bytes, sizes: tuple[int, ...]) -> float | None:
    at = count = 0
    while at < len(frames):
        at += 1 + sizes[frames[at] >> 3 & 15]
        count += 1
    return count * 0.02 if count and at == len(frames) else None


def _mp3(data: bytes) -> float | None:
    at, played = 0, 0.0
    if data.startswith(b"ID3") and len(data) > 10:  # the tag's length: four times seven bits
        at = 10 + sum((byte & 127) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    while at + 4 <= len(data):
        frame = _mp3_frame(data[at : at + 4])
        if frame is None:
            break  # a tag at the end, or the end of what can be read
        size, lasts = frame
        at, played = at + size, played + lasts
    return played or None


def _mp3_frame(head: bytes) -> tuple[int, float] | None:
    """(bytes, seconds) of a frame; None when this is not the head of one."""
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    rate, sampling, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or layer != 1 or version == 1:
        return None
    if not 0 < rate < 15 or sampling == 3:
        return None
    per_second = _SAMPLES[sampling] // {3: 1, 2: 2, 0: 4}[version]
    samples = 1152 if version == 3 else 576
    kilobits = (_RATES if version == 3 else _RATES_2)[rate]
    return samples // 8 * kilobits * 1000 // per_second + padding, samples / per_second
