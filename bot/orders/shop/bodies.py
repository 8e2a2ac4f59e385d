"""What the demo shop accepts in a body. The request shapes of `openapi.yaml`.

Unknown fields are refused: a client that sends `amuont` should hear about it.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from bot.orders.models import Operation, ProofKind
from bot.orders.shop.problems import Problem

# No control characters: they have no business in a name or an address, and break logs and databases.
_PLAIN = r"^[^\x00-\x1f\x7f]*$"
Text = Annotated[str, StringConstraints(max_length=200, pattern=_PLAIN)]
Filled = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_PLAIN)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
# A file in the assistant's store: a random name with the ending of its type.
EvidenceId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
Quantity = Annotated[int, Field(ge=1, le=999)]
Email = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$")]

B = TypeVar("B", bound="Body")


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MoneyBody(Body):
    """What the client expects; the shop computes for itself and compares."""

    amount: Annotated[int, Field(ge=0, le=10**12)]
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class ProofBody(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"properties": {"kind": {"const": "channel_account"}}},
                {"properties": {"order_number": {"type": "string"}}, "required": ["order_number"]},
            ]
        }
    )

    kind: ProofKind
    value: Filled
    order_number: Filled | None = None

    @model_validator(mode="after")
    def order_unless_account(self) -> ProofBody:
        if self.kind is not ProofKind.CHANNEL_ACCOUNT and self.order_number is None:
            raise ValueError("order_number is needed unless a channel account is proven")
        return self


class LineBody(Body):
    line_id: Id
    quantity: Quantity


class VariantLineBody(LineBody):
    variant_id: Id


class ProtectedLineBody(Body):
    line_id: Id
    quantity: Quantity | None = None  # all that is open, when given


class AddressBody(Body):
    """What is left out, or still masked with `*`, stays as it is."""

    name: Text | None = None
    phone: Text | None = None
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None
    province: Text | None = None
    city: Text | None = None
    district: Text | None = None
    street: Text | None = None
    postcode: Text | None = None


class CancelBody(Body):
    reason: Text = ""
    amount: MoneyBody | None = None


class ChangeAddressBody(Body):
    address: AddressBody


class ChangeItemsBody(Body):
    lines: tuple[VariantLineBody, ...] = Field(min_length=1, max_length=50)


class RefundBody(Body):
    lines: tuple[LineBody, ...] = Field(min_length=1, max_length=50)
    reason: Text = ""
    amount: MoneyBody | None = None
    destination: Literal["original", "gift_card"] = "original"


class ReturnBody(Body):
    lines: tuple[LineBody, ...] = Field(min_length=1, max_length=50)
    reason: Text = ""
    opened: bool | None = None
    evidence: tuple[EvidenceId, ...] = Field(default=(), max_length=20)
    amount: MoneyBody | None = None
    destination: Literal["original", "gift_card"] = "original"


class ExchangeBody(Body):
    lines: tuple[VariantLineBody, ...] = Field(min_length=1, max_length=50)
    reason: Text = ""
    evidence: tuple[EvidenceId, ...] = Field(default=(), max_length=20)


class UpdateRequestBody(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"properties": {"lines": {"type": "array"}}, "required": ["lines"]},
                {"properties": {"reason": {"type": "string"}}, "required": ["reason"]},
                {"properties": {"evidence": {"type": "array"}}, "required": ["evidence"]},
            ]
        }
    )

    lines: tuple[LineBody, ...] | None = Field(default=None, min_length=1, max_length=50)
    reason: Text | None = None
    evidence: tuple[EvidenceId, ...] | None = Field(default=None, max_length=20)

    @model_validator(mode="after")
    def something(self) -> UpdateRequestBody:
        if self.lines is None and self.reason is None and self.evidence is None:
            raise ValueError("give at least one of lines, reason and evidence")
        return self


class WithdrawRequestBody(Body):
    reason: Text = ""


class InvoiceBody(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"properties": {"kind": {"const": "personal"}}},
                {"properties": {"tax_number": {"minLength": 1}}, "required": ["tax_number"]},
            ]
        }
    )

    kind: Literal["personal", "company"]
    title: Filled
    tax_number: Annotated[str, StringConstraints(max_length=40, pattern=r"^[A-Za-z0-9-]*$")] = ""
    email: Email

    @model_validator(mode="after")
    def company_has_tax_number(self) -> InvoiceBody:
        if self.kind == "company" and not self.tax_number:
            raise ValueError("a company's invoice needs its tax_number")
        return self


class PriceProtectionBody(Body):
    lines: tuple[ProtectedLineBody, ...] = Field(min_length=1, max_length=50)
    amount: MoneyBody | None = None


BODIES: dict[Operation, type[Body]] = {
    Operation.CANCEL: CancelBody,
    Operation.CHANGE_ADDRESS: ChangeAddressBody,
    Operation.CHANGE_ITEMS: ChangeItemsBody,
    Operation.REFUND: RefundBody,
    Operation.RETURN: ReturnBody,
    Operation.EXCHANGE: ExchangeBody,
    Operation.UPDATE_REQUEST: UpdateRequestBody,
    Operation.WITHDRAW_REQUEST: WithdrawRequestBody,
    Operation.SEND_INVOICE: InvoiceBody,
    Operation.PRICE_PROTECTION: PriceProtectionBody,
}


def parse(shape: type[B], raw: bytes) -> B:
    """The body as `shape`.

    Raises:
        Problem: ``invalid``, naming the fields.
    """
    try:
        # JSON mode: strict, yet arrays are tuples and strings are enums.
        return shape.model_validate_json(raw)
    except ValidationError as exc:
        names = {".".join(str(part) for part in error["loc"]) for error in exc.errors()}
        raise Problem("invalid", fields=tuple(sorted(names - {""}))) from exc


def canonical(body: Body) -> str:
    """The same text for the same request, whatever the order of its fields: what a key is bound to."""
    content: Any = body.model_dump(mode="json")
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
