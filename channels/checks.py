"""`kefu doctor channels`: asks every configured platform what it thinks of us, and says what to do.

It sends no message to anybody. Each check is as in `bot.doctor`; keys, addresses and clocks are looked at
through the channels' own clients, so what works here works there.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from telegram.error import Conflict, InvalidToken, TelegramError

from bot.database import make_engine
from bot.doctor import Check, Finding
from bot.exceptions import SettingsError, StorageUnavailable
from bot.s3 import Bucket
from bot.settings import Settings
from channels.desk.checks import check_desk
from channels.gateway import Gateway
from channels.store import Store
from channels.telegram import TelegramAccount
from channels.wechat.api import REMEDIES, ApiError, OfficialAccountApi
from channels.wechat.envelope import FRESH, Envelope, read_key
from channels.wecom.api import WecomApi, WecomError

WECOM_REMEDIES = {
    40001: "the secret is wrong: copy the one of 微信客服, not of another app",
    40013: "the corpid is wrong",
    60020: "this machine's address is not among the trusted addresses (企业可信IP): add it",
    60011: "the secret may not use 微信客服: allow its API in the console",
    48002: "the secret may not use 微信客服: allow its API in the console",
    45009: "the platform's limit of calls is reached: wait",
}
TIMEOUT = aiohttp.ClientTimeout(total=6)


async def check_wechat(settings: Settings) -> AsyncIterator[Finding]:
    """Keys, token service, IP allow-list, and whether our own address answers the platform's check."""
    engine = make_engine(settings.sqlalchemy_url, settings.privacy)
    try:
        for name, account in settings.wechat.items():
            where = f"wechat.{name}"
            try:
                keys = (read_key(account.aes_key, f"{where}.aes_key"),) if account.aes_key else ()
                envelope = Envelope(account.token, account.appid, mode=account.mode, keys=keys)
            except SettingsError as exc:
                yield Finding(where, "error", str(exc), f"correct {where} in kefu.yml or .env")
                continue
            if account.mode != "safe":
                yield Finding(
                    where, "warning", f"{account.mode} mode: letters can be read and forged on their way",
                    "choose 安全模式 in the platform's console and mode: safe here",
                )  # fmt: skip
            if not account.secret and not account.passive_only:
                yield Finding(
                    where, "error", "no secret: slow answers cannot be delivered",
                    f"set KEFU_WECHAT__{name.upper()}__SECRET, or passive_only: true",
                )  # fmt: skip
                continue
            if account.secret:
                api = OfficialAccountApi(
                    engine, account.appid, account.secret, base_url=account.base_url, timeout=account.timeout
                )
                try:
                    await api.token(ask=True)  # the one in the database may outlive its secret
                    yield Finding(
                        where, "ok", "the platform gives a token: appid, secret and address are right"
                    )
                except ApiError as exc:
                    remedy = REMEDIES.get(exc.code or 0, "look the code up in docs/wechat.md")
                    if exc.code is None:
                        remedy = f"check the network towards {account.base_url}"
                    yield Finding(where, "error", str(exc), remedy)
                finally:
                    await api.close()
            async for finding in _own_address(settings, where, f"/wechat/{name}", envelope):
                yield finding
    finally:
        await engine.dispose()


async def _own_address(
    settings: Settings, where: str, path: str, envelope: Envelope
) -> AsyncIterator[Finding]:
    """Ask ourselves as the platform would, at the public address when there is one."""
    base = settings.gateway.public_url or settings.gateway.url
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.get(base.rstrip("/") + path, params=envelope.check_query("kefu")) as response,
        ):
            text = await response.text()
    except (aiohttp.ClientError, TimeoutError) as exc:
        yield Finding(
            where, "error", f"{base}{path} does not answer ({type(exc).__name__})",
            "start the gateway; put it behind HTTPS and set gateway.public_url",
        )  # fmt: skip
        return
    if (response.status, text) == (200, "kefu"):
        yield Finding(where, "ok", f"{base}{path} answers the platform's check")
    else:
        yield Finding(
            where, "error", f"{base}{path} answered {response.status} to the platform's check",
            {
                403: "the gateway that runs has another token or key: restart it",
                404: f"the gateway that runs knows no {where}: restart it, or another program has that address",
            }.get(response.status, "look at what stands between the platform and the gateway (a proxy, a login)"),
        )  # fmt: skip
    if not base.startswith("https://"):
        yield Finding(
            where, "warning", f"{base} is not public: the platform cannot reach it",
            "put the gateway behind HTTPS on port 443 and set gateway.public_url",
        )  # fmt: skip


async def check_wecom(settings: Settings) -> AsyncIterator[Finding]:
    """Keys, token, and the customer-service accounts this secret may see."""
    engine = make_engine(settings.sqlalchemy_url, settings.privacy)
    try:
        gateway = Gateway(Store(engine), None)  # type: ignore[arg-type]
        for name, enterprise in settings.wecom.items():
            where = f"wecom.{name}"
            try:
                keys = (read_key(enterprise.aes_key, f"{where}.aes_key"),)
                envelope = Envelope(enterprise.token, enterprise.corpid, keys=keys)
            except SettingsError as exc:
                yield Finding(where, "error", str(exc), f"correct {where} in kefu.yml or .env")
                continue
            api = WecomApi(gateway, name, enterprise)
            try:
                await api.check()
                found = await api.call("kf/account/list", {"offset": 0, "limit": 100})
            except WecomError as exc:
                remedy = WECOM_REMEDIES.get(exc.code or 0, "look the code up in docs/wecom.md")
                if exc.code is None:
                    remedy = f"check the network towards {enterprise.base_url}"
                yield Finding(where, "error", str(exc), remedy)
            else:
                accounts = found.get("account_list") or []
                level: Any = "ok" if accounts else "warning"
                yield Finding(
                    where, level, f"{len(accounts)} customer-service accounts",
                    "make one in the WeCom console under 微信客服",
                )  # fmt: skip
            finally:
                await api.close()
            async for finding in _own_address(settings, where, f"/wecom/{name}", envelope):
                yield finding
    finally:
        await engine.dispose()


async def check_telegram(settings: Settings) -> AsyncIterator[Finding]:
    """The token, and what Telegram says about our webhook or polling."""
    for name, bot in settings.telegram.items():
        where = f"telegram.{name}"
        try:
            account = TelegramAccount(name, bot)
        except SettingsError as exc:
            yield Finding(where, "error", str(exc), f"correct {where} in kefu.yml or .env")
            continue
        try:
            await account.bot.initialize()
            hook = await account.bot.get_webhook_info()
        except InvalidToken:
            yield Finding(where, "error", "Telegram refuses the token", "copy it again from @BotFather")
        except Conflict as exc:
            yield Finding(where, "error", account.redacted(exc), "stop the other program that reads this bot")
        except TelegramError as exc:
            yield Finding(
                where, "error", f"Telegram cannot be reached: {account.redacted(exc)}",
                "check the network; where Telegram is blocked set proxy or base_url",
            )  # fmt: skip
        else:
            yield Finding(where, "ok", f"the bot is @{account.bot.username}")
            for finding in _hook(settings, where, name, bot.mode, hook):
                yield finding
            if bot.mode == "webhook":
                yield await _webhook_open(settings, where, name, bot.webhook_secret)
        finally:
            await account.bot.shutdown()


async def _webhook_open(settings: Settings, where: str, name: str, secret: str) -> Finding:
    """Knock at our webhook with the secret and no update in the hand: ours says 400, and has done nothing."""
    url = f"{(settings.gateway.public_url or settings.gateway.url).rstrip('/')}/telegram/{name}"
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.post(url, data=b"{}", headers={"X-Telegram-Bot-Api-Secret-Token": secret}) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, TimeoutError) as exc:
        return Finding(
            where, "error", f"{url} does not answer ({type(exc).__name__})",
            "start the gateway; put it behind HTTPS on port 443, 80, 88 or 8443",
        )  # fmt: skip
    if status == 400:
        return Finding(where, "ok", f"{url} is open to Telegram")
    remedy = {
        403: "the gateway that runs has another webhook_secret: restart it",
        404: f"the gateway that runs knows no {where} with a webhook: restart it, or another program has that address",
    }.get(status, "look at what stands between Telegram and the gateway (a proxy, a login)")
    return Finding(where, "error", f"{url} answered {status} to a knock with the secret", remedy)


def _hook(settings: Settings, where: str, name: str, mode: str, hook: Any) -> list[Finding]:
    if mode == "polling":
        if hook.url:
            return [Finding(where, "note", "a webhook is set; it goes when the gateway starts polling")]
        return [Finding(where, "ok", f"{hook.pending_update_count} updates wait to be polled")]
    wanted = f"{(settings.gateway.public_url or '').rstrip('/')}/telegram/{name}"
    if hook.url != wanted:
        return [
            Finding(
                where, "error", f"the webhook is {hook.url or 'not set'}, not {wanted}", "start the gateway"
            )
        ]
    if hook.last_error_message:
        return [
            Finding(
                where, "warning", f"Telegram's last delivery failed: {hook.last_error_message}",
                "check that the address is reachable from outside, its certificate and its port (443, 80, 88, 8443)",
            )
        ]  # fmt: skip
    return [Finding(where, "ok", f"the webhook works; {hook.pending_update_count} updates wait")]


async def check_clock(settings: Settings) -> AsyncIterator[Finding]:
    """Signed letters older than ten minutes are refused, so a wrong clock silences WeChat and WeCom; with Telegram
    it spoils links and promises."""
    platforms = [
        *((f"wechat.{name}", account.base_url) for name, account in settings.wechat.items()),
        *((f"wecom.{name}", enterprise.base_url) for name, enterprise in settings.wecom.items()),
        *((f"telegram.{name}", bot.base_url) for name, bot in settings.telegram.items() if not bot.proxy),
    ]
    for where, base_url in platforms:
        try:
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT) as session,
                session.get(base_url) as response,
            ):
                stamp = response.headers.get("Date")
        except (aiohttp.ClientError, TimeoutError):
            continue  # said by the platform's own check
        if not stamp:
            continue
        ahead = time.time() - parsedate_to_datetime(stamp).timestamp()
        if abs(ahead) > FRESH / 2:
            yield Finding(
                where, "error", f"this machine's clock is {ahead:+.0f} s off the platform's",
                "set the clock (systemd-timesyncd or chrony)",
            )  # fmt: skip
        else:
            yield Finding(where, "ok", f"the clock agrees with the platform's ({ahead:+.0f} s)")


async def check_web(settings: Settings) -> AsyncIterator[Finding]:
    """Where the chat may be embedded, and by which secret customers are vouched for."""
    for name, site in settings.sites.items():
        if site.origins:
            yield Finding(f"web.{name}", "ok", f"may be embedded on {', '.join(site.origins)}")
        else:
            yield Finding(
                f"web.{name}", "note", "only on the gateway's own page",
                f"list the shop's pages in sites.{name}.origins to embed the chat there",
            )  # fmt: skip


async def check_media(settings: Settings) -> AsyncIterator[Finding]:
    """Whether a file can be written, read and removed where shoppers' files are kept."""
    probe = f"doctor-{secrets.token_hex(8)}"
    media = settings.media
    if not media.bucket:
        root = media.path or settings.data_path("media", "x").parent
        try:
            root.mkdir(parents=True, exist_ok=True)
            (root / probe).write_bytes(b"kefu")
            (root / probe).unlink()
        except OSError as exc:
            yield Finding(
                "media",
                "error",
                f"{root} cannot be written to: {exc.strerror}",
                "correct media.path or its owner",
            )
        else:
            yield Finding("media", "ok", f"files are kept in {root}")
        return
    where = f"bucket {media.bucket} at {media.endpoint or 'AWS'}"
    try:
        bucket = Bucket(media)
        await asyncio.to_thread(bucket.put, probe, b"kefu")
        read = await asyncio.to_thread(bucket.get, probe)
        await asyncio.to_thread(bucket.names)  # retention looks for old files
        await asyncio.to_thread(bucket.delete, probe)
    except StorageUnavailable as exc:
        yield Finding("media", "error", f"{where}: {exc.code}", str(exc).partition(": ")[2])
        return
    if read == b"kefu":
        yield Finding("media", "ok", f"files are kept in {where}")
    else:
        yield Finding("media", "error", f"{where} does not give back what it took", "choose another store")


CHECKS: tuple[tuple[str, Check], ...] = (
    ("web", check_web),
    ("wechat", check_wechat),
    ("clock", check_clock),
    ("wecom", check_wecom),
    ("telegram", check_telegram),
    ("desk", check_desk),
    ("media", check_media),
)
