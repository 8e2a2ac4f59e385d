"""Addresses in a shopper's own words; no street, no address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.addresses import correct_address, read_address, read_door, read_recipient, whole_address, with_door
from bot.orders.models import Address


def test_a_full_chinese_address_with_recipient_and_phone() -> None:
    found = read_address("王芳 13800001111 浙江省杭州市西湖区文三路 1 号 2 幢 301 室")

    assert found == {
        "name": "王芳",
        "phone": "13800001111",
        "country": "CN",
        "province": "浙江省",
        "city": "杭州市",
        "district": "西湖区",
        "street": "文三路1号2幢301室",
    }


@pytest.mark.parametrize("intro", ["改成", "地址改为", "帮我寄到", "新地址：", "收货地址是"])
def test_what_introduces_an_address_is_no_part_of_it(intro: str) -> None:
    found = read_address(f"{intro}上海市徐汇区天平路88号")

    assert found is not None
    assert ("上海市", "上海市", "徐汇区", "天平路88号") == (
        found["province"],
        found["city"],
        found["district"],
        found["street"],
    )


def test_a_street_alone_keeps_the_city() -> None:
    found = read_address("门牌写错了，应该是文三路 12 号") or {}

    assert "city" not in found


@pytest.mark.parametrize(
    ("text", "street", "city", "postcode"),
    [
        ("12 Green Street, Bristol, BS1 4DJ", "12 Green Street", "Bristol", "BS1 4DJ"),
        ("Please ship it to 5 Oak Ave, Portland, OR 97201, USA", "5 Oak Ave", "Portland", "97201"),
        ("my new address is Flat 2, 8 Mill Lane, Leeds", "Flat 2, 8 Mill Lane", "Leeds", None),
    ],
)
def test_english_addresses(text: str, street: str, city: str, postcode: str | None) -> None:
    found = read_address(text)

    assert found is not None
    assert (street, city, postcode) == (found["street"], found.get("city"), found.get("postcode"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "嗯",
        "改地址",
        "改一下收货地址 81000789054714359，尾号2046",
        "订单号 81000789054714359 地址填错了",
        "我不知道这里怎么改",
        "我在路上",
        "change it please",
        "12345",
        "什么时候发货",
        "杭州",
        "哈" * 5000,
        "请问我的订单是不是已经在发往乌鲁木齐的路上?",
        "问一下，我刚买的平板如果想退货的话怎么弄?",
        "他那个显示的是十一号可以送到可以吗",
        "已经到了上海的路边了吗",
    ],
)
def test_what_is_no_address(text: str) -> None:
    assert read_address(text) is None


@pytest.mark.parametrize("asked", ["可以吗", "行吗？", "可以吧", "这样可以吗?", "，可以不"])
def test_a_question_behind_the_place_is_none_of_it(asked: str) -> None:
    found = read_address(f"改到杭州市西湖区文三路100号{asked}")

    assert found is not None and ("杭州市", "文三路100号") == (found["city"], found["street"])


@given(st.text(max_size=400))
def test_whatever_is_typed_gives_known_fields_or_nothing(text: str) -> None:
    found = read_address(text)

    assert found is None or (found["street"] and set(found) <= set(Address.model_fields))


def test_an_address_beside_an_order_number() -> None:
    found = read_address("订单81000789054714359改到浙江省杭州市西湖区文三路1号")

    assert found is not None
    assert ("杭州市", "文三路1号") == (found["city"], found["street"])


def test_talk_before_the_new_place_is_no_part_of_it():
    for words in ("地址写错了，改成", "改地址到", "麻烦帮我把收货地址改为", "我搬家了，新地址是"):
        found = read_address(f"{words}浙江省杭州市西湖区文三路1号")

        assert found is not None
        assert ("浙江省", "杭州市", "西湖区", "文三路1号") == tuple(
            found[key] for key in ("province", "city", "district", "street")
        )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "I moved, please send 87470852120242022 to 500 Howard Street, San Francisco, CA 94105, phone ends in 0142",
            {"street": "500 Howard Street", "city": "San Francisco", "province": "CA", "postcode": "94105"},
        ),
        (
            "We are moving to 14 Oak Avenue, Austin, TX 73301 next week, can you send it there?",
            {"street": "14 Oak Avenue", "city": "Austin", "province": "TX", "postcode": "73301"},
        ),
        (
            "please deliver to Anna Smith, 7 Hill Road, Leeds LS1 4AB",
            {"name": "Anna Smith", "street": "7 Hill Road", "city": "Leeds", "postcode": "LS1 4AB"},
        ),
    ],
)
def test_what_stands_around_an_english_address_is_talk(text, wanted):
    assert wanted == read_address(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("电话改成13800001111", {"phone": "13800001111"}),
        ("收件人改成李雷，手机号换成 138 0000 1111", {"name": "李雷", "phone": "13800001111"}),
        ("the phone number is +1 415 555 0199", {"phone": "+14155550199"}),
        ("the recipient is Anna Smith", {"name": "Anna Smith"}),
        ("我的手机尾号是1111", {}),
        ("收件人写错了", {}),
    ],
)
def test_a_new_recipient_is_read_without_a_place(text, wanted):
    assert wanted == read_recipient(text)


WENSAN = {
    "province": "浙江省",
    "city": "杭州市",
    "district": "西湖区",
    "street": "文三路100号",
    "country": "CN",
}


@pytest.mark.parametrize(
    "before",
    [
        "写错了，是", "写错了是", "不对，是", "错了，应该是", "说错了，", "地址填错了，是", "不好意思，是", "抱歉写错了，应该是", "啊，不对不对，是",
        "搞错了是", "等一下，是", "其实是", "呃，那个，是", "麻烦改", "我搬家了，在", "不是文一路100号，是", "文一路100号写错了，是", "好的，", "你好，",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "place", ["浙江省杭州市西湖区文三路 100 号", "杭州市西湖区文三路100号", "杭州西湖区文三路100号"]
)
def test_an_apology_before_an_address_is_neither_a_name_nor_a_town(before: str, place: str) -> None:
    assert WENSAN == read_address(before + place)


@pytest.mark.parametrize(
    "after", ["，刚才写错了", " 谢谢", "，快点", "，不是文一路100号", "，麻烦了", "，明天能送吗"]
)
def test_what_follows_an_address_is_neither_a_name_nor_a_street(after: str) -> None:
    assert WENSAN == read_address(f"浙江省杭州市西湖区文三路100号{after}")


@pytest.mark.parametrize(
    "text", ["王芳 13800001111 浙江省杭州市西湖区文三路100号", "收件人改成王芳，电话改成13800001111，地址改成杭州市西湖区文三路100号",
             "杭州市西湖区文三路100号，王芳，13800001111", "地址改成杭州市西湖区文三路100号，收件人改成王芳，电话改成13800001111"],
)  # fmt: skip
def test_a_name_that_is_said_is_read(text: str) -> None:
    assert {**WENSAN, "name": "王芳", "phone": "13800001111"} == read_address(text)


def test_a_name_without_a_phone_is_read_by_its_surname() -> None:
    assert "王芳" == read_address("王芳，浙江省杭州市西湖区文三路100号")["name"]
    assert "王芳" == read_address("王芳浙江省杭州市西湖区文三路100号")["name"]


@pytest.mark.parametrize(
    ("text", "street"),
    [
        ("sorry, it's 14 Oak Lane", "14 Oak Lane"),
        ("no, 14 Oak Lane", "14 Oak Lane"),
        ("Oh no, 14 Oak Lane", "14 Oak Lane"),
        ("actually it's 14 Oak Lane", "14 Oak Lane"),
        ("I meant 14 Oak Lane", "14 Oak Lane"),
        ("my bad - 14 Oak Lane", "14 Oak Lane"),
        ("14 Oak Lane, not 12 Oak Lane", "14 Oak Lane"),
        ("it's not 12 Oak Lane, it's 14 Oak Lane", "14 Oak Lane"),
        ("not 12 but 14 Oak Lane", "14 Oak Lane"),
        ("14 Oak Lane, please", "14 Oak Lane"),
        ("14 Oak Lane, Apt 4", "14 Oak Lane, Apt 4"),
        ("we live at 14 Oak Lane now", "14 Oak Lane"),
        ("Rose Cottage, 5 Mill Lane", "Rose Cottage, 5 Mill Lane"),
    ],
)
def test_an_english_street_alone_is_only_a_street(text: str, street: str) -> None:
    assert {"street": street} == read_address(text)


@pytest.mark.parametrize(
    "text", ["14 Oak Lane in Austin", "Wait please, 14 Oak Lane, Austin", "14 Oak Lane, Austin please"]
)
def test_an_english_town_is_read_without_talk(text: str) -> None:
    assert {"street": "14 Oak Lane", "city": "Austin"} == read_address(text)


@pytest.mark.parametrize(
    "text", ["南京西路1268号2楼", "四川北路1001号", "北京西路1068号", "西藏中路100号", "中山公园路100号", "长春花园3栋", "浙江大学3号楼", "人民路菜市场3号"]
)  # fmt: skip
def test_a_road_called_after_a_town_names_no_town(text: str) -> None:
    assert {"street": text} == read_address(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("深圳南山区科技路5号", ("广东省", "深圳市", "南山区", "科技路5号")),
        ("上海徐汇区天平路88号", ("上海市", "上海市", "徐汇区", "天平路88号")),
        ("吉林市昌邑区吉林大街5号", ("吉林省", "吉林市", "昌邑区", "吉林大街5号")),
        ("新疆乌鲁木齐市天山区解放路1号", ("新疆维吾尔自治区", "乌鲁木齐市", "天山区", "解放路1号")),
        ("苏州昆山市前进路5号", ("江苏省", "苏州市", "昆山市", "前进路5号")),
        ("武汉市中南路5号", ("湖北省", "武汉市", None, "中南路5号")),
    ],
)
def test_a_known_town_says_its_province(text: str, place: tuple[str | None, ...]) -> None:
    found = read_address(text) or {}

    assert place == tuple(found.get(key) for key in ("province", "city", "district", "street"))


OLD = {"name": "张*", "phone": "188****4173", "country": "CN", "province": "四川省", "city": "成都市", "district": "武侯区",
       "street": "人民南路四段 12 号 6 栋 904", "postcode": ""}  # fmt: skip
OLD_EN = {"name": "Emma J.", "phone": "+1 415 *** **42", "country": "US", "province": "California", "city": "San Francisco", "district": "",
          "street": "1250 Valencia Street, Apt 4", "postcode": ""}  # fmt: skip


@pytest.mark.parametrize(
    ("old", "text", "place"),
    [
        (OLD, "杭州市西湖区文三路100号", ("CN", "浙江省", "杭州市", "西湖区")),
        (OLD, "改到杭州市文三路100号3栋", ("CN", "浙江省", "杭州市", "")),
        (OLD, "黔南州市场路5号", ("CN", "四川省", "成都市", "武侯区")),
        (OLD, "安吉市胜利路5号", ("CN", "", "安吉市", "")),  # a town that no table knows
        (OLD, "成都市人民南路5号", ("CN", "四川省", "成都市", "")),
        (OLD, "人民南路5号", ("CN", "四川省", "成都市", "武侯区")),
        (OLD, "香港弥敦道100号", ("CN", "香港", "", "")),
        (OLD_EN, "14 Oak Lane, Austin", ("US", "", "Austin", "")),
        (OLD_EN, "14 Oak Lane, San Francisco", ("US", "California", "San Francisco", "")),
        (OLD_EN, "14 Oak Lane", ("US", "California", "San Francisco", "")),
        (OLD_EN, "14 Oak Lane, Austin, TX 73301", ("US", "TX", "Austin", "")),
        (OLD_EN, "12 Baker Street, London NW1 6XE", ("GB", "", "London", "")),
        (OLD, "14 Oak Lane, Austin, TX 73301", ("US", "TX", "Austin", "")),
        (OLD_EN, "杭州市西湖区文三路100号", ("CN", "浙江省", "杭州市", "西湖区")),
    ],
)  # fmt: skip
def test_nothing_of_the_old_place_is_mixed_into_another_town(old, text, place):
    whole = whole_address(old, read_address(text) or {})

    assert place == tuple(whole[key] for key in ("country", "province", "city", "district"))
    assert (old["name"], old["phone"]) == (whole["name"], whole["phone"])


NANJING = {
    "province": "上海市",
    "city": "上海市",
    "district": "静安区",
    "country": "CN",
    "street": "南京西路1266号2楼",
}


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("不对，是南京西路1268号2楼", {"street": "南京西路1268号2楼"}),
        ("门牌是1268号", {"street": "南京西路1268号2楼"}),
        ("写错了，1268号", {"street": "南京西路1268号2楼"}),
        ("是3楼，不是2楼", {"street": "南京西路1266号3楼"}),
        ("区写错了，是黄浦区", {"district": "黄浦区"}),
        ("不是静安区，是黄浦区", {"district": "黄浦区"}),
        ("收件人改成王芳", {"name": "王芳"}),
        ("电话改成13900001111", {"phone": "13900001111"}),
    ],
)
def test_a_correction_changes_only_what_it_names(text, changed):
    said = {**NANJING, "name": "李雷", "phone": "13800001111"}

    assert {**said, **changed} == correct_address(said, text)


def test_another_town_keeps_who_receives_it():
    said = {**NANJING, "name": "李雷", "phone": "13800001111", "postcode": "200041"}

    assert {**WENSAN, "name": "李雷", "phone": "13800001111"} == correct_address(
        said, "杭州市西湖区文三路100号"
    )
    town = correct_address(said, "城市错了，是杭州市")
    assert ("浙江省", "杭州市", None, None, "李雷") == tuple(
        town.get(key) for key in ("province", "city", "district", "postcode", "name")
    )
    assert {"name": "王芳", **WENSAN} == correct_address({"name": "王芳"}, "杭州市西湖区文三路100号")


@pytest.mark.parametrize(
    "text", ["不对", "是的", "好的", "嗯", "不是静安区", "我们小区", "可以", "no", "yes please", "门牌不对"]
)
def test_what_corrects_nothing_changes_nothing(text):
    assert correct_address(NANJING, text) is None


@pytest.mark.parametrize(
    ("street", "door", "wanted"),
    [
        ("人民南路四段 12 号 6 栋 904", "14号", "人民南路四段 14 号 6 栋 904"),
        ("人民南路四段 12 号 6 栋 904", "7栋905", "人民南路四段 12 号 7 栋 905"),
        ("人民南路四段 12 号 6 栋 904", "905室", "人民南路四段 12 号 6 栋 905"),
        ("望京西园三区 310 号楼 1201", "311号楼", "望京西园三区 311 号楼 1201"),
        ("望京西园三区 310 号楼 1201", "12号", None),
        ("文三路1号2号门", "3号", None),
        ("1250 Valencia Street", "14号", None),
    ],
)
def test_a_door_number_goes_where_it_is_clear(street, door, wanted):
    assert wanted == with_door(street, door)


@pytest.mark.parametrize(
    ("text", "door"),
    [("门牌写错了，应该是14号", "14号"), ("门牌号是1268", "1268"), ("3栋2单元501", "3栋2单元501"), ("房间号是1202", "1202"), ("文三路14号", None),
     ("14", None), ("2046", None), ("14号码", None), ("下午3点", None)],
)  # fmt: skip
def test_a_door_number_alone_is_no_street(text, door):
    assert door == read_door(text)
    assert door is None or read_address(text) is None
