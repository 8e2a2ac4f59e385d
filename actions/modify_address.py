"""Another delivery address before the parcel leaves."""

from __future__ import annotations

from actions.orders import hear_order, need_order
from actions.plans import act_on_consent, hear_consent, judge, propose
from actions.topic import Talk, TopicAction
from bot.addresses import correct_address, read_address, read_door, read_recipient, whole_address, with_door
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
        said = task.values.get("said_address", {})
        open_ = task.asked in (None, "address", "consent")
        found = read_address(turn.text)
        if found is None and open_ and "street" not in said and (door := read_door(turn.text)):
            # Which number of the order's street is meant is seen once the order is read.
            task.values["said_door"] = door
        elif found is None and not (open_ and (said or read_recipient(turn.text))):
            return False
        else:
            # Only what is named changes: a new phone keeps the place, a new street its town.
            corrected = correct_address(said, turn.text)
            if corrected is None:
                return False
            task.values["said_address"] = corrected
            if "street" in corrected:
                task.values.pop("said_door", None)
        task.plan = None
        return True

    async def steps(self, talk: Talk) -> None:
        order, grant = await need_order(talk, ProofLevel.WRITE)
        await act_on_consent(talk, grant)
        # Asked before the address is: nobody types it and is refused afterwards.
        decision = judge(talk, Operation.CHANGE_ADDRESS, order)
        values = talk.task.values
        said = dict(values.get("said_address", {}))
        if "said_door" in values:
            street = with_door(order.address.street, values["said_door"])
            if street is None:
                values.pop("said_door")  # not clear what of the street it corrects
                talk.ask("address", "ask_address")
            said["street"] = street
        if not said:
            talk.ask("address", "ask_address")
        propose(talk, order, decision, {"address": whole_address(order.address.model_dump(), said)})
