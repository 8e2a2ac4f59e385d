"""Shoppers' files in an S3-compatible bucket: a server of the protocol that checks keys (moto), Kefu's own client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest
from aiohttp.test_utils import TestClient, TestServer
from cryptography.fernet import Fernet

from bot.database import make_engine
from bot.doctor import Finding, examine
from bot.exceptions import StorageUnavailable
from bot.migrations import upgrade
from bot.privacy.cipher import Cipher
from bot.privacy.erasure import erase
from bot.privacy.files import MediaFiles
from bot.privacy.retention import purge
from bot.privacy.rotation import rotate
from bot.s3 import Bucket
from bot.settings import MediaSettings, PrivacySettings, Settings
from channels.app import GATEWAY, MEDIA, make_app
from channels.checks import check_media
from channels.media import make_media_store
from channels.rasa_client import RasaClient
from tests.channels.fake_rasa import FakeRasa
from tests.channels.test_web import QUICK, Site, photo, settings_for, upload
from tests.conftest import free_port

moto = pytest.importorskip("moto.server", reason="moto is a test dependency")
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::kefu*"}]}'


@dataclass
class Server:
    """The address, and a key that the server knows."""

    url: str
    access_key: str
    secret_key: str

    def media(self, **other: Any) -> MediaSettings:
        return MediaSettings(
            **{"bucket": "kefu", "endpoint": self.url, "access_key": self.access_key,
               "secret_key": self.secret_key, **other}
        )  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """From here on it refuses whoever does not sign with this key."""
    port = free_port()
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    running.start()
    url = f"http://127.0.0.1:{port}"
    anybody = {
        "endpoint_url": url,
        "region_name": "us-east-1",
        "aws_access_key_id": "a",
        "aws_secret_access_key": "b",
    }
    boto3.client("s3", **anybody).create_bucket(Bucket="kefu")
    iam = boto3.client("iam", **anybody)
    iam.create_user(UserName="kefu")
    iam.put_user_policy(UserName="kefu", PolicyName="all", PolicyDocument=POLICY)
    key = iam.create_access_key(UserName="kefu")["AccessKey"]
    import requests

    requests.post(f"{url}/moto-api/reset-auth", data="0", timeout=5).raise_for_status()
    yield Server(url, key["AccessKeyId"], key["SecretAccessKey"])
    running.stop()


def test_what_is_put_is_got_and_what_is_deleted_is_gone(server: Server) -> None:
    bucket = Bucket(server.media())
    bucket.put("a", b"bytes", "text/plain")
    assert b"bytes" == bucket.get("a") and "a" in dict(bucket.names())
    bucket.delete("a")
    bucket.delete("a")  # twice is no error
    assert bucket.get("a") is None and "a" not in dict(bucket.names())


WRONG = [
    ({"secret_key": "of-another-key"}, "SignatureDoesNotMatch", "secret_key does not belong"),
    ({"access_key": "AKIANOBODYKNOWSTHIS0"}, "InvalidAccessKeyId", "access_key is not known"),
    ({"bucket": "kefu-of-nobody"}, "NoSuchBucket", "make the bucket"),
    ({"bucket": "of-somebody-else"}, "AccessDenied", "allow it"),
    ({"endpoint": "http://127.0.0.1:9"}, "EndpointConnectionError", "cannot be reached"),
]


@pytest.mark.parametrize(("wrong", "code", "remedy"), WRONG)
async def test_what_is_misconfigured_is_named_with_its_remedy(
    server: Server, tmp_path: Path, wrong: dict[str, str], code: str, remedy: str
) -> None:
    settings = Settings(data_dir=tmp_path, media=server.media(**wrong))
    with pytest.raises(StorageUnavailable) as refused:
        Bucket(settings.media).put("a", b"bytes")
    [finding] = await examine(settings, (("media", check_media),))

    assert code == refused.value.code and remedy in str(refused.value)
    assert "error" == finding.level and code in finding.message and remedy in finding.remedy
    assert server.secret_key not in str(refused.value) + str(finding)


async def test_a_right_bucket_and_a_folder_are_said_to_be_right(server: Server, tmp_path: Path) -> None:
    async def find(media: MediaSettings) -> Finding:
        [found] = await examine(Settings(data_dir=tmp_path, media=media), (("media", check_media),))
        return found

    assert "ok" == (await find(server.media())).level
    assert "ok" == (await find(MediaSettings())).level
    (tmp_path / "file").write_bytes(b"")
    assert "error" == (await find(MediaSettings(path=tmp_path / "file" / "below"))).level
    assert not [name for name, _ in Bucket(server.media()).names() if name.startswith("doctor")]


@pytest.fixture
async def site(server: Server, tmp_path: Path) -> Any:
    settings = settings_for(tmp_path).model_copy(
        update={"media": server.media(), "privacy": PrivacySettings(keys=(Fernet.generate_key().decode(),))}
    )
    rasa = FakeRasa()
    backend = TestServer(rasa.app())
    await backend.start_server()
    async with aiohttp.ClientSession() as session:
        dialogue = RasaClient(session, str(backend.make_url("")), "kefu-loopback", 5)
        app = make_app(settings, dialogue=dialogue, patience=QUICK, extensions=())
        async with TestClient(TestServer(app)) as client:
            yield Site(client, rasa, settings)
    await backend.close()


async def send_photo(site: Site) -> tuple[str, str]:
    """(media id, link) of a photo a shopper sent."""
    async with site.page() as page:
        session = (await page.get("welcome"))["session"]
        sent = await (await upload(site, session, photo())).json()
        await page.say("look", media=[sent["slip"]])
        event = await page.event(author="shopper")
        await page.event(author="bot")
    return sent["media_id"], event["media"][0]["url"]


async def test_a_photo_lies_in_the_bucket_sealed_and_its_link_expires(site: Site, server: Server) -> None:
    media_id, link = await send_photo(site)
    stored = Bucket(server.media()).get(media_id)
    answer = await site.client.get(link)
    tokens = site.client.app[GATEWAY].channels["web"].tokens  # type: ignore[attr-defined]
    stale = await site.client.get(f"/media/{media_id}?{tokens.sign_link(media_id, -5)}")

    assert stored is not None and not stored.startswith(b"\xff\xd8")  # no picture for who only has the bucket
    assert (await answer.read()).startswith(b"\xff\xd8\xff") and "image/jpeg" == answer.content_type
    assert 403 == stale.status


async def test_erasing_a_shopper_empties_the_bucket_and_closes_the_link(site: Site, server: Server) -> None:
    media_id, link = await send_photo(site)
    conversation = site.rasa.turns[0]["sender"]
    receipt = await erase(site.gateway.store.engine, site.settings, conversation, by="a test")

    assert receipt["complete"] and 1 == receipt["erased"]["media"]
    assert Bucket(server.media()).get(media_id) is None
    assert 404 == (await site.client.get(link)).status


async def test_a_store_that_refuses_is_no_proof_that_a_file_is_gone(site: Site, server: Server) -> None:
    """With a wrong key an erasure must fail loudly, and take nothing from the database that names the files."""
    media_id, _ = await send_photo(site)
    conversation = site.rasa.turns[0]["sender"]
    locked_out = site.settings.model_copy(update={"media": server.media(secret_key="wrong")})
    with pytest.raises(StorageUnavailable):
        await erase(site.gateway.store.engine, locked_out, conversation, by="a test")
    assert Bucket(server.media()).get(media_id) is not None

    receipt = await erase(site.gateway.store.engine, site.settings, conversation, by="a test")
    assert 1 == receipt["erased"]["media"] and Bucket(server.media()).get(media_id) is None


async def test_old_files_go_by_their_age_and_files_of_others_stay(site: Site, server: Server) -> None:
    media_id, _ = await send_photo(site)
    bucket = Bucket(server.media())
    bucket.put("backup-of-the-shop.tar", b"not ours")
    soon = int(time.time() * 1000) + 181 * 24 * 3600 * 1000
    assert media_id in await MediaFiles(site.settings).older_than(soon / 1000)
    gone = await purge(site.gateway.store.engine, site.settings, now=soon)

    assert gone["media"] >= 1 and bucket.get(media_id) is None
    assert b"not ours" == bucket.get("backup-of-the-shop.tar")
    bucket.delete("backup-of-the-shop.tar")


async def test_files_in_a_bucket_are_rotated_too_in_several_goes_and_keep_their_age(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that fails in the middle, and again from the start: the old key is not needed, no file got younger."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    media = server.media(bucket="kefu-keys")
    bucket = Bucket(media)
    bucket._client.create_bucket(Bucket="kefu-keys")
    before = make_media_store(media, tmp_path, cipher=Cipher([old]))
    sent = [(await before.put(b"%PDF-1.4 " + n, kinds=("file",))).media_id for n in (b"1", b"2", b"3")]
    bucket.put("backup-of-the-shop.tar", b"not ours")
    came = max(at for name, at in bucket.names() if name in sent)
    await asyncio.sleep(1.1)  # a bucket tells seconds

    settings = Settings(data_dir=tmp_path, media=media, privacy=PrivacySettings(keys=(new, old)))
    engine = make_engine(settings.sqlalchemy_url, settings.privacy)
    await upgrade(engine)
    put, puts = Bucket.put, 0

    def failing(self: Bucket, name: str, data: bytes, *more: str) -> None:
        nonlocal puts
        puts += name in sent
        if puts == 2:
            raise StorageUnavailable("The store is gone", code="EndpointConnectionError")
        put(self, name, data, *more)

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "put", failing)
        with pytest.raises(StorageUnavailable):
            await rotate(engine, settings)
    assert 3 == (await rotate(engine, settings))["media"]
    await engine.dispose()

    after = make_media_store(media, tmp_path, cipher=Cipher([new]))
    assert [b"%PDF-1.4 " + n for n in (b"1", b"2", b"3")] == [
        (await after.get(one) or (b"",))[0] for one in sent
    ]
    assert "application/pdf" == bucket._client.head_object(Bucket="kefu-keys", Key=sent[0])["ContentType"]
    assert b"not ours" == bucket.get("backup-of-the-shop.tar")
    assert min(at for name, at in bucket.names() if name in sent) > came
    assert set(sent) == set(await MediaFiles(settings).older_than(came + 0.5))


async def test_a_page_is_told_when_files_cannot_be_kept(site: Site, server: Server) -> None:
    _, link = await send_photo(site)
    site.client.app[MEDIA].storage._bucket = Bucket(server.media(secret_key="wrong"))  # type: ignore[attr-defined]
    session = (await (await site.post("/web/session", {})).json())["session"]
    refused = await upload(site, session, photo())

    assert (503, "storage") == (refused.status, (await refused.json())["code"])
    assert 503 == (await site.client.get(link)).status
