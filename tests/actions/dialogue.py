"""A conversation with the real actions, without Rasa's server.

It keeps a tracker, follows the rules of `data/*.yml` and the loops the way Rasa's RulePolicy does, and fills
the responses of `domain.yml`. Understanding is left out on purpose: a test says which intent a sentence has,
so that it proves what the dialogue does with it. The shop, the policy and the guard are the real ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rasa_sdk import Action, Tracker
from rasa_sdk.events import FollowupAction
from rasa_sdk.executor import CollectingDispatcher
from rasa_sdk.interfaces import ActionExecutionRejection

from actions.answer import ActionAnswer
from actions.cancel_order import CancelOrderForm
from actions.complaint import ActionComplaint
from actions.exchange import ExchangeForm
from actions.fallback import ActionFallback
from actions.human import ActionHuman
from actions.invoice import InvoiceForm
from actions.modify_address import ModifyAddressForm
from actions.modify_order import ModifyOrderForm
from actions.order_status import OrderStatusForm
from actions.price_protection import PriceProtectionForm
from actions.refund import RefundForm, RefundStatusForm, WithdrawRequestForm
from actions.return_goods import ReturnGoodsForm
from actions.turn import Turn
from bot.claims import check_reply
from bot.message import Reply, with_opening
from bot.settings import PROJECT_ROOT

ACTIONS: tuple[type[Action], ...] = (
    OrderStatusForm,
    RefundForm,
    RefundStatusForm,
    WithdrawRequestForm,
    ReturnGoodsForm,
    ExchangeForm,
    CancelOrderForm,
    ModifyAddressForm,
    ModifyOrderForm,
    InvoiceForm,
    PriceProtectionForm,
    ActionHuman,
    ActionComplaint,
    ActionFallback,
)
ORDER_NUMBER = re.compile(r"(?<!\d)8\d{16}(?!\d)")
PAYLOAD = re.compile(r"^/(?P<intent>\w+)(?P<entities>\{.*\})?$", re.S)


class FixedAnswer(ActionAnswer):
    """An article instead of a search for one, which has tests of its own."""

    async def answer(
        self,
        dispatcher: CollectingDispatcher,
        tracker: Tracker,
        turn: Turn,
        question: str,
        form: str | None = None,
    ) -> list[Any]:
        dispatcher.utter_message(response="answer", answer="[article]")
        return [FollowupAction(form)] if form else []


@dataclass
class Said:
    """One message of the bot."""

    text: str
    buttons: list[dict[str, str]] = field(default_factory=list)
    kefu: dict[str, Any] = field(default_factory=dict)


def read_rules(folder: Path) -> dict[str, list[str]]:
    """intent -> the actions that follow it."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.yml")):
        # Only the rules: the examples above them are thousands of lines.
        text = path.read_text("utf-8")
        content = yaml.safe_load(text[text.index("\nrules:") :]) if "\nrules:" in text else {}
        for rule in content.get("rules", ()):
            steps = rule["steps"]
            if "condition" not in rule and "intent" in steps[0]:
                found[steps[0]["intent"]] = [step["action"] for step in steps[1:] if "action" in step]
    return found


DOMAIN: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "domain.yml").read_text("utf-8"))
RULES = read_rules(PROJECT_ROOT / "data")


class Dialogue:
    """One shopper talking."""

    def __init__(self, conversation: str = "c1", customer: str | None = None, source: str = "s1") -> None:
        self.conversation = conversation
        self.metadata: dict[str, Any] = {"channel": "web", "source": source, "customer": customer}
        self.slots: dict[str, Any] = {
            name: slot.get("initial_value") for name, slot in DOMAIN["slots"].items()
        }
        self.events: list[dict[str, Any]] = []
        self.loop: str | None = None
        self.rejected = False
        self.latest_action = "action_listen"
        self.followed: str | None = None
        self.said: list[Said] = []
        self.ran: list[str] = []
        self.clock = 1_000_000.0
        self.actions: dict[str, Action] = {action().name(): action() for action in ACTIONS}
        self.actions["action_answer"] = FixedAnswer()

    @property
    def text(self) -> str:
        """All that was said in the last turn."""
        return "\n".join(one.text for one in self.said)

    @property
    def buttons(self) -> list[str]:
        return [button["title"] for one in self.said for button in one.buttons]

    @property
    def receipts(self) -> list[str]:
        return [receipt for one in self.said for receipt in one.kefu.get("receipts", ())]

    @property
    def handoff(self) -> dict[str, Any] | None:
        return next((one.kefu["handoff"] for one in self.said if "handoff" in one.kefu), None)

    async def say(
        self,
        text: str,
        intent: str | None = "inform",
        *,
        confidence: float = 0.95,
        entities: dict[str, Any] | None = None,
        media: list[str] | None = None,
        ranking: list[tuple[str, float]] | None = None,
        wishes: list[tuple[str, str]] | None = None,
    ) -> Dialogue:
        """The shopper writes. Numbers of the demo shop and the language are found as the pipeline would.

        `wishes` are (intent, the part of the text that says it), in the order they are said.
        """
        found: list[dict[str, Any]] = [
            {"entity": "order_number", "value": match[0], "start": match.start(), "end": match.end()}
            for match in ORDER_NUMBER.finditer(text)
        ]
        found += [{"entity": name, "value": value} for name, value in (entities or {}).items()]
        if re.search(r"[\u3400-\u9fff]", text):
            self.slots["language"] = "zh"
        elif re.search(r"[A-Za-z]{2}", re.sub(r"\S+@\S+", "", text)):
            self.slots["language"] = "en"
        ranking = ranking or [(intent or "", confidence)]
        starts = [text.index(part) for _, part in wishes or ()]
        parts = [
            {
                "intent": name,
                "confidence": 0.95,
                "start": start,
                "end": end,
                "text": text[start:end].strip(),
                "added": re.match(r"另外|还有|顺便|再|and |also ", part) is not None,
            }
            for (name, part), start, end in zip(wishes or (), starts, [*starts[1:], len(text)], strict=False)
        ]
        await self._turn(text, intent, confidence, found, ranking, media or [], parts)
        return self

    async def press(self, title: str) -> Dialogue:
        """The shopper presses a button of the last turn, found by (the beginning of) its title."""
        payload = next(
            button["payload"]
            for one in self.said
            for button in one.buttons
            if button["title"].startswith(title)
        )
        return await self.send(payload)

    async def send(self, payload: str) -> Dialogue:
        """A payload the gateway issued, however long ago."""
        match = PAYLOAD.match(payload)
        assert match, payload
        entities = json.loads(match["entities"] or "{}")
        found = [{"entity": name, "value": value} for name, value in entities.items()]
        await self._turn(payload, match["intent"], 1.0, found, [(match["intent"], 1.0)], [])
        return self

    async def _turn(
        self,
        text: str,
        intent: str | None,
        confidence: float,
        entities: list[dict[str, Any]],
        ranking: list[tuple[str, float]],
        media: list[str],
        wishes: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.clock += 10
        self.said, self.ran = [], []
        self.latest_message = {
            "text": text,
            "intent": {"name": intent, "confidence": confidence},
            "entities": entities,
            "intent_ranking": [{"name": name, "confidence": sure} for name, sure in ranking],
            "wishes": list(wishes),
        }
        metadata = self.metadata | {"media": [{"media_id": one, "kind": "image"} for one in media]}
        event = {"event": "user", "text": text, "timestamp": self.clock, "metadata": metadata}
        self.events.append(event | {"parse_data": self.latest_message})
        self.latest_action = "action_listen"
        rule = list(RULES.get(intent or "", ["action_fallback"]))
        for _ in range(10):
            name = self._next(rule)
            if name is None:
                return
            rule = await self._run(name, rule)
        raise AssertionError(f"the turn does not end: {self.ran}")

    def _next(self, rule: list[str]) -> str | None:
        """RulePolicy: a loop that has not rejected comes first, then the rule, then the loop once more."""
        if self.followed is not None:
            followed, self.followed = self.followed, None
            return None if followed == "action_listen" else rule.pop(0)
        if self.loop and not self.rejected:
            return None if self.latest_action == self.loop else self.loop
        if rule:
            return rule.pop(0)
        return self.loop if self.loop and self.rejected and self.latest_action != self.loop else None

    async def _run(self, name: str, rule: list[str]) -> list[str]:
        if name.startswith("utter_"):
            self._speak({"response": name})
            self._note(name)
            return rule
        dispatcher = CollectingDispatcher()
        tracker = Tracker(
            self.conversation,
            dict(self.slots),
            self.latest_message,
            list(self.events),
            False,
            None,
            {"name": self.loop} if self.loop else {},
            self.latest_action,
        )
        action = self.actions[name]
        try:
            result = action.run(dispatcher, tracker, DOMAIN)
            events = await result if hasattr(result, "__await__") else result
        except ActionExecutionRejection:
            assert name == self.loop, f"{name} rejected outside its loop"
            self.rejected = True
            return rule
        if name == self.loop:
            rule = []  # the loop took the message: the rule of its intent no longer applies
        self._note(name)
        for message in dispatcher.messages:
            self._speak(message)
        for event in events:
            self.events.append(dict(event))
            if event["event"] == "slot":
                json.dumps(event["value"])  # what cannot be stored in a tracker is a mistake here
                if event["name"] in self.slots or event["name"] == "requested_slot":
                    self.slots[event["name"]] = event["value"]
                else:
                    raise AssertionError(f"the domain has no slot {event['name']}")
            elif event["event"] == "active_loop":
                if event["name"] != self.loop:
                    self.rejected = False
                self.loop = event["name"]
            elif event["event"] == "followup":
                rule = [] if event["name"] == "action_listen" else [event["name"]]
                self.followed = event["name"]
        return rule

    def _note(self, name: str) -> None:
        self.ran.append(name)
        self.events.append({"event": "action", "name": name, "timestamp": self.clock})
        self.latest_action = name
        if name == self.loop:
            self.rejected = False

    def _speak(self, message: dict[str, Any]) -> None:
        response = DOMAIN["responses"][message["response"]]
        chosen = next(
            (
                one
                for one in response
                if any(c["value"] == self.slots["language"] for c in one.get("condition", ()))
            ),
            next(one for one in response if "condition" not in one),
        )
        text = re.sub(r"\{(\w+)\}", lambda match: str(message[match[1]]), chosen["text"])
        kefu = dict((message.get("custom") or {}).get("kefu", {}))
        if opening := kefu.pop("opening", ""):
            text = with_opening(opening, text)
        buttons = [*chosen.get("buttons", ()), *(message.get("buttons") or ())]
        # The gateway sends nothing that claims an action without its receipt, so neither may we say it.
        check_reply(Reply(text=text, buttons=buttons, **kefu))
        self.said.append(Said(text, buttons, kefu))
        self.events.append(
            {"event": "bot", "text": text, "timestamp": self.clock, "data": {"custom": {"kefu": kefu}}}
        )
