"""Invoices: issuing one, sending it again. For whom, which tax number, to which e-mail."""

from __future__ import annotations

import re
import unicodedata
from datetime import date

from actions.orders import hear_order, need_order
from actions.plans import act_on_consent, hear_consent, judge, propose
from actions.tasks import Option
from actions.topic import ASIDES, GOALS, SURE, Talk, TopicAction
from bot.entities import read_entities
from bot.formats import shop_timezone
from bot.identity import ProofLevel
from bot.identity.proofs import EMAIL
from bot.orders.models import Operation
from bot.references import fold

KINDS = {"zh": ("个人", "公司"), "en": ("Personal", "Company")}
COMPANY = re.compile(
    r"公司|企业|单位|税号|\bcompany\b|\bbusiness\b|\bcorporate\b|\bvat\b|\btax (?:number|id)\b", re.I
)
PERSONAL = re.compile(r"个人|私人|\bpersonal\b|\bprivate\b|\bindividual\b", re.I)
# The unified social credit code has 18 characters; foreign tax numbers have 8 to 20 with a digit among them.
TAX_NUMBER = re.compile(r"(?<![A-Za-z0-9@.])(?=[A-Za-z0-9-]*\d)[A-Z0-9][A-Z0-9-]{7,19}(?![A-Za-z0-9@])", re.I)
TAX_CUED = re.compile(
    rf"(?:税号|纳税人识别号|识别号|信用代码|\b(?:tax|vat)(?: (?:number|id|no\.?|code|registration))*|\bvatin|\btin|\bein)\s*(?:[改换]?[成为]|是|is|[::#])*\s*({TAX_NUMBER.pattern})",
    re.I,
)
TAX_SHAPE = re.compile(
    r"(?<![A-Za-z0-9@.])(?:(?=[0-9A-Z]*[A-Z])(?:[0-9A-HJ-NP-RTUWXY]{2}\d{6}[0-9A-HJ-NP-RTUWXY]{10})|[A-Z]{2}\d{8,12})(?![A-Za-z0-9@])",
    re.I,
)
TITLE = re.compile(r"(?:抬头|公司名称?|名称|title|name)\s*(?:是|为|is|[::])?\s*([^,,。;;\n]{2,80})", re.I)
COMPANY_NAME = re.compile(
    r"[\u3400-\u9fff()（）A-Za-z0-9]{2,40}(?:公司|集团|事务所|工作室|中心|学校|大学|医院|研究院|厂|店)"
)
TALK_BEFORE = re.compile(
    r"^(?:抬头|公司名称?|名称|你好|您好|我们?|想要?|需?要|请|麻烦|帮我?|给我?|能不能|能|可以|开具?|一[个张份]|个|张(?=公司|企业|单位|的)|的|是|为|用|写|[换改]成)+"
)
_KIND = r"(?:公司|企业|单位|个人|私人|税号)"
_KIND_EN = r"(?:company|business|corporate|personal|private|individual|vat|tax (?:number|id))"
# Of "不要公司抬头，开个人" only the second is wanted.
NOT_WANTED = re.compile(
    rf"(?:(?<!是)不是|(?<!要)不要|(?<!用)不用|(?<!开)不开|不需要|不想[要开]?|不走|不再|(?<!能)不能|别[开用写]?|无需|(?<!有)没有?|而非|取消)(?:再)?(?:开)?[^,，。;；!！?？\n公企单个私税]{{0,4}}"
    rf"{_KIND}(?:的|抬头|发票|名义|名称|那种|那张)*(?:了)?"
    rf"|{_KIND}(?:的|抬头|发票|名义|那个|那种|那张|也|就|都|我)*(?:不要|不用|不开|不需要|不对|不行|算了|取消|作废|开错|写错|填错|错)(?:了|啦)?"
    rf"|\b(?:not|no|don'?t|doesn'?t|isn'?t|without|instead of|rather than|other than|no longer|wrong)\b[^,.;!?\n]{{0,30}}?\b{_KIND_EN}\b(?: (?:one|invoice|title|name|any ?more))*"
    rf"|\b{_KIND_EN}(?: (?:one|invoice|title|name))? (?:is|was) (?:wrong|not (?:right|needed|wanted)|a mistake)",
    re.I,
)
# "我个人", "公司邮箱" and "personal email" speak of no invoice.
ASIDE = re.compile(
    rf"我个人|个人(?:认为|觉得|感觉|建议)|{_KIND}(?:的)?(?:邮箱|邮件|电话|手机|账户)|\b{_KIND_EN} (?:e-?mail|mail|address|phone|inbox)\b",
    re.I,
)
# "公司改成个人", "from company to personal": what follows is wanted.
TURNED_TO = re.compile(
    rf"(?:[改换变转](?:一下)?(?:成|为|到|开|用|做|作)?|成|为)(?:开)?(?:一?[张个份])?\s*(?P<zh>{_KIND})|\b(?:to|into|as)\s+(?:an? |my |the |our )?(?P<en>{_KIND_EN})\b",
    re.I,
)
# "不是小树公司，是大树公司": the first is not the title.
NOT_CALLED = re.compile(r"(?:不是|不要|不叫|别写)[^,，。;；\n]{2,40}?(?:[,，。;；\n]\s*|(?=是|应该|改成))")
NO_TITLE = re.compile(
    r"(?:我?(?:没有?|不知道|不清楚|不记得|忘了|随便|都行|无)|no(?:ne)?|i don'?t know|not sure|whatever)(?:了|的|啊|呢)?",
    re.I,
)
COMPANY_NAME_EN = re.compile(
    r"\b[A-Z][\w&.,' -]{1,60}?\b(?:Ltd|Limited|Inc|LLC|GmbH|Co|Corp|Corporation|PLC|B\.?V|S\.?A)\b\.?"
)


def read_kind(text: str) -> str | None:
    """For whom the invoice is wanted, "company" or "personal"; None when it is not said, or both are."""
    text = NOT_WANTED.sub(" ", ASIDE.sub(" ", unicodedata.normalize("NFKC", text)))
    if turned := [found["zh"] or found["en"] for found in TURNED_TO.finditer(text)]:
        return "personal" if PERSONAL.search(turned[-1]) else "company"
    named = COMPANY_NAME_EN.search(text) is not None
    company = named or COMPANY.search(text) is not None
    personal = PERSONAL.search(COMPANY_NAME_EN.sub(" ", text)) is not None
    if company and personal:
        return None
    return "company" if company else "personal" if personal else None


def denied_kinds(text: str) -> set[str]:
    """What the invoice is not to be: "不要公司抬头"."""
    denied = [found[0] for found in NOT_WANTED.finditer(ASIDE.sub(" ", text))]
    return {
        kind
        for one in denied
        for kind, word in (("company", COMPANY), ("personal", PERSONAL))
        if word.search(one)
    }


def read_tax_number(text: str, today: date, *, asked: bool = False) -> str | None:
    """The tax number in a message: named as one, of a shape that nothing else has, or asked for."""
    if cued := TAX_CUED.search(text):
        return cued[1].upper()
    for one in reversed(read_entities(text, today)):
        # A number of fifteen digits looks like an order's; the order of this task is blanked by the caller.
        alone = asked and one.kind == "order_number" and one.text.strip() == text.strip(" ,.。")
        if one.kind in ("phone", "order_number", "date", "money", "tracking_number", "email") and not alone:
            text = text[: one.start] + " " * (one.end - one.start) + text[one.end :]
    found = (TAX_NUMBER if asked else TAX_SHAPE).search(text)
    return found[0].upper() if found else None


def company_named(text: str) -> str | None:
    """The company's name in a sentence; "我要开公司发票" names none."""
    for found in (*COMPANY_NAME.finditer(text), *COMPANY_NAME_EN.finditer(text)):
        name = TALK_BEFORE.sub("", found[0]).strip()
        if len(name) >= 4 and fold(name) != "company":
            return name
    return None


class InvoiceForm(TopicAction):
    topic = "invoice"
    intents = frozenset({"invoice"})
    writes = True
    operations = (Operation.SEND_INVOICE,)

    async def hear(self, talk: Talk) -> bool:
        heard = [not self._is_tax_number(talk) and hear_order(talk), self.hear_particulars(talk)]
        return any(heard) or hear_consent(talk)

    def _is_tax_number(self, talk: Talk) -> bool:
        """Whether the message is the tax number that was asked for: fifteen digits look like an order's number."""
        said = unicodedata.normalize("NFKC", talk.turn.text).strip(" ,.。")
        asked = talk.task.asked == "invoice_tax" and not talk.turn.pressed
        return asked and TAX_NUMBER.fullmatch(said) is not None

    def hear_particulars(self, talk: Talk) -> bool:
        """Kind, title, tax number and e-mail, in any order and several at once."""
        turn, task = talk.turn, talk.task
        if not turn.fresh:
            return False
        before = {key: task.values.get(key) for key in ("said_kind", "said_title", "said_tax", "said_email")}
        if task.asked == "invoice_kind":
            # A typed title of a button may be a denied one: "不要公司的".
            plain = turn.pressed or not (COMPANY.search(turn.text) or PERSONAL.search(turn.text))
            if plain and (kind := talk.chosen()):
                self._take_kind(talk, kind)
        if not turn.pressed:
            self._read(talk, unicodedata.normalize("NFKC", turn.text))
        after = {key: task.values.get(key) for key in before}
        if after != before:
            task.plan = None
        return after != before

    def _take_kind(self, talk: Talk, kind: str) -> None:
        """Another kind begins anew: a company's title and tax number are nobody's own, and the other way round."""
        values = talk.task.values
        if values.get("said_kind") not in (None, kind):
            values.pop("said_title", None)
            values.pop("said_tax", None)
        values["said_kind"] = kind

    def _read(self, talk: Talk, text: str) -> None:
        turn, task = talk.turn, talk.task
        values = task.values
        if task.asked != "proof" and (email := EMAIL.search(text)):
            values["said_email"] = email[0]
            text = text.replace(email[0], " ")
        kind = read_kind(text)
        if kind is not None:
            self._take_kind(talk, kind)
        elif values.get("said_kind") in denied_kinds(text):
            # "不要公司的" and no more: for whom then is asked, also where an old invoice would say it.
            for name in ("said_kind", "said_title", "said_tax"):
                values.pop(name, None)
            values["said_anew"] = True
        text = NOT_CALLED.sub(" ", NOT_WANTED.sub(" ", text))
        if task.order_number:
            text = text.replace(task.order_number, " ")
        if values.get("said_kind") == "company" and task.asked not in ("proof", "order_number"):
            today = talk.services.now().astimezone(shop_timezone()).date()
            if tax := read_tax_number(text, today, asked=task.asked == "invoice_tax"):
                values["said_tax"] = tax
                text = re.sub(re.escape(tax), " ", text, flags=re.I)
            if named := company_named(text):
                values["said_title"] = named
        titled = TITLE.search(text)
        if task.asked != "invoice_title" or values.get("said_kind") != "company":
            return
        if titled and len(name := TALK_BEFORE.sub("", titled[1]).strip()) >= 2:
            values["said_title"] = name
        elif values.get("said_title") is None:
            elsewhere = turn.intent in GOALS | ASIDES and turn.confidence >= SURE
            stripped = text.strip(" ,.。")
            if (
                2 <= len(stripped) <= 80
                and not elsewhere
                and kind is None
                and not NO_TITLE.fullmatch(stripped)
                and re.search(r"[\u3400-\u9fffA-Za-z]{2}", stripped)
            ):
                values["said_title"] = stripped

    async def steps(self, talk: Talk) -> None:
        order, grant = await need_order(talk, ProofLevel.WRITE)
        await act_on_consent(talk, grant)
        decision = judge(talk, Operation.SEND_INVOICE, order)
        values, zh = talk.task.values, talk.language == "zh"
        old = order.invoice
        if old is not None and "said_kind" not in values and "said_anew" not in values:
            # Sending again: the particulars stay; only the e-mail, which the shop shows masked, is needed.
            values.update(said_kind=old.kind, said_title=old.title, said_tax=old.tax_number)
        if "said_kind" not in values:
            personal, company = KINDS[talk.language]
            options = [Option(title=personal, value="personal"), Option(title=company, value="company")]
            talk.ask("invoice_kind", "ask_invoice_kind", options=options)
        kind = values["said_kind"]
        if kind == "company" and not (values.get("said_title") and values.get("said_tax")):
            missing = "ask_invoice_title" if not values.get("said_title") else "ask_invoice_tax"
            talk.ask("invoice_title" if not values.get("said_title") else "invoice_tax", missing)
        if not values.get("said_email"):
            talk.ask("invoice_email", "ask_invoice_email")
        title = values.get("said_title") or order.address.name
        body = {"kind": kind, "title": title, "email": values["said_email"]}
        tax = values.get("said_tax") if kind == "company" else ""
        if tax:
            body["tax_number"] = tax
        names = ("抬头", "税号", "邮箱") if zh else ("Title", "Tax number", "E-mail")
        colon = "：" if zh else ": "
        rows = [
            f"{names[0]}{colon}{title}",
            *([f"{names[1]}{colon}{tax}"] if tax else []),
            f"{names[2]}{colon}{body['email']}",
        ]
        propose(talk, order, decision, body, note="\n".join(rows))
