"""Every error Kefu raises on purpose, in one tree.

    KefuError
    ├── SettingsError            a setting is missing, unknown or impossible
    ├── ProgramError             a program cannot start: port taken, crashed, never healthy
    ├── TrainingError            the dialogue model cannot be trained, tested or found
    ├── OrderError               anything the order API or its client reports
    │   ├── ProofRejected        the proof does not open this order (or there is no such order: same answer)
    │   ├── ProofExpired         the proof was good and is too old for this operation
    │   ├── OrderRefused         the shop refused the operation; `code` says why
    │   │   └── StaleOrder       the order changed since it was read
    │   ├── OutcomeUnknown       a write was sent and its fate could not be read back
    │   ├── ReceiptMismatch      the shop wrote something else than was consented to
    │   └── ShopUnavailable      the shop cannot be reached or answers with an error of its own
    ├── PolicyError              the policy file is not valid; names file, rule and remedy
    ├── ConsentError             a "yes" that is not bound to the plan on the table
    ├── UnbackedClaim            a reply claims an action and carries no receipt of it; never send it
    ├── IdentityLocked           too many wrong proofs; only a person can go on
    ├── DialogueUnavailable      Rasa cannot be reached or did not answer in time
    │   └── TurnFailed           Rasa answered, but with an error for this very message
    ├── ChannelError             a platform refused, or sent something we refuse
    │   ├── TokenRejected        a visitor, identity or link token is forged, expired or of another site
    │   ├── MediaRefused         a file is too big, of a kind we do not take, or not what it says
    │   ├── StorageUnavailable   the store of files refuses or is not there; names the remedy
    │   └── TooMany              a rate or connection limit is reached
    ├── KnowledgeError           an article is not valid; names file, line and remedy
    ├── DeskError                a person at the desk may not do this, or not so
    ├── GeneratorError           the generator cannot answer
    │   └── NoReranker           it can, but reads no sections: another's server, or generator.reranker is none
    ├── PrivacyError             personal data cannot be masked, opened, exported or erased as asked
    ├── RecordMissing            there is no such conversation, turn or shopper on record
    └── OwnershipLost            somebody else owns the conversation now; drop the reply

Messages name the thing and the remedy. None of them is ever shown to a shopper.
"""

from __future__ import annotations


class KefuError(Exception):
    """Root of Kefu's own errors."""


class SettingsError(KefuError):
    """A setting is missing, unknown or impossible."""


class ProgramError(KefuError):
    """A program cannot start: its port is taken, it crashed, or it never became healthy."""


class TrainingError(KefuError):
    """The dialogue model cannot be trained, tested or found."""


class OrderError(KefuError):
    """Anything the order API or its client reports.

    `code` is the problem+json code of the order API, for example ``proof_rejected``.
    """

    code = "order_error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class ProofRejected(OrderError):
    """The proof does not open this order, or there is no such order: the shop does not say which."""

    code = "proof_rejected"


class ProofExpired(OrderError):
    """The proof was good once and is too old for this operation."""

    code = "proof_expired"


class OrderRefused(OrderError):
    """The shop refused the operation. `code` says why."""

    code = "refused"


class StaleOrder(OrderRefused):
    """The order changed since it was read: read it again and make a new plan."""

    code = "stale_version"


class OutcomeUnknown(OrderError):
    """A write was sent, no answer came, and its fate could not be read back under its key."""

    code = "outcome_unknown"


class ReceiptMismatch(OrderError):
    """The shop's receipt is not for what the shopper consented to. Only a person can sort that out."""

    code = "receipt_mismatch"


class ShopUnavailable(OrderError):
    """The shop cannot be reached, or answers with an error of its own; nothing was written."""

    code = "shop_unavailable"


class PolicyError(KefuError):
    """The policy file is not valid."""


class ConsentError(KefuError):
    """A "yes" that is not bound to the plan on the table: expired, changed or never shown."""


class UnbackedClaim(KefuError):
    """A reply claims an action and carries no receipt of it. `claims` are the `bot.claims.Claim` found."""

    def __init__(self, message: str, claims: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.claims = claims


class IdentityLocked(KefuError):
    """Too many wrong proofs. Only a person can go on."""


class DialogueUnavailable(KefuError):
    """Rasa cannot be reached or did not answer in time."""


class TurnFailed(DialogueUnavailable):
    """Rasa answered, but with an error for this very message: trying often will not help."""


class ChannelError(KefuError):
    """A platform refused, or sent something we refuse."""


class TokenRejected(ChannelError):
    """A visitor, identity or link token is forged, expired or of another site."""


class StorageUnavailable(ChannelError):
    """The store of files refuses, or is not there. `code` is the store's own word for why."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class MediaRefused(ChannelError):
    """A file is too big, of a kind we do not take, or not what it says. `code` is for the client."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class TooMany(ChannelError):
    """A rate or connection limit is reached. `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class KnowledgeError(KefuError):
    """An article is not valid."""


class DeskError(KefuError):
    """A person at the desk may not do this, or not so. `code` is for the page, `status` for HTTP."""

    def __init__(self, message: str, *, code: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class GeneratorError(KefuError):
    """The generator cannot answer."""


class CertificateVoid(GeneratorError):
    """A certificate was made for another model, index, policy or the like than is in use."""


class NotServed(GeneratorError):
    """The generator answers and does not serve a request of this form."""


class NoReranker(GeneratorError):
    """The generator answers and has no reranker."""


class PrivacyError(KefuError):
    """Personal data cannot be opened, exported or erased as asked: a key is missing, a place is out of reach."""


class RecordMissing(KefuError):
    """There is no such conversation, turn or shopper on record."""


class OwnershipLost(KefuError):
    """Somebody else owns the conversation now; the reply must be dropped."""
