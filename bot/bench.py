"""`kefu bench latency`: how long a shopper waits, beside a bare Rasa in the same run.

Machines differ and are noisy, so the number that counts is the ratio of two medians measured in turns.
It speaks to the running programs and changes nothing in the shop: the messages only ask.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import Annotated, Any
from uuid import uuid4

import typer

from bot.exceptions import DialogueUnavailable
from bot.programs import running_url
from bot.settings import Settings, get_settings
from bot.web_client import WebClient

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Measure the running programs.")

PAUSE = 1.1  # seconds between two messages: the gateway takes one a second from a shopper
WARM_UP = 3  # messages that are not counted: caches, connections, first use of the encoders


@app.callback()
def bench() -> None:
    """Measure the running programs."""


@app.command()
def latency(
    messages: Annotated[int, typer.Option(min=1, help="Messages of each kind.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Median time for a message with an order look-up, beside a bare Rasa "hello"."""
    result = asyncio.run(measure(get_settings(), messages))
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    for name, row in result["rows"].items():
        typer.echo(
            f"{name:<42} median {row['median_ms']:6.0f} ms   90 % {row['p90_ms']:6.0f} ms   n={row['n']}"
        )
    typer.echo(f"{'ratio of the medians':<42} {result['ratio']:.2f}")


@app.command()
def generator(
    requests: Annotated[
        list[int] | None, typer.Option(min=1, help="Simultaneous requests; may be repeated.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=4, help="Tokens of each reply.")] = 48,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Tokens per second and time to the first token, beside a plain `generate` in the same run."""
    from bot.generator.bench import run

    run(requests or [], tokens, as_json)


async def measure(settings: Settings, messages: int) -> dict[str, Any]:
    """Both kinds of message in turns, so that a busy moment of the machine meets both.

    Raises:
        ChannelError, DialogueUnavailable: the programs are not running.
    """
    import aiohttp

    from bot.orders.shop.samples import sample

    order = sample("status_shipped")
    question = f"订单 {order.number} 到哪了"
    look_ups: list[float] = []
    hellos: list[float] = []
    async with (
        WebClient(running_url(settings, "gateway"), locale="zh") as shopper,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=settings.dialogue.timeout)) as session,
    ):
        await shopper.say(question)  # a guest of his own, so that nobody else's conversation is in the way
        await shopper.say(order.phone_tail)
        for number in range(-WARM_UP, messages):
            await asyncio.sleep(PAUSE)
            replies = await shopper.say(question)
            if not any(reply.card for reply in replies):
                raise DialogueUnavailable(
                    f"The assistant did not look up order {order.number}: {[reply.text for reply in replies]}. "
                    "Remedy: kefu shop --reset, or kefu doctor."
                )
            hello = await bare_hello(session, settings)
            if number >= 0:
                look_ups.append(shopper.timings[-1])
                hellos.append(hello)
    return report(look_ups, hellos)


async def bare_hello(session: Any, settings: Settings) -> float:
    """Seconds for a greeting to Rasa's own HTTP interface, without gateway, store or order API.

    Raises:
        DialogueUnavailable: Rasa does not answer.
    """
    import aiohttp

    url = f"{running_url(settings, 'dialogue')}/webhooks/kefu/webhook"
    body = {"sender": f"bench-{uuid4().hex}", "message": "hello", "message_id": uuid4().hex, "retry": False}
    headers = {"Authorization": f"Bearer {settings.dialogue.token}"}
    started = time.perf_counter()
    try:
        async with session.post(url, json=body, headers=headers) as response:
            await response.read()
            status = response.status
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        raise DialogueUnavailable(f"Rasa does not answer at {url}. Remedy: kefu up") from exc
    if status != 200:
        raise DialogueUnavailable(f"Rasa answered HTTP {status} at {url}. Remedy: read var/log/dialogue.log")
    return time.perf_counter() - started


def report(look_ups: list[float], hellos: list[float]) -> dict[str, Any]:
    """Medians and 90 % marks in milliseconds, and the ratio of the medians."""
    rows = {
        "order look-up through the web channel": _row(look_ups),
        'bare Rasa "hello"': _row(hellos),
    }
    ratio = statistics.median(look_ups) / statistics.median(hellos)
    return {"rows": rows, "ratio": round(ratio, 3)}


def _row(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "n": len(ordered),
        "median_ms": round(statistics.median(ordered) * 1000, 1),
        "p90_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.9))] * 1000, 1),
    }
