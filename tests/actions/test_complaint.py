"""Anger sets the tone, a threat brings a person, and neither is taken for the other."""

from __future__ import annotations

from bot.generator.tone import COURTESY


async def test_an_angry_wish_is_acknowledged_once_and_carried_out(shopper):
    """The task goes on: a mood alone never hands over."""
    talk = shopper()
    await talk.say("气死我了，太差劲了，我要退货！！", "return_request")

    assert any(talk.text.startswith(word) for word in COURTESY["zh"]["angry"])
    assert talk.handoff is None and talk.loop == "return_goods_form"

    await talk.say("垃圾，骗子，订单号我哪知道", "complaint", confidence=0.3)
    assert not any(word in talk.text for word in COURTESY["zh"]["angry"]) and talk.handoff is None


async def test_thanks_at_the_beginning_are_answered(shopper):
    talk = shopper()
    await talk.say("thanks! also i want to return something", "return_request")

    assert talk.text.startswith(COURTESY["en"]["thanks"][0])


async def test_a_calm_wish_gets_no_courtesy(shopper):
    talk = shopper()
    await talk.say("i want to return something", "return_request")

    assert not any(talk.text.startswith(word) for kind in COURTESY["en"].values() for word in kind)


async def test_a_threat_in_the_middle_of_a_task_brings_a_person(shopper):
    """Whatever was asked: also where a number was."""
    talk = shopper()
    await talk.say("我要退款", "refund_request")
    await talk.say("再不退我就打12315", "complaint", confidence=1.0)

    assert talk.handoff is not None and talk.handoff["reason"] == "threat" and talk.loop is None


async def test_a_complaint_without_a_threat_gets_an_apology_first_and_a_person_the_second_time(shopper):
    talk = shopper()
    await talk.say("多媒体音箱的质量太差了", "complaint")
    assert talk.handoff is None

    await talk.say("你们就这样敷衍我吗", "complaint")
    assert talk.handoff is not None and talk.handoff["reason"] == "two_failures"
