"""`kefu doctor channels` for the desk: Chatwoot, the Telegram group and the sign-in provider, as they see us.

Nothing is written to anybody. Each check is as in `bot.doctor`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from telegram.error import InvalidToken, TelegramError

from bot.doctor import Finding
from bot.exceptions import DeskError, SettingsError
from bot.settings import ChatwootSettings, Settings, TelegramDeskSettings, TelegramSettings
from channels.desk.oidc import Oidc
from channels.desk_adapters.chatwoot import PATH, ChatwootApi, ChatwootError
from channels.telegram import TelegramAccount


async def check_desk(settings: Settings) -> AsyncIterator[Finding]:
    """What `desk` names besides Kefu's own page."""
    desk = settings.desk
    if (desk.chatwoot or desk.telegram) and not desk.enabled:
        yield Finding(
            "desk", "error", "desk.enabled is false, so no clockwork runs", "set desk.enabled: true"
        )
    if not desk.passwords and desk.oidc is None:
        yield Finding("desk", "error", "nobody can sign in", "set desk.oidc, or desk.passwords: true")
    if desk.chatwoot is not None:
        async for finding in _chatwoot(settings, desk.chatwoot):
            yield finding
    if desk.telegram is not None:
        async for finding in _telegram(desk.telegram):
            yield finding
    if desk.oidc is not None:
        try:
            said = await Oidc(desk.oidc, secret=b"doctor", redirect_uri="").check()
        except SettingsError as exc:
            yield Finding("desk.oidc", "error", str(exc), "correct desk.oidc in kefu.yml")
        except (DeskError, ValueError) as exc:
            yield Finding(
                "desk.oidc",
                "error",
                str(exc),
                "write the issuer exactly as its /.well-known/openid-configuration does",
            )
        else:
            yield Finding("desk.oidc", "ok", said)


async def _chatwoot(settings: Settings, chatwoot: ChatwootSettings) -> AsyncIterator[Finding]:
    where = "desk.chatwoot"
    api = ChatwootApi(chatwoot)
    try:
        profile = await api.call("GET", "/api/v1/profile")
        yield Finding(where, "ok", f"the token is {profile.get('name') or 'a user'}'s")
        inbox = await api.call("GET", f"inboxes/{chatwoot.inbox}")
    except ChatwootError as exc:
        remedy = {
            401: "copy the access token of the user made for Kefu from its profile page",
            404: "look up account and inbox: both numbers stand in the inbox's address",
            None: f"check the network towards {chatwoot.base_url}",
        }.get(exc.status, "see docs/desk-adapters.md")
        yield Finding(where, "error", str(exc), remedy)
        return
    finally:
        await api.close()
    if inbox.get("channel_type") != "Channel::Api":
        yield Finding(
            where, "error", f"inbox {chatwoot.inbox} is {inbox.get('channel_type')}, not an API channel",
            "make an inbox of the kind API in Chatwoot and set desk.chatwoot.inbox",
        )  # fmt: skip
        return
    wanted = (settings.gateway.public_url or settings.gateway.url).rstrip("/") + PATH
    if inbox.get("webhook_url") == wanted:
        yield Finding(where, "ok", f"the inbox calls {wanted}")
    else:
        yield Finding(
            where, "error", f"the inbox calls {inbox.get('webhook_url') or 'nobody'}, not {wanted}",
            "set the inbox's webhook URL; without it answers come only by polling",
        )  # fmt: skip


async def _telegram(team: TelegramDeskSettings) -> AsyncIterator[Finding]:
    where = "desk.telegram"
    try:
        account = TelegramAccount(
            "desk", TelegramSettings(token=team.token, base_url=team.base_url, proxy=team.proxy), where=where
        )
    except SettingsError as exc:
        yield Finding(where, "error", str(exc), "correct desk.telegram in kefu.yml or .env")
        return
    try:
        await account.bot.initialize()
        chat = await account.bot.get_chat(team.group)
        member = await account.bot.get_chat_member(team.group, account.bot.id)
    except InvalidToken:
        yield Finding(where, "error", "Telegram refuses the token", "copy it again from @BotFather")
        return
    except TelegramError as exc:
        yield Finding(
            where, "error", f"the group cannot be read: {account.redacted(exc)}",
            "add the bot to the group and correct desk.telegram.group (-100...)",
        )  # fmt: skip
        return
    finally:
        await account.bot.shutdown()
    if not chat.is_forum:
        yield Finding(where, "error", "the group has no topics", "switch Topics on in the group's settings")
    lacking = [
        right
        for right in ("can_manage_topics", "can_pin_messages", "can_delete_messages")
        if not getattr(member, right, False)
    ]
    if lacking:
        yield Finding(
            where,
            "error",
            f"@{account.bot.username} lacks {', '.join(lacking)}",
            "make it an administrator with these rights",
        )
    if chat.is_forum and not lacking:
        yield Finding(where, "ok", f"@{account.bot.username} manages the topics of the group")
    if not team.members:
        yield Finding(
            where, "error", "nobody of the group is listed", "list the people in desk.telegram.members"
        )
