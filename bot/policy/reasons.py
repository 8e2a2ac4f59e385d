"""Why a shopper wants something undone: a closed list, with labels in Chinese and English.

The groups are what the policy asks for: a fault is the shop's to pay for, a delivery problem is looked
into by a person, everything else (also: no reason given) is a change of mind.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

ReasonGroup = Literal["fault", "delivery", "no_fault"]


class Reason(StrEnum):
    CHANGED_MIND = "changed_mind"
    WRONG_SIZE = "wrong_size"
    QUALITY_FAULT = "quality_fault"
    DAMAGED = "damaged"
    WRONG_ITEM = "wrong_item"
    MISSING_ITEM = "missing_item"
    NOT_RECEIVED = "not_received"
    LATE = "late"
    NOT_AS_DESCRIBED = "not_as_described"
    OTHER = "other"

    @property
    def label(self) -> dict[str, str]:
        """What a shopper reads, by language."""
        return LABELS[self]

    @property
    def group(self) -> ReasonGroup:
        return GROUP_OF[self]


LABELS: dict[Reason, dict[str, str]] = {
    Reason.CHANGED_MIND: {"zh": "不想要了", "en": "Changed my mind"},
    Reason.WRONG_SIZE: {"zh": "尺码或规格不合适", "en": "Wrong size or option"},
    Reason.QUALITY_FAULT: {"zh": "质量问题", "en": "Quality fault"},
    Reason.DAMAGED: {"zh": "收到时已破损", "en": "Arrived damaged"},
    Reason.WRONG_ITEM: {"zh": "发错货", "en": "Wrong item sent"},
    Reason.MISSING_ITEM: {"zh": "少件、漏发", "en": "Item missing"},
    Reason.NOT_RECEIVED: {"zh": "没有收到货", "en": "Not received"},
    Reason.LATE: {"zh": "送达太晚", "en": "Too late"},
    Reason.NOT_AS_DESCRIBED: {"zh": "与描述不符", "en": "Not as described"},
    Reason.OTHER: {"zh": "其他原因", "en": "Other reason"},
}

GROUPS: dict[ReasonGroup, frozenset[Reason]] = {
    "fault": frozenset(
        {
            Reason.QUALITY_FAULT,
            Reason.DAMAGED,
            Reason.WRONG_ITEM,
            Reason.MISSING_ITEM,
            Reason.NOT_AS_DESCRIBED,
        }
    ),
    "delivery": frozenset({Reason.NOT_RECEIVED, Reason.LATE}),
    "no_fault": frozenset({Reason.CHANGED_MIND, Reason.WRONG_SIZE, Reason.OTHER}),
}

GROUP_OF: dict[Reason, ReasonGroup] = {
    reason: group for group, members in GROUPS.items() for reason in members
}


def group_of(reason: Reason | None) -> ReasonGroup:
    """The group a reason belongs to; no reason given is a change of mind."""
    return "no_fault" if reason is None else GROUP_OF[reason]
