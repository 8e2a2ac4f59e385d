"""`kefu chat`: talk to the running assistant in the terminal, or from a script.

It shows what a page would show; it knows no topic. The visitor's token is kept between calls, so
that a conversation goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.exceptions import ChannelError
from bot.programs import running_url
from bot.settings import Settings, get_settings
from bot.web_client import WebClient, WebReply, sign_identity


def chat(
    say: Annotated[
        list[str] | None,
        typer.Option("--say", help="Send this line and wait for the replies; repeat for more."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per reply.")] = False,
    url: Annotated[str | None, typer.Option(help="The gateway; the running one when not given.")] = None,
    site: Annotated[str, typer.Option(help="Key of the site, as in the settings.")] = "demo",
    identity: Annotated[
        str | None, typer.Option(help="Speak as this signed-in customer (an id, or a signed token).")
    ] = None,
    locale: Annotated[str | None, typer.Option(help="zh or en, as a browser would say it.")] = None,
    conversation: Annotated[
        str, typer.Option("--conversation", help="A name of your own for the conversation to go on with.")
    ] = "default",
    new: Annotated[bool, typer.Option("--new", help="Begin a new conversation.")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for a reply.")] = 30.0,
) -> None:
    """Talk to the running assistant in the terminal. A number presses a button."""
    settings = get_settings()
    url = url or running_url(settings, "gateway")
    tokens = Tokens(settings.data_path("run", "chat.json"))
    key = f"{url} {site} {conversation}"
    client = WebClient(
        url,
        site=site,
        token=None if new else tokens.get(key),
        identity=signed(identity, site, settings),
        locale=locale,
        timeout=timeout,
    )

    async def run() -> None:
        async with client:
            if client.token:
                tokens.put(key, client.token)
            await (_say_all(client, say, as_json) if say else _talk(client, as_json))

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        typer.echo()


def signed(identity: str | None, site: str, settings: Settings) -> str | None:
    """A customer id signed with the site's secret; a token that is signed already as it is.

    Raises:
        ChannelError: the settings know no such site.
    """
    if identity is None or identity.count(".") == 2:
        return identity
    if site not in settings.sites:
        raise ChannelError(f"There is no site {site!r} in the settings; there are {sorted(settings.sites)}.")
    return sign_identity(identity, site, settings.sites[site].secret)


class Tokens:
    """Visitor tokens between calls, in a small file only the user may read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str) -> str | None:
        return self._all().get(key)

    def put(self, key: str, token: str) -> None:
        known = self._all()
        if known.get(key) != token:
            self._path.touch(mode=0o600)
            self._path.write_text(json.dumps({**known, key: token}, indent=1))

    def _all(self) -> dict[str, str]:
        try:
            known = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


async def _say_all(client: WebClient, lines: list[str], as_json: bool) -> None:
    for line in lines:
        if not as_json:
            typer.secho(f"> {line}", dim=True)
        started = time.perf_counter()
        replies = await client.say(line)
        took = client.timings[-1] if replies and client.timings else time.perf_counter() - started
        for reply in replies:
            _show(reply, as_json, said=line, ms=round(took * 1000), conversation=client.conversation)
        if not replies and not as_json:
            typer.secho("(a person has this conversation; the assistant is silent)", dim=True)


async def _talk(client: WebClient, as_json: bool) -> None:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - gives input() its line editing

    if sys.stdin.isatty():
        typer.secho(f"{client.url}  ({client.conversation})  Ctrl-D ends.", dim=True)

    async def show() -> None:
        async for reply in client.listen():
            _show(reply, as_json, conversation=client.conversation)

    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        # A thread of its own that may be left behind: nothing can interrupt input().
        while True:
            try:
                line = input()
            except EOFError:
                loop.call_soon_threadsafe(lines.put_nowait, None)
                return
            loop.call_soon_threadsafe(lines.put_nowait, line)

    threading.Thread(target=read, daemon=True).start()
    showing = asyncio.create_task(show())
    try:
        while True:
            typed = asyncio.create_task(lines.get())
            await asyncio.wait([typed, showing], return_when=asyncio.FIRST_COMPLETED)
            if showing.done():
                typed.cancel()
                showing.result()
            line = typed.result()
            if line is None:
                return
            line = line.strip()
            if line.isdecimal() and 1 <= int(line) <= len(client.buttons):
                await client.send_press(int(line))
            elif line:
                await client.send(line)
    finally:
        showing.cancel()


def _show(reply: WebReply, as_json: bool, **more: Any) -> None:
    if as_json:
        typer.echo(json.dumps({**reply.as_dict(), **more}, ensure_ascii=False))
        return
    who = {"bot": "Kefu", "system": "Kefu", "person": "客服 / person"}.get(reply.author, reply.author)
    typer.secho(who, fg="green", nl=False)
    typer.echo(f"  {(reply.card or {}).get('lead') or reply.text}")
    if reply.card:
        typer.secho(f"      {reply.card.get('title', '')}", bold=True)
        for name, value in reply.card.get("rows") or ():
            typer.echo(f"      {name}: {value}")
    for number, button in enumerate(reply.buttons, 1):
        typer.echo(f"      [{number}] {button.title}")
    for title, address in reply.citations:
        typer.secho(f"      {title} {address}".rstrip(), dim=True)
    if reply.owner != "bot":
        typer.secho(f"      ({reply.owner})", dim=True)
