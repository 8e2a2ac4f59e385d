"""Invoices: issuing one, sending it again. For whom, which tax number, to which e-mail."""

from __future__ import annotations

import re
import unicodedata

from actions.orders import hear_order, need_order
from actions.plans import act_on_consent, hear_consent, judge, propose
from actions.tasks import Option
from actions.topic import ASIDES, GOALS, SURE, Talk, TopicAction
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
TITLE = re.compile(r"(?:抬头|公司名称?|名称|title|name)\s*(?:是|为|is|[::])?\s*([^,,。;;\n]{2,80})", re.I)
COMPANY_NAME = re.compile(
    r"[\u3400-\u9fff()（）A-Za-z0-9]{2,40}(?:公司|集团|事务所|工作室|中心|学校|大学|医院|研究院|厂|店)"
)
TALK_BEFORE = re.compile(
    r"^(?:抬头|公司名称?|名称|你好|您好|我们?|想要?|需?要|请|麻烦|帮我?|给我?|能不能|能|可以|开具?|[一个张]|的|是|为|用|写|[换改]成)+"
)
COMPANY_NAME_EN = re.compile(
    r"\b[A-Z][\w&.,' -]{1,60}?\b(?:Ltd|Limited|Inc|LLC|GmbH|Co|Corp|Corporation|PLC|B\.?V|S\.?A)\b\.?"
)


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
        heard = [hear_order(talk), self.hear_particulars(talk)]
        return any(heard) or hear_consent(talk)

    def hear_particulars(self, talk: Talk) -> bool:
        """Kind, title, tax number and e-mail, in any order and several at once."""
        turn, task = talk.turn, talk.task
        if not turn.fresh:
            return False
        before = {key: task.values.get(key) for key in ("said_kind", "said_title", "said_tax", "said_email")}
        if task.asked == "invoice_kind" and (kind := talk.chosen()):
            task.values["said_kind"] = kind
        if not turn.pressed:
            self._read(talk, unicodedata.normalize("NFKC", turn.text))
        after = {key: task.values.get(key) for key in before}
        if after != before:
            task.plan = None
        return after != before

    def _read(self, talk: Talk, text: str) -> None:
        turn, task = talk.turn, talk.task
        values = task.values
        if task.asked != "proof" and (email := EMAIL.search(text)):
            values["said_email"] = email[0]
            text = text.replace(email[0], " ")
        if COMPANY.search(text) or COMPANY_NAME_EN.search(text):
            values["said_kind"] = "company"
        elif PERSONAL.search(text):
            values["said_kind"] = "personal"
        if number := turn.value("order_number"):
            text = text.replace(str(number), " ")
        if values.get("said_kind") == "company" and task.asked not in ("proof", "order_number"):
            if tax := TAX_NUMBER.search(text):
                values["said_tax"] = tax[0].upper()
                text = text.replace(tax[0], " ")
            if named := company_named(text):
                values["said_title"] = named
        titled = TITLE.search(text)
        if titled and task.asked == "invoice_title":
            values["said_title"] = titled[1].strip()
        elif task.asked == "invoice_title" and values.get("said_title") is None:
            elsewhere = turn.intent in GOALS | ASIDES and turn.confidence >= SURE
            stripped = text.strip(" ,.。")
            if (
                2 <= len(stripped) <= 80
                and not elsewhere
                and re.search(r"[\u3400-\u9fffA-Za-z]{2}", stripped)
            ):
                values["said_title"] = stripped

    async def steps(self, talk: Talk) -> None:
        order, grant = await need_order(talk, ProofLevel.WRITE)
        await act_on_consent(talk, grant)
        decision = judge(talk, Operation.SEND_INVOICE, order)
        values, zh = talk.task.values, talk.language == "zh"
        old = order.invoice
        if old is not None and "said_kind" not in values:
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
