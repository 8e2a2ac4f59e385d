"""The demo shop over HTTP: neutral answers, one write per key, masked proof material, the page."""

import asyncio
import json
import os
import re
import sys
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import aiohttp
import jwt
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bot.exceptions import OrderRefused, ProofRejected, StaleOrder
from bot.orders.client import OrderClient
from bot.orders.models import Operation, ProofKind
from bot.orders.shop.app import make_app
from bot.orders.shop.help import PATH as HELP
from bot.orders.shop.masking import mask_email, mask_phone
from bot.orders.shop.page import language
from bot.orders.shop.samples import SAMPLES, order_number, sample
from bot.orders.shop.store import Store, normal_number
from bot.settings import KnowledgeSettings, Settings
from tests.bot.orders.conftest import API_KEY, shop_settings

AUTH = {"Authorization": f"Bearer {API_KEY}"}
REFUND = {"lines": [{"line_id": "L1", "quantity": 1}], "reason": "changed_mind"}


async def raw(shop, method, path, body=None, headers=AUTH):
    """Status, headers and bytes, past the client."""
    data = None if body is None else json.dumps(body)
    sent = dict(headers) | ({"Content-Type": "application/json"} if body is not None else {})
    async with shop.session.request(method, shop.url + path, data=data, headers=sent) as response:
        return response.status, response.headers, await response.read()


async def writing(shop, name, **more):
    """Headers for a write on a well-known order, and its path."""
    known = sample(name)
    body = {"kind": "channel_account", "value": f"site:{known.customer_id}"}
    _, _, answer = await raw(shop, "POST", "/v1/proofs", body)
    headers = {"X-Proof": json.loads(answer)["token"], "Idempotency-Key": "key-00000001", "If-Match": '"1"'}
    return f"/v1/orders/{known.number}", AUTH | headers | more


async def test_a_refused_proof_reads_the_same_whether_the_order_exists_or_not(shop):
    known = sample("refund_paid")
    bodies = [
        {"kind": kind, "value": value, "order_number": number}
        for number in (known.number, order_number("nobody's"), "x", "号")
        for kind, value in (
            ("phone_tail", "0000"),
            ("email", "a@b.c"),
            ("postcode", "1"),
            ("phone_tail", "-"),
        )
    ]
    bodies.append({"kind": "channel_account", "value": "site:C9999"})
    answers = [await raw(shop, "POST", "/v1/proofs", body) for body in bodies]

    assert {403} == {status for status, _, _ in answers}
    assert 1 == len({content for _, _, content in answers})
    assert 1 == len({tuple(sorted(set(headers) - {"Date"})) for _, headers, _ in answers})


async def test_somebody_elses_order_and_no_order_read_the_same(shop):
    _, headers = await writing(shop, "refund_paid")
    other, nobody = sample("return_day3_en").number, order_number("nobody's")
    reads = [await raw(shop, "GET", f"/v1/orders/{number}", None, headers) for number in (other, nobody)]
    writes = [
        await raw(shop, "POST", f"/v1/orders/{number}/refund", REFUND, headers) for number in (other, nobody)
    ]

    for answers in (reads, writes):
        assert [404, 404] == [status for status, _, _ in answers]
        assert answers[0][2] == answers[1][2]


async def test_proof_material_never_leaves_the_shop(client):
    """Not one answer holds the phone's tail, the e-mail or the postcode that would open an order."""
    for known in SAMPLES:
        grant = await client.prove(ProofKind.CHANNEL_ACCOUNT, f"site:{known.customer_id}")
        order = await client.get_order(known.number, grant)

        assert "" == order.address.postcode
        assert not order.address.phone.endswith(known.phone_tail)
        assert known.email not in order.model_dump_json()
        assert known.email not in grant.model_dump_json()


async def test_an_invoices_address_is_masked_too(client, opened):
    order, grant = await opened("invoice_delivered")
    body = {"kind": "personal", "title": "Sofia Chen", "email": "sofia.chen@example.com"}
    await client.write(
        Operation.SEND_INVOICE,
        order.number,
        body,
        key="key-00000001",
        version=order.version,
        grant=grant,
    )

    after = await client.get_order(order.number, grant)

    assert "s***@example.com" == after.invoice.email


@pytest.mark.parametrize("without", ["Idempotency-Key", "If-Match"])
async def test_a_write_without_its_preconditions_is_not_taken(shop, without):
    path, headers = await writing(shop, "refund_paid")
    del headers[without]

    status, _, content = await raw(shop, "POST", f"{path}/refund", REFUND, headers)

    assert (428, "missing_precondition") == (status, json.loads(content)["code"])
    assert [] == (await shop.state())["writes"]


@pytest.mark.parametrize(
    ("header", "value"),
    [("If-Match", "1"), ("If-Match", "*"), ("If-Match", 'W/"1"'), ("Idempotency-Key", "short")],
)
async def test_a_precondition_of_another_shape_is_named(shop, header, value):
    path, headers = await writing(shop, "refund_paid", **{header: value})

    status, _, content = await raw(shop, "POST", f"{path}/refund", REFUND, headers)

    assert (400, [header]) == (status, json.loads(content)["fields"])


@pytest.mark.parametrize(
    "body",
    [
        {"lines": []},
        {"lines": [{"line_id": "L1", "quantity": 0}]},
        {"lines": [{"line_id": "L1", "quantity": "1"}]},
        {"lines": [{"line_id": "L1", "quantity": 1, "price": 1}]},
        {"lines": [{"line_id": "L1", "quantity": 1}], "amuont": 1},
        {"lines": [{"line_id": "L1", "quantity": 1}, {"line_id": "L1", "quantity": 1}]},
        {"lines": [{"line_id": "L1", "quantity": 1}], "reason": "a\x00b"},
        [],
        "text",
    ],
)
async def test_a_body_of_another_shape_is_invalid_and_its_values_are_not_repeated(shop, body):
    path, headers = await writing(shop, "refund_paid")

    status, _, content = await raw(shop, "POST", f"{path}/refund", body, headers)

    assert (400, "invalid") == (status, json.loads(content)["code"])
    assert b"text" not in content


async def test_the_same_key_writes_once_however_its_body_is_ordered(shop):
    path, headers = await writing(shop, "refund_paid")
    backwards = dict(reversed(REFUND.items()))
    first = await raw(shop, "POST", f"{path}/refund", REFUND, headers)
    again = await raw(shop, "POST", f"{path}/refund", backwards, headers)
    other = await raw(shop, "POST", f"{path}/refund", REFUND | {"reason": "late"}, headers)
    elsewhere = await raw(shop, "POST", f"{path}/cancel", {}, headers)

    assert [201, 200, 422, 422] == [first[0], again[0], other[0], elsewhere[0]]
    assert first[2] == again[2]
    assert 1 == len((await shop.state())["writes"])


async def test_twenty_at_once_with_one_key_write_once(shop):
    path, headers = await writing(shop, "refund_paid")

    answers = await asyncio.gather(*(raw(shop, "POST", f"{path}/refund", REFUND, headers) for _ in range(20)))

    assert [200] * 19 + [201] == sorted(status for status, _, _ in answers)
    assert 1 == len({content for _, _, content in answers})


async def test_ten_at_once_with_their_own_keys_write_once(shop):
    """All were planned on the same version: the first one makes the others stale."""
    path, headers = await writing(shop, "return_day3")

    answers = await asyncio.gather(
        *(
            raw(shop, "POST", f"{path}/return", REFUND, headers | {"Idempotency-Key": f"key-{at:08d}"})
            for at in range(10)
        )
    )

    assert [201] + [412] * 9 == sorted(status for status, _, _ in answers)
    assert 1 == len((await shop.state())["receipts"])


async def test_the_last_piece_is_sold_once(shop, client, opened):
    order, grant = await opened("exchange_size")
    assert 204 == await shop.post("/_stock/P1002-03", {"quantity": 1})
    body = {"lines": [{"line_id": "L1", "quantity": 1, "variant_id": "P1002-03"}], "reason": "wrong_size"}
    await client.write(Operation.EXCHANGE, order.number, body, key="key-00000001", version=1, grant=grant)

    other, theirs = await opened("return_day3")
    assert 0 == (await shop.state())["stock"]["P1002-03"]
    with pytest.raises(OrderRefused) as caught:
        await client.write(
            Operation.EXCHANGE,
            other.number,
            {"lines": [{"line_id": "L1", "quantity": 1, "variant_id": "P1002-03"}]},
            key="key-00000002",
            version=1,
            grant=theirs,
        )
    assert "unknown_variant" == caught.value.code  # of another product

    sold_out, grant = await opened("exchange_out_of_stock")
    body = {"lines": [{"line_id": "L1", "quantity": 1, "variant_id": "P1009-01"}]}
    with pytest.raises(OrderRefused) as caught:
        await client.write(
            Operation.EXCHANGE, sold_out.number, body, key="key-00000003", version=1, grant=grant
        )
    assert "out_of_stock" == caught.value.code


async def test_an_order_changed_from_outside_makes_a_plan_stale(shop, client, opened):
    order, grant = await opened("cancel_paid")
    assert 200 == await shop.post(f"/_orders/{order.number}", {"state": "shipped"})

    with pytest.raises(StaleOrder):
        await client.write(Operation.CANCEL, order.number, {}, key="key-00000001", version=1, grant=grant)
    with pytest.raises(OrderRefused) as caught:
        await client.write(Operation.CANCEL, order.number, {}, key="key-00000001", version=2, grant=grant)

    assert "wrong_state" == caught.value.code


async def test_a_price_drop_is_paid_back_once(client, opened):
    order, grant = await opened("price_drop")
    body = {"lines": [{"line_id": "L1"}], "amount": {"amount": 16000, "currency": "CNY"}}
    receipt = await client.write(
        Operation.PRICE_PROTECTION, order.number, body, key="key-00000001", version=1, grant=grant
    )

    with pytest.raises(OrderRefused) as caught:
        await client.write(
            Operation.PRICE_PROTECTION,
            order.number,
            {"lines": [{"line_id": "L1"}]},
            key="key-00000002",
            version=2,
            grant=grant,
        )

    assert 16000 == receipt.amount.amount
    assert "no_price_drop" == caught.value.code


async def test_the_back_door_is_closed_unless_it_is_opened(tmp_path, aiohttp_client):
    settings = Settings(shop={"api_key": API_KEY})
    client = await aiohttp_client(make_app(settings, database=tmp_path / "shop.db"))

    for method, path in (("POST", "/_faults"), ("GET", "/_state"), ("POST", "/_reset"), ("POST", "/_clock")):
        async with client.request(method, path, json={}) as response:
            assert 404 == response.status


async def test_reset_brings_everything_back(shop, client, opened):
    before = await shop.state()
    order, grant = await opened("refund_paid")
    await client.write(Operation.REFUND, order.number, REFUND, key="key-00000001", version=1, grant=grant)
    await shop.post("/_reset", {})

    assert before == await shop.state()
    with pytest.raises(ProofRejected):  # grants are gone as well
        await client.get_order(order.number, grant)


async def test_what_was_written_survives_a_restart_and_a_new_day_renews_only_untouched_data(tmp_path):
    day, path = date(2026, 5, 1), tmp_path / "shop.db"

    async def start(today):
        store = Store(path, seed=1, today=lambda: today)
        return store, await store.open()

    found = []
    for today in (day, day, day + timedelta(days=1)):
        store, what = await start(today)
        found.append(what)
        await store.close()
    assert ["new", "kept", "renewed"] == found

    runner = web.AppRunner(make_app(shop_settings(), database=path, today=day + timedelta(days=1)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with OrderClient(url, API_KEY) as client:
        known = sample("cancel_paid")
        grant = await client.prove(ProofKind.PHONE_TAIL, known.phone_tail, order_number=known.number)
        receipt = await client.write(
            Operation.CANCEL, known.number, {}, key="key-00000001", version=1, grant=grant
        )
    await runner.cleanup()

    store, what = await start(day + timedelta(days=2))
    assert ("old", receipt) == (what, await store.receipt("key-00000001"))
    await store.close()


async def test_the_page_shows_what_shoppers_know_and_signs_them_in(shop):
    _, headers, content = await raw(shop, "GET", "/?lang=en")
    text = content.decode()
    links = re.findall(r'href="([^"]*identity=[^"]*)"', text)
    secret = shop_settings().sites["demo"].secret
    token = parse_qs(urlsplit(links[0].replace("&amp;", "&")).query)["identity"][0]

    claims = jwt.decode(token, secret, algorithms=["HS256"], audience="demo")

    assert "no-store" == headers["Cache-Control"]
    assert len(SAMPLES) == len(links)
    assert all(known.number in text and known.phone_tail in text for known in SAMPLES)
    assert {known.customer_id for known in SAMPLES} >= {claims["sub"]}
    assert claims["exp"] - claims["iat"] <= 3600
    assert datetime.fromtimestamp(claims["exp"], UTC) > datetime.now(UTC)
    assert {"alg": "HS256", "typ": "JWT", "kid": "demo"} == jwt.get_unverified_header(token)
    assert "Chat as this customer" in text and "以这位顾客聊天" not in text


@pytest.mark.parametrize(
    ("asked", "accepted", "expected"),
    [
        (None, "en-GB,en;q=0.9", "en"),
        (None, "fr-FR, zh-CN;q=0.7", "zh"),
        (None, "", "zh"),
        ("en", "zh-CN", "en"),
        ("xx", "en", "en"),
    ],
)
def test_the_page_speaks_the_visitors_language(asked, accepted, expected):
    assert expected == language(asked, accepted)


@given(st.text("0123456789", min_size=7, max_size=15))
def test_a_masked_phone_keeps_its_length_and_hides_its_tail(phone):
    masked = mask_phone(phone)

    assert len(phone) == len(masked)
    assert not masked.endswith(phone[-4:])


@given(st.emails())
def test_a_masked_address_shows_one_letter_of_the_name(address):
    name, _, domain = address.partition("@")

    assert f"{name[0]}***@{domain}" == mask_email(address)


@pytest.mark.parametrize(
    "typed",
    [
        "8176 2229 5985 65996",
        "#81762229598565996",
        "８１７６２２２９５９８５６５９９６",
        "8176-2229598565996",
    ],
)
def test_a_number_is_found_however_it_is_typed(typed):
    assert sample("status_shipped").number == normal_number(typed)


async def test_unknown_paths_methods_and_keys_are_problems(shop):
    answers = {
        404: await raw(shop, "GET", "/v1/nothing"),
        405: await raw(shop, "DELETE", "/v1/proofs"),
        401: await raw(shop, "GET", "/v1/products", headers={"Authorization": "Bearer wrong"}),
        415: await raw(shop, "POST", "/v1/proofs", headers=AUTH | {"Content-Type": "text/plain"}),
        413: await raw(shop, "POST", "/v1/proofs", {"value": "x" * 70_000}),
    }

    for expected, (status, headers, content) in answers.items():
        assert expected == status == json.loads(content)["status"]
        assert headers["Content-Type"].startswith("application/problem+json")


async def test_a_taken_port_is_said_in_one_line_with_its_remedy(shop, tmp_path):
    port = str(urlsplit(shop.url).port)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bot.cli", "shop", "--port", port),
        env=os.environ | {"KEFU_DATA_DIR": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()

    assert 1 == process.returncode
    assert f"cannot listen on 127.0.0.1:{port}" in said.decode() and "--port" in said.decode()
    assert "Traceback" not in said.decode()


async def test_health_needs_no_key(shop):
    async with aiohttp.ClientSession() as session, session.get(f"{shop.url}/health") as response:
        assert {"status": "ok"} == await response.json()


@pytest.fixture
def articles(tmp_path):
    folder = tmp_path / "articles"
    folder.mkdir()
    (folder / "zh.md").write_text(
        "---\nid: returns\nlanguage: zh\n---\n# 退货\n## 期限 {#days}\n签收后 **7 天** 内。<script>alert(1)</script>\n",
        encoding="utf-8",
    )
    (folder / "en.md").write_text(
        "---\nid: gifts\nlanguage: en\n---\n# Gifts\n## Wrapping\n| paper | price |\n|---|---|\n| red | 2 |\n[evil](javascript:alert(1))\n",
        encoding="utf-8",
    )
    return folder


async def test_a_citation_leads_to_its_section(articles, tmp_path, aiohttp_client):
    settings = shop_settings().model_copy(update={"knowledge": KnowledgeSettings(path=articles)})
    client = await aiohttp_client(make_app(settings, database=tmp_path / "shop.db"))
    page = await client.get(HELP.format(article="returns", language="zh", anchor="days"))
    text = await page.text()
    other = await (await client.get("/help/gifts?lang=zh")).text()  # not translated
    missing = await client.get("/help/nothing")

    assert 200 == page.status and "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert 'id="days"' in text and "<strong>7 天</strong>" in text
    assert "<script>" not in text and "&lt;script&gt;" in text
    assert 'lang="en"' in other and "<td>red</td>" in other and 'href="javascript' not in other
    assert 404 == missing.status

    (articles / "zh.md").write_text(
        "---\nid: returns\nlanguage: zh\n---\n# 退货\n## 期限\n9 天。\n", encoding="utf-8"
    )
    assert "9 天" in await (await client.get("/help/returns?lang=zh")).text()
