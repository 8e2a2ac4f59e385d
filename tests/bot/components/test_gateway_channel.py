"""Rasa's side of the contract: one turn per message id, read back after a restart, nobody else may ask."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from rasa.core.channels.channel import UserMessage
from rasa.core.tracker_store import InMemoryTrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, BotUttered, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import RasaException
from sanic import Sanic
from sanic.handlers import ErrorHandler

from bot.components.gateway_channel import GatewayInput, explain_turn, harmless, replies_of, reply_of

TOKEN = "a token"


class Agent:
    """Saves a turn whole, like Rasa's processor, and answers with what it heard."""

    def __init__(self, store: InMemoryTrackerStore) -> None:
        self.tracker_store = store
        self.heard: list[UserMessage] = []
        self.ready = True
        self.delay = 0.0
        self.error: Exception | None = None

    def is_ready(self) -> bool:
        return self.ready

    async def handle_message(self, message: UserMessage) -> None:
        self.heard.append(message)
        await asyncio.sleep(self.delay)
        if self.error:
            raise self.error
        said = {"text": f"heard {message.text}", "custom": {"kefu": {"receipts": ["r1"]}}}
        tracker = await self.tracker_store.retrieve_full_tracker(message.sender_id)
        tracker = tracker or DialogueStateTracker(message.sender_id, [])
        tracker.update(UserUttered(message.text, message_id=message.message_id, metadata=message.metadata))
        tracker.update(BotUttered(said["text"], {"custom": said["custom"], "buttons": None}))
        tracker.update(ActionExecuted("action_listen"))
        await self.tracker_store.save(tracker)
        await message.output_channel.send_response(message.sender_id, dict(said))


class Server:
    def __init__(self, url: str, agent: Agent, session: aiohttp.ClientSession) -> None:
        self.url, self.agent, self.session = url, agent, session

    async def turn(
        self, message_id: str = "m1", *, token: str | None = TOKEN, **body: Any
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        request = {"sender": "s1", "message": "hi", "message_id": message_id, **body}
        async with self.session.post(f"{self.url}/webhook", json=request, headers=headers) as response:
            return response.status, await response.json()


class ManyTimesSanic(Sanic):
    """Sanic 21.12 rewrites its own methods at start, which works once in a process only."""

    rewritten = False

    async def _startup(self) -> None:
        if not ManyTimesSanic.rewritten:
            ManyTimesSanic.rewritten = True
            return await super()._startup()
        self.signalize()
        self.finalize()
        ErrorHandler.finalize(self.error_handler, config=self.config)


async def serve(agent: Agent) -> tuple[Any, str]:
    Sanic._app_registry.clear()
    app = ManyTimesSanic("kefu_channel_test", configure_logging=False)
    app.ctx.agent = agent
    app.blueprint(GatewayInput(TOKEN).blueprint(agent.handle_message), url_prefix="/webhooks/kefu")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = await app.create_server(sock=listener, return_asyncio_server=True, access_log=False)
    await server.startup()
    return server, f"http://127.0.0.1:{listener.getsockname()[1]}/webhooks/kefu"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    agent = Agent(InMemoryTrackerStore(Domain.empty()))
    running, url = await serve(agent)
    async with aiohttp.ClientSession() as session:
        yield Server(url, agent, session)
    running.close()


async def test_a_turn_answers_with_whole_replies(server: Server) -> None:
    status, answer = await server.turn(metadata={"channel": "web", "customer": "site:1"})

    assert status == 200
    assert answer["message_id"] == "m1"
    assert answer["replies"] == [{"text": "heard hi", "custom": {"kefu": {"receipts": ["r1"]}}}]
    assert server.agent.heard[0].metadata == {"channel": "web", "customer": "site:1", "message_id": "m1"}


async def test_duplicates_join_the_running_turn_and_find_the_finished_one(server: Server) -> None:
    server.agent.delay = 0.1
    answers = await asyncio.gather(*(server.turn() for _ in range(4)))
    answers.append(await server.turn())

    assert len(server.agent.heard) == 1 and all(answer == answers[0] for answer in answers)


async def test_a_caller_that_hangs_up_does_not_stop_the_turn(server: Server) -> None:
    server.agent.delay = 0.2
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(server.turn(), 0.05)
    status, answer = await server.turn()

    assert (status, len(server.agent.heard)) == (200, 1)
    assert answer["replies"][0]["text"] == "heard hi"


async def test_after_a_restart_the_replies_are_read_back_from_the_tracker(server: Server) -> None:
    _, first = await server.turn()
    await server.turn("m2", message="more")
    reborn = Agent(server.agent.tracker_store)
    running, url = await serve(reborn)
    again = Server(url, reborn, server.session)
    status, second = await again.turn(retry=True)
    running.close()

    assert status == 200 and second == first and reborn.heard == []


async def test_an_error_is_500_and_may_be_tried_again(server: Server) -> None:
    server.agent.error = ValueError("broken inside")
    status, answer = await server.turn()
    server.agent.error = None

    assert (status, answer) == (500, {"error": "turn_failed"})
    assert (await server.turn())[0] == 200


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x"])
async def test_without_the_token_nothing_is_heard(server: Server, token: str | None) -> None:
    assert (await server.turn(token=token))[0] == 401
    assert server.agent.heard == []


@pytest.mark.parametrize(
    "body", [{"sender": ""}, {"sender": 5}, {"message_id": ""}, {"message": 7}, {"metadata": [1]}]
)
async def test_a_request_that_does_not_fit_is_400_and_says_why(server: Server, body: dict[str, Any]) -> None:
    status, answer = await server.turn(**{"message_id": "m1", **body})

    assert status == 400 and next(iter(body)) in answer["detail"]


async def test_while_the_model_loads_the_answer_is_503(server: Server) -> None:
    server.agent.ready = False
    assert (await server.turn())[0] == 503


async def test_only_a_flagged_text_is_a_payload(server: Server) -> None:
    await server.turn("m1", message="/restart")
    await server.turn("m2", message="/refund{}", payload=True)
    await server.turn("m3", message="")

    assert [message.text for message in server.agent.heard] == ["／restart", "/refund{}", ""]


@pytest.mark.parametrize(
    ("text", "heard"), [("/a", "／a"), ("  /a", "／a"), ("\u3000/a", "／a"), ("a/b", "a/b"), ("", "")]
)
def test_a_leading_slash_is_made_harmless(text: str, heard: str) -> None:
    assert heard == harmless(text)
    assert not harmless(text).strip().startswith("/")


def test_a_turn_ends_where_the_next_message_begins() -> None:
    events = [
        UserUttered("a", metadata={"message_id": "1"}), BotUttered("A"), ActionExecuted("action_listen"),
        UserUttered("b", metadata={"message_id": "2"}), BotUttered("B"), BotUttered(None, {"image": "i"}),
        UserUttered("c", metadata={"message_id": "3"}),
    ]  # fmt: skip

    assert replies_of(events, "1") == [{"text": "A"}]
    assert replies_of(events, "2") == [{"text": "B"}, {"image": "i"}]
    assert replies_of(events, "3") == [] and replies_of(events, "4") is None
    assert reply_of({"text": None, "buttons": []}) == {}


@pytest.mark.parametrize("credentials", [None, {}, {"token": ""}, {"token": "${KEFU_DIALOGUE_TOKEN}"}])
def test_a_channel_without_a_token_does_not_start(credentials: dict[str, Any] | None) -> None:
    with pytest.raises(RasaException, match="KEFU_DIALOGUE_TOKEN"):
        GatewayInput.from_credentials(credentials)


async def test_a_turn_says_what_was_understood_and_which_policy_chose_which_action(server: Server) -> None:
    """Read from the tracker, so that a repeated question after a restart gets the same explanation."""
    _, answer = await server.turn()
    _, again = await server.turn()

    assert answer["explain"]["actions"] == [{"action": "action_listen", "by": None}]
    assert again == answer


def test_the_explanation_of_a_turn_names_kinds_of_entities_and_no_values() -> None:
    events = [
        UserUttered("before", {"name": "greet", "confidence": 1.0}, metadata={"message_id": "m0"}),
        ActionExecuted("action_listen"),
        UserUttered(
            "refund 2025001 please",
            {"name": "refund_request", "confidence": 0.91234},
            [{"entity": "order_number", "value": "2025001"}],
            {
                "intent_ranking": [
                    {"name": "refund_request", "confidence": 0.91234},
                    {"name": "greet", "confidence": 0.05},
                ]
            },
            metadata={"message_id": "m1"},
        ),
        ActionExecuted("refund_form", "RulePolicy", 1.0),
        UserUttered("after", {"name": "bye", "confidence": 1.0}, metadata={"message_id": "m2"}),
        ActionExecuted("utter_bye", "RulePolicy", 1.0),
    ]
    why = explain_turn(events, "m1", "models/abc.tar.gz")

    assert why == {
        "intent": "refund_request",
        "score": 0.9123,
        "ranking": [["refund_request", 0.9123], ["greet", 0.05]],
        "entities": ["order_number"],
        "actions": [{"action": "refund_form", "by": "RulePolicy", "confidence": 1.0}],
        "versions": {"dialogue": "models/abc.tar.gz"},
    }
    assert explain_turn(events, "m9", "x") == {}
