"""A postal address in a shopper's own words, Chinese or English, as far as it can be read.

What is not said stays empty: the shop keeps what it has. This module knows no order and no map; the shopper
sees the result in the plan and says whether it is right.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

PHONE = re.compile(
    r"(?<!\d)(?:\+?\d{1,3}[\s-]?)?(?:1[3-9]\d[\s-]?\d{4}[\s-]?\d{4}|\(?\d{2,4}\)?[\s-]\d{3,4}[\s-]\d{3,4})(?!\d)"
)
_PLACE = ("country", "province", "city", "district", "street", "postcode")
MUNICIPALITIES = ("北京", "上海", "天津", "重庆")
PROVINCES = [
    "河北",
    "山西",
    "辽宁",
    "吉林",
    "黑龙江",
    "江苏",
    "浙江",
    "安徽",
    "福建",
    "江西",
    "山东",
    "河南",
    "湖北",
    "湖南",
    "广东",
    "海南",
    "四川",
    "贵州",
    "云南",
    "陕西",
    "甘肃",
    "青海",
    "台湾",
    "内蒙古",
    "广西",
    "西藏",
    "宁夏",
    "新疆",
    "香港",
    "澳门",
]
REGION = re.compile(
    rf"(?P<province>(?:{'|'.join(PROVINCES)})(?:省|(?:壮族|回族|维吾尔)?自治区|特别行政区)?)?"
    rf"\s*(?P<city>(?:{'|'.join(MUNICIPALITIES)})市?|[\u3400-\u9fff]{{2,7}}?(?:市|自治州|地区|盟))?"
    r"\s*(?P<district>[\u3400-\u9fff]{1,6}?(?:新区|区|县|旗|市))?"
    r"\s*(?P<street>.+)",
    re.S,
)
STREET_SIGN = re.compile(
    r"[路街巷弄村镇乡栋幢座楼苑庄]|大道|[道里园室]\s*\d|大厦|小区|广场|公寓|花园|单元|[\d一二三四五六七八九十]\s*[号室]"
)
# Numbers of other things, which may stand beside an address or in place of one.
OTHER_NUMBER = re.compile(r"(?:订单|单|尾|手机尾|运单|快递单)号?\s*[::是为]?\s*#?\d{4,}|#?\d{12,}")
STREET_SIGN_EN = re.compile(
    r"\b\d+[a-z]?\b.*\b(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|way|court|ct|boulevard|blvd|place|pl|square|sq|terrace"
    r"|close|crescent|gardens|park|row|hill|quay|house|apartment|apt|flat|unit|strasse|straße)\b",
    re.I | re.S,
)
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
    r"(?:收货人|收件人|姓名|联系人)\s*[::是]?\s*([\u3400-\u9fff·]{2,8}?)(?=[\s,,。;;、\d]|电话|手机|$)"
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


def whole_address(old: Mapping[str, str], said: Mapping[str, str]) -> dict[str, str]:
    """The address with what was not said: who receives it stays; of the old place nothing is mixed in
    once a city is named. What the shop shows masked it keeps by itself.
    """
    kept = {key: value for key, value in old.items() if key not in _PLACE} if "city" in said else dict(old)
    kept["country"] = old["country"]
    whole = {**kept, **said}
    if "city" in said or "street" in said:
        whole["postcode"] = said.get("postcode", "")
    return {key: str(value) for key, value in whole.items()}


def _chinese(text: str) -> dict[str, str] | None:
    found: dict[str, str] = {}
    text = OTHER_NUMBER.sub(" ", text)
    if phone := PHONE.search(text):
        found["phone"] = re.sub(r"[\s-]", "", phone[0])
        text = text.replace(phone[0], " ", 1)
    if name := ZH_NAME.search(text):
        found["name"] = name[1]
        text = text.replace(name[0], " ", 1)
    if postcode := ZH_POSTCODE.search(text):
        found["postcode"] = postcode[1] or postcode[2]
        text = text.replace(postcode[0], " ", 1)
    # "地址写错了，改成上海市…": what stands before the new place is talk.
    *_, text = CHANGED_TO.split(text)
    text = LABEL.sub(" ", INTRO.sub("", text)).strip(" ,。;、\n")
    pieces = [piece for piece in re.split(r"[\s,,;;、\n]+", text) if piece]
    if "name" not in found:
        # "王芳 13800001111 浙江省杭州市…": a short word without any sign of a street is who receives it.
        short = [one for one in pieces if re.fullmatch(r"[\u3400-\u9fff·]{2,4}", one) and not _place(one)]
        if short and len(pieces) > 1 and pieces.index(short[0]) in (0, len(pieces) - 1):
            found["name"] = short[0]
            pieces.remove(short[0])
    match = REGION.match("".join(pieces))
    if match is None:
        return None
    street = match["street"].strip()
    if (
        not STREET_SIGN.search(street)
        or len(street) < 3
        or not (re.search(r"\d|[一二三四五六七八九十]", street) or match["city"])
    ):
        return None
    for key in ("province", "city", "district"):
        if match[key]:
            found[key] = match[key]
    city = found.get("city", "")
    if city.rstrip("市") in MUNICIPALITIES:
        found["city"] = found["province"] = city.rstrip("市") + "市"
    found["street"] = street
    if found.get("province") or found.get("city"):
        found["country"] = "CN"
    return found


def _place(word: str) -> bool:
    return bool(
        re.search(r"[省市区县州旗]$", word)
        or STREET_SIGN.search(word)
        or word in (*PROVINCES, *MUNICIPALITIES)
    )


def _english(text: str) -> dict[str, str] | None:
    text = TAIL_EN.sub(" ", OTHER_NUMBER.sub(" ", text))
    # "I moved, please send it to …": what stands before the place is talk.
    *_, after = CHANGED_TO_EN.split(text)
    text = re.sub(r"^to\s+", "", (after if STREET_SIGN_EN.search(after) else text).strip(" ,.\n"))
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
    parts = [part.strip() for part in re.split(r"[,\n;]+", text) if part.strip(" .")]
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
    ):
        found["name"] = parts.pop(0)
    if not parts or not re.search(r"\d", " ".join(parts)):
        return None
    if len(parts) > 1 and not re.search(r"\d", parts[0]) and re.search(r"\d", parts[1]):
        parts[:2] = [f"{parts[0]}, {parts[1]}"]  # "Rose Cottage, 5 Mill Lane"
    if (
        len(parts) > 1
        and re.match(r"(?:flat|unit|apt|apartment|suite|room)\b", parts[0], re.I)
        and re.match(r"\d", parts[1])
    ):
        parts[:2] = [f"{parts[0]}, {parts[1]}"]  # "Flat 2, 8 Mill Lane"
    if len(parts) > 2 and re.match(r"(?:apt|apartment|flat|unit|suite|room|floor|#)", parts[1], re.I):
        parts[:2] = [f"{parts[0]}, {parts[1]}"]
    found["street"] = parts[0]
    if len(parts) > 1:
        found["city"] = parts[1]
    if len(parts) > 2:
        found["province"] = parts[2]
    return found
