"""Puts the desks of others into the gateway, when their settings are there."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from bot.exceptions import SettingsError
from bot.handoff.hours import Hours
from bot.migrations import upgrade
from bot.settings import Settings
from channels.desk.acts import Acts
from channels.desk_adapters.bridge import Bridge
from channels.desk_adapters.chatwoot import ChatwootDesk
from channels.desk_adapters.telegram_topics import TelegramTopics
from channels.gateway import Gateway
from channels.media import MediaStore
from channels.tokens import Tokens, load_secret

LINK_LIFE = 7 * 24 * 3600  # seconds; a note is read later than a page

BRIDGES: web.AppKey[list[Bridge]] = web.AppKey("desk_bridges", list)


def install(app: web.Application, gateway: Gateway, settings: Settings, media: MediaStore) -> None:
    """Add Chatwoot, Telegram topics, or both.

    Raises:
        SettingsError: the clockwork of the hand-off is switched off, or a setting is impossible.
    """
    desk = settings.desk
    if desk.chatwoot is None and desk.telegram is None:
        return
    if not desk.enabled:
        raise SettingsError(
            "desk.enabled is false: other desks need the clockwork that it starts; switch it on."
        )
    if desk.telegram is not None and desk.telegram.token in [bot.token for bot in settings.telegram.values()]:
        raise SettingsError(
            "desk.telegram.token is the token of a shop's bot: make another bot for the desk at @BotFather."
        )
    acts = Acts(gateway, Hours.from_settings(settings.handoff.hours, settings.timezone))
    tokens = Tokens(
        load_secret(settings.gateway.secret, settings.data_path("gateway.secret")), settings.sites
    )
    public = (settings.gateway.public_url or settings.gateway.url).rstrip("/")

    def evidence_link(media_id: str) -> str:
        return f"{public}/media/{media_id}?{tokens.sign_link(media_id, LINK_LIFE)}"

    bridges: list[Bridge] = []
    if desk.chatwoot is not None:
        bridge = Bridge(gateway, acts, language=settings.language)
        bridge.adapter = ChatwootDesk(bridge, desk.chatwoot, media, evidence_link=evidence_link)
        bridges.append(bridge)
    if desk.telegram is not None:
        bridge = Bridge(gateway, acts, language=settings.language)
        bridge.adapter = TelegramTopics(bridge, desk.telegram, media, evidence_link=evidence_link)
        bridges.append(bridge)
    for bridge in bridges:
        assert bridge.adapter is not None, "set above"
        bridge.adapter.routes(app)
    app[BRIDGES] = bridges

    async def running(_: web.Application) -> AsyncIterator[None]:
        await upgrade(gateway.store.engine)
        for bridge in bridges:
            await bridge.start()
        yield

    async def stopping(_: web.Application) -> None:
        for bridge in bridges:  # before the gateway closes the database
            await bridge.stop()

    app.cleanup_ctx.append(running)
    app.on_shutdown.append(stopping)
