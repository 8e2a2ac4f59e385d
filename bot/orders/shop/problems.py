"""What the demo shop answers when it will not: application/problem+json (RFC 9457) with a code.

A problem never carries order data: the same refusal reads the same, byte for byte, for an order that
exists and for one that does not.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

# code -> (status, title)
PROBLEMS: Mapping[str, tuple[int, str]] = {
    "invalid": (400, "The request does not have the shape of the contract."),
    "unauthorized": (401, "The API key is missing or wrong."),
    "proof_rejected": (403, "The proof does not open this, or there is nothing to open."),
    "proof_expired": (403, "The proof was good and is too old; prove again."),
    "not_found": (404, "There is no such thing for this proof."),
    "request_not_found": (404, "The order has no such request."),
    "method_not_allowed": (405, "This path does not know this method."),
    "wrong_state": (409, "The state of the order or of the request does not allow this."),
    "nothing_open": (409, "More is asked for than is still open on a line."),
    "unknown_line": (409, "The order has no such line."),
    "unknown_variant": (409, "There is no such variant of this product."),
    "out_of_stock": (409, "The wanted variant is not in stock."),
    "nothing_to_change": (409, "The order is already as asked for."),
    "amount_mismatch": (409, "The amount is not what the shop computes; read the order again."),
    "payment_required": (409, "The change costs more than was paid; the shop cannot collect the difference."),
    "no_price_drop": (409, "The price has not fallen below what was paid."),
    "stale_version": (412, "The order changed since this version was read."),
    "too_large": (413, "The body is too large."),
    "unsupported_media_type": (415, "The body must be application/json."),
    "key_reused": (422, "This idempotency key was used for another request."),
    "missing_precondition": (428, "Idempotency-Key and If-Match are required."),
    "server_error": (500, "The shop has an error of its own; nothing was written."),
    "unavailable": (503, "The shop is not available; try again."),
}


class Problem(Exception):
    """An answer other than success. `fields` names what was wrong in a body, never its value."""

    def __init__(self, code: str, *, fields: tuple[str, ...] = ()) -> None:
        assert code in PROBLEMS, f"{code} is no problem of the contract"
        super().__init__(code)
        self.code = code
        self.fields = fields

    def response(self, headers: Mapping[str, str] | None = None) -> web.Response:
        status, title = PROBLEMS[self.code]
        content: dict[str, object] = {
            "type": "about:blank",
            "title": title,
            "status": status,
            "code": self.code,
        }
        if self.fields:
            content["fields"] = list(self.fields)
        return web.json_response(
            content, status=status, content_type="application/problem+json", headers=headers
        )
