"""Another delivery address before the parcel leaves."""

from __future__ import annotations

from actions.orders import hear_order, need_order
from actions.plans import act_on_consent, hear_consent, judge, propose
from actions.topic import Talk, TopicAction
from bot.addresses import read_address, read_recipient, whole_address
from bot.identity import ProofLevel
from bot.orders.models import Operation


class ModifyAddressForm(TopicAction):
    topic = "modify_address"
    intents = frozenset({"modify_address"})
    writes = True
    operations = (Operation.CHANGE_ADDRESS,)

    async def hear(self, talk: Talk) -> bool:
        heard = [hear_order(talk), self.hear_address(talk)]
        return any(heard) or hear_consent(talk)

    def hear_address(self, talk: Talk) -> bool:
        """A new address: the answer, or a correction over the plan."""
        turn, task = talk.turn, talk.task
        if not turn.fresh or turn.pressed:
            return False
        found = read_address(turn.text)
        if found is None:
            # Only who receives it, or on which phone: the place stays what it is.
            recipient = read_recipient(turn.text) if task.asked in (None, "address", "consent") else {}
            if not recipient:
                return False
            found = {**task.values.get("said_address", {}), **recipient}
        task.values["said_address"] = found
        task.plan = None
        return True

    async def steps(self, talk: Talk) -> None:
        order, grant = await need_order(talk, ProofLevel.WRITE)
        await act_on_consent(talk, grant)
        # Asked before the address is: nobody types it and is refused afterwards.
        decision = judge(talk, Operation.CHANGE_ADDRESS, order)
        if "said_address" not in talk.task.values:
            talk.ask("address", "ask_address")
        said = talk.task.values["said_address"]
        propose(talk, order, decision, {"address": whole_address(order.address.model_dump(), said)})
