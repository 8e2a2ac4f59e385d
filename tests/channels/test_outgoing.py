"""What goes out as a file, and what as a link."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.exceptions import ChannelError
from bot.settings import GatewaySettings, MediaSettings, Settings
from channels import sound
from channels.channel import Capabilities, OutboxMessage
from channels.media import KINDS, make_media_store
from channels.outgoing import Outgoing, Upload, split_bytes
from channels.tokens import Tokens, file_links, load_secret
from tests.channels.recordings import amr, mp3

TAKES = {"amr": 100_000, "mp3": 2_000_000, "jpg": 1000}


@pytest.mark.parametrize("lasts", [1, 59, 61])
def test_recordings_are_measured_without_playing_them(lasts: int) -> None:
    assert lasts == sound.seconds(amr(lasts))
    assert lasts == pytest.approx(sound.seconds(mp3(lasts)), abs=0.05)


@pytest.mark.parametrize(
    "data", [b"", b"#!AMR\n", b"#!AMR\n\x3c", b"OggS" + bytes(60), b"ID3", b"\xff\xfb"], ids=repr
)
def test_what_cannot_be_measured_has_no_length(data: bytes) -> None:
    assert sound.seconds(data) is None


def test_a_wide_band_recording_is_measured_too() -> None:
    assert 0.2 == pytest.approx(sound.seconds(b"#!AMR-WB\n" + (b"\x04" + bytes(17)) * 10) or 0)


@pytest.mark.parametrize(
    ("data", "goes"),
    [(amr(20), "voice"), (mp3(59), "voice"), (amr(61), "link"), (mp3(75), "link"), (b"OggS" + bytes(60), "link"),
     (b"%PDF-1.7", "link")],
    ids=["amr", "mp3", "long amr", "long mp3", "ogg", "pdf"],
)  # fmt: skip
async def test_a_file_goes_as_such_where_kind_size_and_length_are_taken(
    data: bytes, goes: str, tmp_path: Path
) -> None:
    media = make_media_store(MediaSettings(), tmp_path)
    item = await media.put(data, kinds=KINDS)
    sent = await Outgoing(media, lambda name: f"https://x/{name}", TAKES).prepare(item.model_dump(), "en")

    if goes == "voice":
        assert isinstance(sent, Upload)
        assert (data, f"voice.{item.media_id[-3:]}") == (sent.content, sent.name)
    else:
        assert str(sent).endswith(f"https://x/{item.media_id}")


async def test_a_file_that_is_gone_is_passed_over_and_one_without_a_link_is_an_error(tmp_path: Path) -> None:
    media = make_media_store(MediaSettings(), tmp_path)
    item = await media.put(amr(61), kinds=KINDS)
    outgoing = Outgoing(media, lambda _: None, TAKES)
    with pytest.raises(ChannelError, match=r"gateway\.public_url"):
        await outgoing.prepare(item.model_dump(), "zh")
    await media.delete(item.media_id)

    assert await outgoing.prepare(item.model_dump(), "zh") is None


def test_the_link_is_one_the_gateway_opens_and_needs_a_public_address(tmp_path: Path) -> None:
    def settings(public: str | None) -> Settings:
        return Settings(data_dir=tmp_path, gateway=GatewaySettings(public_url=public))

    name, query = str(file_links(settings("https://shop.example/"))("a.amr")).split("?")
    given = dict(part.split("=", 1) for part in query.split("&"))
    tokens = Tokens(load_secret(None, settings(None).data_path("gateway.secret")), {})

    assert "https://shop.example/media/a.amr" == name
    tokens.check_link("a.amr", given["until"], given["sign"])
    assert file_links(settings(None))("a.amr") is None


async def test_what_is_too_long_for_the_allowance_is_shortened_with_a_mark(tmp_path: Path) -> None:
    media = make_media_store(MediaSettings(), tmp_path)
    item = await media.put(amr(2), kinds=KINDS)
    message = OutboxMessage("1", "c", 1, "bot", text="退" * 3000, media=(item.model_dump(),))
    pieces = await Outgoing(media, lambda _: None, TAKES).pieces(
        [message], "zh", Capabilities(max_bytes=2048), 2
    )

    assert 2 == len(pieces) and isinstance(pieces[1], Upload)
    assert str(pieces[0]).endswith("…") and len(str(pieces[0]).encode()) <= 2048


@given(st.text(alphabet=st.sampled_from("退款已办理ab 。\n😀"), max_size=400), st.integers(8, 200))
def test_pieces_fit_and_lose_nothing_but_white_space(text: str, limit: int) -> None:
    pieces = split_bytes(text, limit)

    assert all(len(piece.encode()) <= limit for piece in pieces)
    assert "".join(text.split()) == "".join("".join(pieces).split())
