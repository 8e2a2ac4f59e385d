"""How money, dates, counts, phones and addresses are written for a shopper, in Chinese and English.

Money comes in integer minor units; dates are shown on the shop's own clock (`Settings.timezone`).
Phones, e-mails, names and addresses are masked: a proven shopper recognises them, a person looking over the
shoulder learns nothing. This module knows no order and no policy.
"""

from __future__ import annotations

from datetime import date, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import dates, numbers

from bot.message import Language
from bot.orders.models import Address, Money
from bot.settings import get_settings

LOCALES: dict[Language, str] = {"zh": "zh_CN", "en": "en_US"}


@lru_cache(maxsize=1)
def shop_timezone() -> tzinfo:
    """The time zone in which the shop counts days."""
    return ZoneInfo(get_settings().timezone)


def shop_today() -> date:
    """The shop's calendar day now; the server's may be another for hours."""
    return datetime.now(shop_timezone()).date()


def format_money(money: Money, language: Language) -> str:
    """``Money(12990, CNY)`` as ``¥129.90`` (zh) or ``CN¥129.90`` (en)."""
    digits = numbers.get_currency_precision(money.currency)
    value = Decimal(money.amount).scaleb(-digits)
    return str(numbers.format_currency(value, money.currency, locale=LOCALES[language]))


def format_date(when: datetime | date, language: Language, tz: tzinfo | None = None) -> str:
    """``2026年11月22日`` or ``November 22, 2026``."""
    if isinstance(when, datetime):
        when = when.astimezone(tz or shop_timezone()).date()
    return str(dates.format_date(when, format="long", locale=LOCALES[language]))


def format_datetime(when: datetime, language: Language, tz: tzinfo | None = None) -> str:
    """``11月22日 14:05`` or ``Nov 22, 14:05``: for something recent, so without the year."""
    pattern = "M月d日 HH:mm" if language == "zh" else "MMM d, HH:mm"
    local = when.astimezone(tz or shop_timezone())
    return str(dates.format_datetime(local, pattern, locale=LOCALES[language]))


def format_number(number: int, language: Language) -> str:
    """``1,234``."""
    return str(numbers.format_decimal(number, locale=LOCALES[language]))


def format_count(number: int, language: Language) -> str:
    """``3 件`` or ``3 items``."""
    text = format_number(number, language)
    if language == "zh":
        return f"{text} 件"
    return f"{text} {'item' if number == 1 else 'items'}"


def format_days(number: int, language: Language, *, working: bool = False) -> str:
    """``7 个工作日``, ``15 天``, ``7 working days``, ``1 day``."""
    if language == "zh":
        return f"{number} 个工作日" if working else f"{number} 天"
    unit = "day" if number == 1 else "days"
    return f"{number} working {unit}" if working else f"{number} {unit}"


def join_words(words: list[str], language: Language) -> str:
    """``甲、乙和丙`` or ``A, B and C``."""
    if len(words) < 2:
        return "".join(words)
    if language == "zh":
        return "、".join(words[:-1]) + "和" + words[-1]
    return ", ".join(words[:-1]) + " and " + words[-1]


def mask_phone(phone: str) -> str:
    """``13812345678`` as ``138****78``: the last four digits prove an order, so they are not shown."""
    if "*" in phone:
        return phone  # the shop has masked it already
    digits = "".join(char for char in phone if char.isdigit())
    return f"{digits[:3]}****{digits[-2:]}" if len(digits) >= 8 else "****"


def mask_email(email: str) -> str:
    """``wang.fang@example.com`` as ``w***@example.com``."""
    name, at, domain = email.partition("@")
    return f"{name[:1]}***{at}{domain}" if at else "***"


def mask_name(name: str) -> str:
    """``王小芳`` as ``王**``, ``Ann Smith`` as ``A*** S***``."""
    if any("\u3400" <= char <= "\u9fff" for char in name):
        name = name.strip()
        return name[:1] + "*" * min(max(len(name) - 1, 1), 2)
    return " ".join(word[:1] + "***" for word in name.split())


def mask_address(address: Address, language: Language) -> str:
    """Name, phone and place as far as the district; the street only by its first characters."""
    name, phone = mask_name(address.name), mask_phone(address.phone)
    street = address.street.strip()
    if language == "zh":
        # The four municipalities have the same name as province and city: say it once.
        places = [
            address.province,
            address.city if address.city != address.province else "",
            address.district,
        ]
        return f"{name} {phone} {''.join(places)}{street[:3]}***"
    places = [place for place in (address.district, address.city, address.province, address.country) if place]
    return f"{name}, {phone}, {street[:4].strip()}***, {', '.join(dict.fromkeys(places))}"
