"""A postal address in a shopper's own words, Chinese or English, as far as it can be read.

What is not said stays empty: the shop keeps what it has. This module knows no order and no map; the shopper
sees the result in the plan and says whether it is right.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from bot.towns import MUNICIPALITIES, PROVINCE_OF, PROVINCES

PHONE = re.compile(
    r"(?<!\d)(?:\+?\d{1,3}[\s-]?)?(?:1[3-9]\d[\s-]?\d{4}[\s-]?\d{4}|\(?\d{2,4}\)?[\s-]\d{3,4}[\s-]\d{3,4})(?!\d)"
)
_PLACE = ("country", "province", "city", "district", "street", "postcode")
# "南京西路", "四川北路", "北京大学": roads and houses are named after towns and provinces, too.
_NO_TOWN = (
    r"(?![东南西北中]?[一二三四五六]?(?:路|街|大街|大道|道|巷)|区|县|镇|乡|村|弄|里|新村|苑|小区|公寓|大厦|广场|花园|公园|花苑|家园|山庄"
    r"|国际|酒店|饭店|宾馆|中心|大学|学院|中学|小学|医院|机场|城|湾|站)"
)
_PROVINCE = rf"(?:{'|'.join(PROVINCES)})(?:省|(?:壮族|回族|维吾尔)?自治区|特别行政区|(?!市){_NO_TOWN})"
_KNOWN_CITY = rf"(?:{'|'.join((*MUNICIPALITIES, *PROVINCE_OF))})(?:市|{_NO_TOWN})"
_HAN = r"[\u3400-\u9fff]"
REGION = re.compile(
    rf"(?P<province>{_PROVINCE})?"
    rf"\s*(?P<city>{_KNOWN_CITY}|(?:(?![路街巷弄道区县号]){_HAN}){{2,7}}?(?:市(?![场民政])|自治州|地区|盟))?"
    rf"\s*(?P<district>{_HAN}{{1,6}}?(?:新区|区|县|旗|市(?![场民政])))?"
    r"\s*(?P<street>.+)",
    re.S,
)
PLACE_ALONE = re.compile(
    rf"(?P<province>{_PROVINCE})?(?P<city>{_KNOWN_CITY}|(?:(?![路街巷弄道区县号]){_HAN}){{2,4}}?(?:市|自治州|地区|盟))?"
    rf"(?P<district>{_HAN}{{1,5}}?(?:新区|区|县|旗))?"
)
PLACE_BEGINS = re.compile(rf"{_PROVINCE}|{_KNOWN_CITY}")
# What is said around an address and is neither a place nor a name.
APOLOGY = re.compile(
    r"^(?:(?:(?:地址|门牌号?|刚才|刚刚|我|前面|上面)*(?:都|给|是)?(?:写|填|说|打|搞|弄|发|给|留|选|记)?(?:错|反)(?:了|啦|误)?|不对|不是(?:的|这个|那个|这样)?|有误"
    r"|不好意思|抱歉|对不起|等等|等一?下|其实|更正(?:一下)?|纠正(?:一下)?|(?:好的?|是的|对的?|那个?|啊|哦|噢|呃|嗯|额|哎呀?|亲)(?=[\s,，。.!！~、:：;；])"
    r"|您好|你好|谢谢|请问?|麻烦(?:您|你|了)?|帮我|拜托)(?:了|哈|呀|啦|吧)?[\s,，。.!！~、:：;；]*)+"
)
IS = re.compile(r"^(?:应该|应当|正确的?|就|要|新的?)*(?:是|为)[::]?\s*")
# A clause with this in it says what is wrong, not where it is.
WRONG = re.compile(r"(?:写|填|说|打|搞|弄|发|给|留|选|记)?错(?:了|啦|误)|不对|有误|不是|不要|不在|不住")
APOLOGY_EN = re.compile(
    r"^(?:(?:(?:oh|oops|ah|hm+|um+|well|wait|hang on|hold on|sorry(?: about that)?|my (?:bad|mistake|apologies)|apologies|no+|nope|not (?:that|right)|wrong(?: (?:one|address))?"
    r"|actually|correction|hi|hello|hey|ok(?:ay)?|yes|please|pls|thanks|thank you|i (?:meant?|made a mistake|mistyped)(?: to (?:say|write))?|that'?s wrong|i mean"
    r"|the (?:right|correct|new) (?:address|one) is|it (?:should|must) (?:be|read|say)|should (?:be|read|say)|it(?:'s| is| was)|that(?:'s| is)|change (?:it|that|this) to|make (?:it|that))"
    r"(?![A-Za-z'])[\s,.!:;-]*)+)",
    re.I,
)
NOT_EN = re.compile(
    r"(?:^|[,;.]\s*|\s+-\s*|\s+)(?:and )?(?:it'?s |it is |that'?s )?not\b[^,;.\n]*?(?:[,;.\n]|\bbut\b|$)",
    re.I,
)
TALK = re.compile(
    r"了|吗|呢|吧|的|您|你|我|他|她|这|那|不|错|谢|请|麻烦|抱歉|对不起|您好|是|地址|收到|尽快|快[点递]|加急|急|马上|包裹|包邮|单位|易碎|方便|周[一二三四五六日末]|星期"
    r"|[今明后]天|万分|辛苦|拜托|帮忙|更正|修改|改成|写|填|号码|电话|手机|订单|门牌|丰巢|菜鸟|驿站|自提|代收|本人|同上|上午|下午|晚上|左右|附近|对面|旁边"
)
# "…100号可以吗": asked behind the place. What asks inside of it is a sentence: "这个退货的话怎么弄", "十一号可以".
ASKS_AFTER = re.compile(
    r"\s*(?:这样|这个地址)?(?:可以|(?:可以|行|好|对|能改|能送|是)?的?(?:吗|嘛|么|吧|不))\s*[?？]*$"
)
SENTENCE = re.compile(r"[?？]|[吗呢]|怎么|怎样|如何|什么|为何|的话|可以|意思|显示|路上|路途")
TALK_EN = frozenset(
    [
        "a", "about", "at", "live", "living", "moved", "moving", "staying", "actually", "address", "an", "and",
        "apologies", "are", "be", "bad", "building", "can", "change", "correct", "could", "deliver", "do", "door",
        "floor", "from", "hello", "hey", "hi", "how", "i", "if", "in", "is", "it", "it's", "its", "just", "know",
        "made", "make", "me", "mean", "meant", "mistake", "morning", "my", "need", "new", "no", "not", "number", "of",
        "oh", "ok", "okay", "old", "on", "oops", "order", "phone", "please", "pls", "right", "send", "ship", "should",
        "sorry", "thank", "thanks", "that", "that's", "the", "there", "this", "to", "up", "update", "wait", "want",
        "was", "we", "when", "where", "will", "with", "would", "wrong", "yes", "you", "your"
    ]
)  # fmt: skip
POLITE_EN = re.compile(
    r"(?:please|pls|thanks|thank you|thx|cheers|sorry|asap|ok(?:ay)?|instead|now|then)(?: (?:so much|a lot|very much|again|please))?",
    re.I,
)
SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖萧田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付傅方白邹孟熊秦邱江尹薛闫阎段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷曲盛冉蓝骆路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝"
)
_UNIT = r"[A-Za-z]?\d+(?:-\d+)*\s*(?:号楼|号院|号(?!码)|弄|栋|幢|座|单元|楼|层|室|房)"
# Which words call the same thing; a 号 is no 号楼.
DOOR_UNITS = {
    "号": r"号(?![楼院码])",
    **dict.fromkeys(("号楼", "栋", "幢", "座"), "(?:号楼|栋|幢|座)"),
    **dict.fromkeys(("楼", "层"), "(?:楼|层)"),
    **dict.fromkeys(("室", "房"), "(?:室|房)"),
}
DOOR = re.compile(
    rf"^(?:(?:门牌|房间?|楼栋|楼|室|单元|栋)号?(?:码)?|号码?)?\s*(?:[改换]?成|改为|应该|是|为|到|[::])*\s*((?:{_UNIT}\s*)+(?:\d{{2,4}})?|(?<=[牌号是为成:\s])\s*\d+(?:-\d+)*)$"
)
STREET_SIGN = re.compile(
    r"[路街巷弄村镇乡栋幢座楼苑庄]|大道|[道里园室]\s*\d|大厦|小区|广场|公寓|花园|单元|[\d一二三四五六七八九十]\s*[号室]"
)
# Numbers of other things, which may stand beside an address or in place of one.
OTHER_NUMBER = re.compile(r"(?:订单|单|尾|手机尾|运单|快递单)号?\s*[::是为]?\s*#?\d{4,}|#?\d{12,}")
_ROAD_EN = r"(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|way|court|ct|boulevard|blvd|place|pl|square|sq|terrace|close|crescent|gardens)"
STREET_SIGN_EN = re.compile(
    rf"\b\d+[a-z]?\b.*\b(?:{_ROAD_EN}|park|row|hill|quay|house|apartment|apt|flat|unit|strasse|straße)\b",
    re.I | re.S,
)
# "14 Oak Lane Austin TX 73301", "14 Oak Lane in Austin"
COMPACT_EN = re.compile(
    rf"^(\d[^,\n]*?\b(?i:{_ROAD_EN})\b\.?)\s+([A-Z][A-Za-z.'-]+(?: [A-Z][A-Za-z.'-]+){{0,2}})\s+([A-Z]{{2}})\s+(\d{{5}}(?:-\d{{4}})?)$"
)
TOWN_EN = re.compile(r"(?<=[a-z.])\s+in\s+([A-Z][A-Za-z.'-]+(?: [A-Z][A-Za-z.'-]+){0,2})$")
CITY_EN = re.compile(
    r"\b(?i:city|town)\s+(?i:is|should be|must be|:)\s*(?i:actually )?([A-Z][A-Za-z.'-]+(?: [A-Z][A-Za-z.'-]+){0,2})(?:,\s*([A-Z][A-Za-z. ]+))?[.!]?$"
)
HOUSE_EN = re.compile(
    r"\b(?:cottage|house|farm|hall|lodge|mill|manor|villa|building|tower|barn|studios?)\b", re.I
)
TAIL_TALK_EN = re.compile(
    r"[\s.!]+(?:now|please|pls|thanks|thank you|cheers|instead|asap|from now on)[.!]*$", re.I
)
STATES = frozenset(
    [
        "AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "FL", "GA", "HI", "ID", "IL", "IN", "IA", "KS", "KY", "LA",
        "ME", "MD", "MA", "MI", "MN", "MS", "MO", "MT", "NE", "NV", "NH", "NJ", "NM", "NY", "NC", "ND", "OH", "OK",
        "OR", "PA", "RI", "SC", "SD", "TN", "TX", "UT", "VT", "VA", "WA", "WV", "WI", "WY", "DC"
    ]
)  # fmt: skip
INTRO = re.compile(
    r"^\s*(?:(?:请|麻烦|帮我|能不能|可以|我想|我要|把)*\s*(?:收货)?(?:新的?)?(?:收货)?地址(?:帮我)?\s*(?:改|换|修改|变更|更新)?(?:成|为|到|是)?|(?:帮我|请|麻烦)?(?:改|换|寄|送|发)(?:成|到|为|至))\s*[::,,]?\s*",
)
CHANGED_TO = re.compile(
    r"(?:改|换|修改|变更|更正|更新)(?:一下)?(?:收货)?(?:地址)?(?:成|为|到|至)\s*[::,]?|(?:寄|送|发)(?:到|往|至|去)\s*[::,]?|新(?:的)?(?:收货)?地址(?:是|为)?\s*[::]?|(?:应该|正确的?)(?:地址)?是\s*[::]?"
)
CHANGED_TO_EN = re.compile(
    r"\b(?:ship|send|deliver|redirect|forward|reroute|change|update|set|mov(?:e|ed|ing)|relocated)\b[^,;\n]{0,60}?\bto\b\s*[::,]?"
    r"|\b(?:my |the )?(?:new|correct|right) (?:delivery |shipping )?address(?: is|\s*[::])?\s*[::,]?",
    re.I,
)
TAIL_EN = re.compile(
    r"[,;.]?\s*(?:(?:and )?(?:my |the )?(?:phone|mobile|cell)(?: number)?\s*)?(?:ends?|ending|last (?:four|4)(?: digits)?)\s*(?:in|with|is|are)?\s*\d{4}(?!\d)\.?",
    re.I,
)
LABEL = re.compile(r"(收货人|收件人|姓名|联系人|电话|手机号?码?|地址|邮编|邮政编码)\s*[::]?\s*")
ZH_NAME = re.compile(
    r"(?:收货人|收件人|姓名|联系人)(?:的?(?:名字|姓名))?\s*(?:[改换变写填]?[成为]|是|[::])?\s*([\u3400-\u9fff·]{2,8}?)(?=[\s,,。;;、\d]|电话|手机|$)"
)
EN_NAME = re.compile(r"\b(?:name|recipient|attn|to)\s*[:=]\s*([A-Za-z][A-Za-z .'-]{1,40}?)(?=[,;\n]|$)", re.I)
ZH_POSTCODE = re.compile(r"(?:邮编|邮政编码)\s*[::]?\s*(\d{6})|(?<!\d)(\d{6})(?!\d)\s*$")
EN_POSTCODE = re.compile(
    r"\b([A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d|\d{5}(?:-\d{4})?|\d{4} ?[A-Z]{2})\b", re.I
)
COUNTRIES = {
    "usa": "US", "us": "US", "united states": "US", "america": "US", "uk": "GB", "united kingdom": "GB", "england": "GB",
    "great britain": "GB", "canada": "CA", "germany": "DE", "france": "FR", "netherlands": "NL", "japan": "JP",
    "singapore": "SG", "australia": "AU", "china": "CN", "spain": "ES", "italy": "IT", "ireland": "IE", "hong kong": "HK",
}  # fmt: skip
LONGEST = 300
PHONE_LABEL = (
    r"(?:(?:收货人|收件人)?(?:的)?(?:联系)?(?:电话|手机号?|号码|联系方式)(?:号?码)?[^\d,，。;；\n]{0,8})?"
)
NEW_PHONE = re.compile(
    r"(?:电话|手机|号码|联系方式|phone|mobile|number)[^\d+]{0,16}?(?:改|换|变|是|为|成|用|写|填|is|to|as|:)[^\d+]{0,6}(\+?\d[\d\s-]{6,17}\d)(?!\d)",
    re.I,
)
NEW_NAME = re.compile(
    r"(?:收件人|收货人|姓名|联系人)(?:的?(?:名字|姓名))?(?:[改换变写填]?[成为]|是)\s*([\u3400-\u9fff·]{2,8}?)(?=$|[\s,，。;；!！]|吧|谢谢|电话|手机)"
    r"|\b(?:recipient|receiver|name)(?:'s name)?\s+(?:should be|is|to|:)\s*([A-Z][A-Za-z.'-]*(?: [A-Z][A-Za-z.'-]*){1,3})",
)


def read_address(text: str) -> dict[str, str] | None:
    """The parts of an address that the text gives, or None when it holds no street.

    Keys are those of `bot.orders.models.Address`.
    """
    text = unicodedata.normalize("NFKC", text).strip()
    if not 6 <= len(text) <= LONGEST:
        return None
    if re.search(r"[\u3400-\u9fff]", text):
        return _chinese(text)
    return _english(text)


def read_recipient(text: str) -> dict[str, str]:
    """Who receives a parcel, when a message says only that: "电话改成13800001111", "the recipient is Anna Smith".

    Keys are ``name`` and ``phone`` of `bot.orders.models.Address`; empty when neither is named as new.
    """
    text = unicodedata.normalize("NFKC", text).strip()
    found: dict[str, str] = {}
    if phone := NEW_PHONE.search(text):
        found["phone"] = re.sub(r"[^\d+]", "", phone[1])
    if name := NEW_NAME.search(text):
        found["name"] = (name[1] or name[2]).strip()
    return found


def correct_address(said: Mapping[str, str], text: str) -> dict[str, str] | None:
    """What was said of an address, with what a further message says of it; None when that is nothing.

    Only what is named is corrected: "不对，是南京西路1268号" keeps the town, a new town keeps the recipient.
    """
    recipient = {key: said[key] for key in ("name", "phone") if key in said}
    if found := read_address(text):
        if "city" in found or "province" in found:
            return {**recipient, **found}
        whole = {**said, **found}
        if "postcode" not in found and _road(found["street"]) != _road(said.get("street", "")):
            whole.pop("postcode", None)
        return whole
    if found := read_recipient(text):
        return {**said, **found}
    street = said.get("street")
    if street is None:
        return None
    if door := read_door(text):
        corrected = with_door(street, door)
        return None if corrected is None else {**said, "street": corrected}
    if place := _place_alone(text):
        kept = {key: said[key] for key in ("name", "phone", "street", "country") if key in said}
        if "city" not in place:
            kept = {key: value for key, value in said.items() if key != "postcode"}
        return {**kept, **place}
    return None


def read_door(text: str) -> str | None:
    """A house number, building, floor or room alone, without a road: "门牌是1268号", "是3栋2单元501"."""
    text = unicodedata.normalize("NFKC", text).strip()
    if not 2 <= len(text) <= LONGEST:
        return None
    door = DOOR.match(_clean(OTHER_NUMBER.sub(" ", text)))
    return re.sub(r"\s", "", door[1]) if door else None


def with_door(street: str, door: str) -> str | None:
    """The street with another house number; None when it is not clear what of it is meant."""
    for number, unit in re.findall(
        r"([A-Za-z]?\d+(?:-\d+)*)(号楼|号院|号|弄|栋|幢|座|单元|楼|层|室|房)?", door
    ):
        ending = DOOR_UNITS.get(unit or ("号" if number == door else ""), unit)
        standing = list(re.finditer(rf"[A-Za-z]?\d+(?:-\d+)*(?=\s*{ending})", street)) if ending else []
        if not standing and (not unit or unit in "室房"):
            standing = list(re.finditer(r"(?<!\d)\d+(?:-\d+)*$", street))  # "6 栋 904"
        if len(standing) != 1:
            return None
        street = street[: standing[0].start()] + number + street[standing[0].end() :]
    return street


def whole_address(old: Mapping[str, str], said: Mapping[str, str]) -> dict[str, str]:
    """The address with what was not said: who receives it stays. Of the old place nothing is mixed in once
    another town is named: the shop keeps what is left out, so that is sent empty.
    """
    whole = dict(old)
    country = said.get("country") or _country(said) or old["country"]
    moved = "province" in said and said["province"] != old.get("province")
    if "city" in said or moved or country != old["country"]:
        same = "city" in said and _town(said["city"]) == _town(old.get("city", ""))
        whole |= {"province": whole.get("province", "") if same else "", "city": "", "district": ""}
    whole |= {**said, "country": country}
    if moved or "city" in said or "street" in said:
        whole["postcode"] = said.get("postcode", "")
    return {key: str(value) for key, value in whole.items()}


def _town(name: str) -> str:
    return name.strip().casefold().removesuffix("市")


def _road(street: str) -> str:
    return re.sub(r"[\W\d_]", "", street).casefold()


def _country(said: Mapping[str, str]) -> str | None:
    """The country that a postcode's shape gives away, when none is named."""
    postcode = said.get("postcode", "")
    if re.fullmatch(r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}", postcode):
        return "GB"
    if re.fullmatch(r"[A-Z]\d[A-Z] ?\d[A-Z]\d", postcode):
        return "CA"
    if re.fullmatch(r"\d{5}(?:-\d{4})?", postcode) and said.get("province", "").upper() in STATES:
        return "US"
    return None


def _clean(text: str) -> str:
    """A Chinese message without the talk around its place: "写错了，是…", "不是…，是…", "谢谢"."""
    # "地址写错了，改成上海市…": what stands before the new place is talk.
    parts = CHANGED_TO.split(text)
    text = next((part for part in reversed(parts) if STREET_SIGN.search(part)), parts[-1])
    clauses = []
    for clause in re.split(r"[,，。;；!！?？\n]+", text):
        if wrong := WRONG.search(clause):
            after = clause[wrong.end() :]
            turned = re.search(r".*(?:是|为)(.+)$", after)
            if turned:
                clause = turned[1]
            elif "错" in wrong[0] and not STREET_SIGN.search(clause[: wrong.start()]):
                clause = after
            else:
                continue
        clauses.append(clause)
    text = " ".join(clauses).strip()
    text = IS.sub("", INTRO.sub("", APOLOGY.sub("", text)))
    text = re.sub(r"(?:谢谢|麻烦了?|辛苦了?|拜托了?|[吧哦啊呢哈呀])+$", "", text.strip(" ,。;、~!?.\n"))
    return LABEL.sub(" ", text).strip(" ,。;、\n")


def _chinese(text: str) -> dict[str, str] | None:
    found: dict[str, str] = {}
    text = OTHER_NUMBER.sub(" ", text)
    if phone := re.search(PHONE_LABEL + rf"({PHONE.pattern})", text):
        found["phone"] = re.sub(r"[\s-]", "", phone[1])
        text = text.replace(phone[0], " ", 1)
    if (name := ZH_NAME.search(text)) and not TALK.search(name[1]):
        found["name"] = name[1]
        text = text.replace(name[0], " ", 1)
    if postcode := ZH_POSTCODE.search(text):
        found["postcode"] = postcode[1] or postcode[2]
        text = text.replace(postcode[0], " ", 1)
    text = _clean(text)
    if DOOR.match(text):
        return None  # a number without its road
    pieces = [piece for piece in re.split(r"[\s,,;;、\n]+", text) if piece]
    if "name" not in found:
        # "王芳 13800001111 浙江省杭州市…": a short word without any sign of a street is who receives it.
        short = [one for one in pieces if _is_name(one, "phone" in found)]
        if short and len(pieces) > 1 and pieces.index(short[0]) in (0, len(pieces) - 1):
            found["name"] = short[0]
            pieces.remove(short[0])
    pieces = [one for one in pieces if re.search(r"\d", one) or _place(one) or not TALK.search(one)]
    joined = IS.sub("", "".join(pieces))
    if (begins := PLACE_BEGINS.search(joined)) and begins.start():
        before = joined[: begins.start()]
        if not _place(before) and not re.search(r"\d", before):
            joined = joined[begins.start() :]
            if "name" not in found and _is_name(before, False) and len(before) < 4:
                found["name"] = before
    match = REGION.match(joined)
    if match is None:
        return None
    street = ASKS_AFTER.sub("", match["street"].strip())
    if SENTENCE.search(street):
        return None
    if (
        not STREET_SIGN.search(street)
        or len(street) < 3
        or not (re.search(r"\d|[一二三四五六七八九十]", street) or _says_place(match))
    ):
        return None
    region = _region(match)
    if region is None:
        return None
    found |= region
    found["street"] = street
    return found


def _says_place(match: re.Match[str]) -> bool:
    """Whether the town is written as in an address: "杭州市", "杭州西湖区"; "在发往杭州的路上" is none."""
    return bool(match["city"]) and (match["city"][-1] in "市州盟区" or bool(match["district"]))


def _region(match: re.Match[str]) -> dict[str, str] | None:
    """Province, city and district of a match, with what a known city says of its province."""
    found = {key: match[key] for key in ("province", "city", "district") if match[key]}
    town = found.get("city", "").removesuffix("市")
    if town in MUNICIPALITIES:
        found["city"] = found["province"] = town + "市"
    elif town in PROVINCE_OF:
        found["city"] = town + "市"
        found.setdefault("province", PROVINCE_OF[town])
    elif found.get("city", "").endswith("市") and len(town) > 4:
        return None  # talk that was not recognised
    if found.get("province") in PROVINCES:
        found["province"] = PROVINCES[found["province"]]
    if found.get("province") or found.get("city"):
        found["country"] = "CN"
    return found


def _place_alone(text: str) -> dict[str, str] | None:
    """A town or district named without a street: "城市错了，是杭州市", "the city is Austin"."""
    text = unicodedata.normalize("NFKC", text).strip()
    if len(text) > LONGEST:
        return None
    if named := CITY_EN.search(text):
        return {"city": named[1].strip(), **({"province": named[2].strip()} if named[2] else {})}
    text = re.sub(r"^(?:城市|市|省份?|区县?|地区)(?:应该)?(?:是|为|[::])\s*", "", _clean(text))
    match = PLACE_ALONE.fullmatch(text)
    if match is None or not text or TALK.search(text) or re.search(r"[小社园校市地郊]区$", text):
        return None
    return _region(match)


def _is_name(word: str, beside_phone: bool) -> bool:
    """Whether a short Chinese word is who receives a parcel; without a phone only by a known surname."""
    return (
        re.fullmatch(r"[\u3400-\u9fff·]{2,4}", word) is not None
        and not _place(word)
        and not TALK.search(word)
        and (beside_phone or "·" in word or word[0] in SURNAMES)
    )


def _place(word: str) -> bool:
    return bool(
        re.search(r"[省市区县州旗]$", word)
        or STREET_SIGN.search(word)
        or word in (*PROVINCES, *MUNICIPALITIES, *PROVINCE_OF)
    )


def _english(text: str) -> dict[str, str] | None:
    text = TAIL_EN.sub(" ", OTHER_NUMBER.sub(" ", text))
    # "I moved, please send it to …": what stands before the place is talk.
    *_, after = CHANGED_TO_EN.split(text)
    text = (after if STREET_SIGN_EN.search(after) else text).strip(" ,.\n")
    text = APOLOGY_EN.sub("", NOT_EN.sub(", ", text).strip(" ,.\n"))
    text = COMPACT_EN.sub(r"\1, \2, \3 \4", re.sub(r"^to\s+", "", text.strip(" ,.\n")))
    if not STREET_SIGN_EN.search(text):
        return None
    found: dict[str, str] = {}
    if name := EN_NAME.search(text):
        found["name"] = name[1].strip()
        text = text.replace(name[0], "", 1)
    if phone := re.search(
        r"\+\d[\d\s()-]{7,17}\d|(?:phone|tel|mobile)\s*[::]?\s*([\d\s()-]{7,18}\d)", text, re.I
    ):
        found["phone"] = re.sub(r"[^\d+]", "", phone[1] or phone[0])
        text = text.replace(phone[0], "", 1)
    parts = [TAIL_TALK_EN.sub("", part).strip() for part in re.split(r"[,\n;]+", text)]
    parts = [part for part in parts if part.strip(" .") and not _is_talk(part)]
    if parts and (code := COUNTRIES.get(parts[-1].strip(" .").lower())):
        found["country"] = code
        parts.pop()
    if not parts:
        return None
    for place in range(len(parts) - 1, 0, -1):  # never in the first part: that is the street's own number
        if postcode := EN_POSTCODE.search(parts[place]):
            found["postcode"] = postcode[1].upper()
            before, after = parts[place][: postcode.start()].strip(), parts[place][postcode.end() :].strip()
            # What follows "TX 73301" is talk; what follows "10115" alone is the city.
            parts[place:] = [before] if before else [after, *parts[place + 1 :]]
            break
    parts = [part for part in parts if part]
    if (
        "name" not in found
        and len(parts) > 1
        and re.fullmatch(r"[A-Za-z][A-Za-z.'-]*(?: [A-Za-z][A-Za-z.'-]*){1,3}", parts[0])
        and not HOUSE_EN.search(parts[0])
        and not TALK_EN & set(parts[0].lower().split())
    ):
        found["name"] = parts.pop(0)
    if not parts or not re.search(r"\d", " ".join(parts)):
        return None
    if len(parts) > 1 and not re.search(r"\d", parts[0]) and TALK_EN & set(parts[0].lower().split()):
        parts.pop(0)
    talk = re.match(r"([A-Za-z' ]+)\s+(?=\d)", parts[0])
    if talk and TALK_EN & set(talk[1].lower().split()):
        parts[0] = parts[0][talk.end() :]  # "we live at 14 Oak Lane"
    if len(parts) > 1 and not re.search(r"\d", parts[0]) and re.search(r"\d", parts[1]):
        parts[:2] = [f"{parts[0]}, {parts[1]}"]  # "Rose Cottage, 5 Mill Lane"
    if (
        len(parts) > 1
        and re.match(r"(?:flat|unit|apt|apartment|suite|room)\b", parts[0], re.I)
        and re.match(r"\d", parts[1])
    ):
        parts[:2] = [f"{parts[0]}, {parts[1]}"]  # "Flat 2, 8 Mill Lane"
    while len(parts) > 1 and re.match(
        r"(?:apt|apartment|flat|unit|suite|ste|room|floor|building|bldg|block|tower|level|gate)\b|#|\d+(?:st|nd|rd|th) floor",
        parts[1],
        re.I,
    ):
        parts[:2] = [f"{parts[0]}, {parts[1]}"]
    if town := TOWN_EN.search(parts[0]):
        parts[:1] = [parts[0][: town.start()].strip(), town[1]]  # "14 Oak Lane in Austin"
    found["street"] = parts[0]
    if len(parts) > 1:
        found["city"] = parts[1]
    if len(parts) > 2:
        found["province"] = parts[2]
    return found


def _is_talk(part: str) -> bool:
    words = re.findall(r"[a-z']+", part.lower())
    return POLITE_EN.fullmatch(part.strip(" .!")) is not None or (
        not re.search(r"\d", part) and bool(words) and set(words) <= TALK_EN
    )
