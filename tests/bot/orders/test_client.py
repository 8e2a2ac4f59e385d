"""The client against a real demo shop with faults: one write per key, whatever the network does."""

import asyncio
import logging

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.exceptions import (
    OrderError,
    OrderRefused,
    OutcomeUnknown,
    ProofExpired,
    ProofRejected,
    ShopUnavailable,
    StaleOrder,
)
from bot.orders.client import OrderClient
from bot.orders.models import Operation, OrderState, ProofKind
from bot.orders.shop.samples import order_number, sample

REFUND = {"lines": [{"line_id": "L1", "quantity": 1}], "reason": "changed_mind"}


async def refund(client, order, grant, key="key-00000001", body=REFUND, version=None):
    return await client.write(
        Operation.REFUND, order.number, body, key=key, version=version or order.version, grant=grant
    )


async def test_a_refund_is_written_and_its_receipt_can_be_read_back(shop, client, opened):
    order, grant = await opened("refund_paid")

    receipt = await refund(client, order, grant)

    assert order.total == receipt.amount
    assert receipt == await client.receipt("key-00000001")
    state = await shop.state()
    assert 1 == len(state["writes"]) == len(state["receipts"])
    assert "cancelled" == state["orders"][order.number]["state"]


async def test_an_unknown_key_has_no_receipt(client):
    assert await client.receipt("never-used-key") is None


@pytest.mark.parametrize("kind", ["cut_after_commit", "error_after_commit", "duplicate", "garbage"])
async def test_a_write_whose_answer_is_lost_is_written_once_and_known(shop, client, opened, kind):
    order, grant = await opened("refund_paid")
    # garbage answers instead of writing: nothing stands behind it, so the outcome stays unknown
    await shop.fault("refund", kind)

    if kind == "garbage":
        with pytest.raises(OutcomeUnknown):
            await refund(client, order, grant)
    else:
        receipt = await refund(client, order, grant)
        assert receipt.key == "key-00000001"

    assert (0 if kind == "garbage" else 1) == len((await shop.state())["writes"])


@pytest.mark.parametrize("kind", ["cut_before_commit", "error_5xx"])
async def test_a_write_that_did_not_arrive_is_tried_again_with_the_same_key(shop, client, opened, kind):
    order, grant = await opened("refund_paid")
    await shop.fault("refund", kind, times=2)

    receipt = await refund(client, order, grant)

    state = await shop.state()
    assert [receipt.key] == [write["key"] for write in state["writes"]]
    assert 2 == state["faults"][kind]


async def test_when_every_answer_of_a_write_is_late_its_receipt_tells(shop, opened):
    order, grant = await opened("refund_paid")
    await shop.fault("refund", "latency_after_commit", times=2, delay=1)
    async with OrderClient(shop.url, "key-of-the-test", timeout=0.3, attempts=2) as hasty:
        receipt = await refund(hasty, order, grant)

    assert "key-00000001" == receipt.key
    assert 1 == len((await shop.state())["writes"])


async def test_when_the_receipt_cannot_be_read_back_either_the_outcome_is_unknown(shop, client, opened):
    order, grant = await opened("refund_paid")
    await shop.fault("refund", "cut_after_commit", times=3)
    await shop.fault("receipt", "error_5xx", times=3)

    with pytest.raises(OutcomeUnknown):
        await refund(client, order, grant)

    assert await client.receipt("key-00000001") is not None  # later it can


async def test_a_write_still_on_its_way_is_not_called_unwritten(shop, opened):
    """A late shop has no receipt yet; the client must not take that for 'nothing happened'."""
    order, grant = await opened("refund_paid")
    await shop.fault("refund", "latency", delay=0.8)
    async with OrderClient(shop.url, "key-of-the-test", timeout=0.2, attempts=1) as hasty:
        with pytest.raises(OutcomeUnknown):
            await refund(hasty, order, grant)
        for _ in range(50):
            if (receipt := await hasty.receipt("key-00000001")) is not None:
                break
            await asyncio.sleep(0.1)

    assert receipt is not None


async def test_a_shop_that_answers_errors_only_has_written_nothing(shop, client, opened):
    order, grant = await opened("refund_paid")
    await shop.fault("refund", "error_5xx", times=3)

    with pytest.raises(ShopUnavailable):
        await refund(client, order, grant)

    assert [] == (await shop.state())["writes"]


async def test_nobody_listening_is_unavailable_for_reads_and_writes(client, opened, unused_tcp_port):
    order, grant = await opened("refund_paid")
    async with OrderClient(f"http://127.0.0.1:{unused_tcp_port}", "k", attempts=2) as lost:
        with pytest.raises(ShopUnavailable):
            await refund(lost, order, grant)
        with pytest.raises(ShopUnavailable):
            await lost.get_order(order.number, grant)
        with pytest.raises(ShopUnavailable):
            await lost.receipt("key-00000001")


async def test_an_order_that_changed_is_stale_and_nothing_is_written(shop, client, opened):
    order, grant = await opened("refund_paid")
    await shop.fault("refund", "stale")

    with pytest.raises(StaleOrder) as caught:
        await refund(client, order, grant)

    assert "stale_version" == caught.value.code
    assert [] == (await shop.state())["writes"]


async def test_a_refusal_caused_by_ones_own_lost_write_is_a_success(opened):
    """A shop that checks the version first refuses the repetition; the receipt shows who changed it."""
    calls = []

    async def write(request: web.Request) -> web.Response:
        calls.append("write")
        if len(calls) == 1:
            request.transport.abort()
            return web.Response()
        problem = {"type": "about:blank", "title": "stale", "status": 412, "code": "stale_version"}
        return web.json_response(problem, status=412)

    async def receipt(request: web.Request) -> web.Response:
        return web.json_response(
            {
                "id": "RC1",
                "operation": "refund",
                "order": "81",
                "key": request.match_info["key"],
                "at": "2026-01-01T00:00:00Z",
                "version": 2,
            }
        )

    app = web.Application()
    app.router.add_post("/v1/orders/{number}/refund", write)
    app.router.add_get("/v1/receipts/{key}", receipt)
    order, grant = await opened("refund_paid")
    async with TestServer(app) as server, OrderClient(str(server.make_url("")), "k") as client:
        found = await refund(client, order, grant)

    assert 2 == len(calls)
    assert "RC1" == found.id


async def test_the_same_key_for_another_body_is_refused(client, opened):
    order, grant = await opened("refund_paid")
    await refund(client, order, grant)

    with pytest.raises(OrderRefused) as caught:
        await refund(client, order, grant, body=REFUND | {"reason": "late"})

    assert "key_reused" == caught.value.code


async def test_a_wrong_proof_and_an_unknown_order_are_the_same_error(client):
    known = sample("refund_paid")
    errors = []
    for number, value in (
        (known.number, "0000"),
        (order_number("nobody's"), known.phone_tail),
        ("../x", "1"),
    ):
        with pytest.raises(ProofRejected) as caught:
            await client.prove(ProofKind.PHONE_TAIL, value, order_number=number)
        errors.append((str(caught.value), caught.value.code))

    assert 1 == len(set(errors))


async def test_a_grant_for_one_order_opens_no_other(client, opened):
    _, grant = await opened("refund_paid")
    other = sample("return_day3")  # the same customer's

    with pytest.raises(ProofRejected):
        await client.get_order(other.number, grant)
    with pytest.raises(ProofRejected):
        await client.write(Operation.CANCEL, other.number, {}, key="key-00000001", version=1, grant=grant)

    assert [sample("refund_paid").number] == [found.number for found in await client.find_orders(grant)]


@pytest.mark.parametrize("number", ["../receipts/key-00000001", "8%2F", "", "8 1", "8" * 65, "号"])
async def test_what_cannot_be_an_order_number_is_refused_like_a_wrong_proof(client, opened, number):
    _, grant = await opened("refund_paid")

    with pytest.raises(ProofRejected):
        await client.get_order(number, grant)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ProofKind.EMAIL, " Emma.Johnson@Example.com "),
        (ProofKind.POSTCODE, "94110"),
        (ProofKind.PHONE_TAIL, "０142"),
        (ProofKind.CHANNEL_ACCOUNT, "site:C1002"),
    ],
)
async def test_every_kind_of_proof_opens_its_order(client, kind, value):
    known = sample("return_day3_en")
    number = None if kind is ProofKind.CHANNEL_ACCOUNT else known.number

    grant = await client.prove(kind, value, order_number=number)

    assert known.number == (await client.get_order(known.number, grant)).number
    assert ("C1002", "Emma Johnson") == (grant.customer_id, grant.customer_name)


async def test_an_account_opens_all_orders_of_its_customer(client):
    grant = await client.prove(ProofKind.CHANNEL_ACCOUNT, "site:C1001")

    found = await client.find_orders(grant, limit=50)
    shipped = await client.find_orders(grant, state=OrderState.SHIPPED)

    assert {sample("return_day3").number, sample("cancel_unpaid").number} <= {one.number for one in found}
    assert sorted(found, key=lambda one: one.created_at, reverse=True) == found
    assert shipped and {OrderState.SHIPPED} == {one.state for one in shipped}


async def test_an_old_grant_is_expired_for_reads_and_writes(shop, client, opened):
    order, grant = await opened("refund_paid")
    await shop.post("/_clock", {"offset": 2 * 3600 + 1})

    with pytest.raises(ProofExpired):
        await client.get_order(order.number, grant)
    with pytest.raises(ProofExpired):
        await refund(client, order, grant)


async def test_requests_are_withdrawn_by_their_id(client, opened):
    order, grant = await opened("return_under_way")
    body = {"request_id": order.requests[0].id}

    receipt = await client.write(
        Operation.WITHDRAW_REQUEST,
        order.number,
        body,
        key="key-00000001",
        version=order.version,
        grant=grant,
    )

    assert order.requests[0].id == receipt.request_id == body["request_id"]
    after = await client.get_order(order.number, grant)
    assert ("withdrawn", 1) == (after.requests[0].status, after.lines[0].quantity_open)


async def test_a_missing_request_is_a_refusal_with_its_code(client, opened):
    order, grant = await opened("return_under_way")

    with pytest.raises(OrderRefused) as caught:
        await client.write(
            Operation.WITHDRAW_REQUEST,
            order.number,
            {"request_id": "RQ0"},
            key="key-00000001",
            version=order.version,
            grant=grant,
        )

    assert "request_not_found" == caught.value.code


async def test_products_are_found_in_both_languages_and_priced_in_a_currency(client):
    in_chinese = await client.search_products("跑步鞋")
    in_english = await client.search_products("running shoes")
    in_dollars = await client.get_product("P1101", currency="USD")

    assert "P1101" == in_chinese[0].id == in_english[0].id
    assert {"USD"} == {variant.price.currency for variant in in_dollars.variants}
    assert [] == await client.search_products("没有这种东西吧")


async def test_a_product_that_is_not_sold_is_not_found(client):
    with pytest.raises(OrderRefused) as caught:
        await client.get_product("../orders")

    assert "not_found" == caught.value.code


async def test_reads_are_tried_again(shop, client, opened):
    await shop.fault("get_order", "error_5xx")
    await shop.fault("prove", "cut_before_commit")

    order, _ = await opened("status_shipped")

    assert OrderState.SHIPPED == order.state


async def test_an_answer_of_another_shape_names_fields_and_no_values(shop, client, opened):
    _, grant = await opened("status_shipped")
    await shop.fault("get_order", "garbage")

    with pytest.raises(ShopUnavailable) as caught:
        await client.get_order(sample("status_shipped").number, grant)

    assert "bad_answer" == caught.value.code
    assert "world" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_wrong_key_is_the_shops_door_closed_and_says_where_to_look(shop):
    async with OrderClient(shop.url, "wrong") as client:
        with pytest.raises(ShopUnavailable, match=r"order_api\.api_key"):
            await client.search_products("x")


async def test_errors_and_logs_carry_neither_proof_nor_grant_nor_order_number(shop, client, opened, caplog):
    order, grant = await opened("refund_paid")
    known = sample("refund_paid")
    secrets = (known.number, known.phone_tail, known.email, grant.token, "key-of-the-test", "李娜")
    messages = []
    with caplog.at_level(logging.DEBUG, logger="bot"):
        await shop.fault("*", "error_5xx", times=1)
        for call in (
            client.prove(ProofKind.EMAIL, known.email + "x", order_number=known.number),
            client.get_order(sample("return_day3").number, grant),
            refund(client, order, grant, version=99),
        ):
            with pytest.raises(OrderError) as caught:
                await call
            messages.append(repr(caught.value))
        await shop.fault("get_order", "cut_before_commit", times=9)
        with pytest.raises(OrderError) as caught:
            await client.get_order(known.number, grant)
        messages += [repr(caught.value), repr(caught.value.__cause__)]

    said = "\n".join(messages) + caplog.text
    assert "trying" in caplog.text
    assert [] == [secret for secret in secrets if secret in said]


async def test_a_redirect_is_not_followed(opened):
    """A redirect would carry key and proof to another host."""
    order, grant = await opened("refund_paid")
    seen = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.path)
        raise web.HTTPTemporaryRedirect("/stolen")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", elsewhere)
    async with TestServer(app) as server, OrderClient(str(server.make_url("")), "k") as client:
        with pytest.raises(ShopUnavailable):
            await client.get_order(order.number, grant)

    assert "/stolen" not in seen
