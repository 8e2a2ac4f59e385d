"""How much personal data the masking finds, on labelled texts: `kefu privacy measure --data FILE`.

The file is JSON as presidio-research writes it: a list of {"full_text", "spans": [{"entity_type",
"start_position", "end_position"}]}. Nothing here knows what the masking looks for beyond the table below.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from bot.exceptions import PrivacyError
from bot.privacy.masking import Found, find_personal

# What the masking promises to find, by the name the labels use. The others are counted beside it.
PROMISED = {
    "PHONE_NUMBER": "phone", "EMAIL_ADDRESS": "email", "CREDIT_CARD": "card", "IBAN_CODE": "iban", "US_SSN": "ssn",
    "IP_ADDRESS": "ip", "STREET_ADDRESS": "address",
}  # fmt: skip


def measure(path: Path) -> dict[str, Any]:
    """Per kind of label: how many, how many wholly and partly covered; and the precision of what was found.

    Names are measured twice: as the masking finds them in a bare text, and when it is told whose text it is.

    Raises:
        PrivacyError: the file cannot be read or has another shape.
    """
    try:
        texts = json.loads(path.read_text(encoding="utf-8"))
        rows = [
            (
                str(one["full_text"]),
                [(s["entity_type"], int(s["start_position"]), int(s["end_position"])) for s in one["spans"]],
            )
            for one in texts
        ]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise PrivacyError(
            f"{path} cannot be read as labelled texts (presidio-research JSON): {exc!r}"
        ) from exc
    total: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    partly: Counter[str] = Counter()
    found_kinds: Counter[str] = Counter()
    right_kinds: Counter[str] = Counter()
    names_known = 0
    for text, spans in rows:
        found = find_personal(text)
        for one in found:
            found_kinds[one.kind] += 1
            right_kinds[one.kind] += any(one.start < end and start < one.end for _, start, end in spans)
        for label, start, end in spans:
            total[label] += 1
            share = _covered(found, start, end)
            whole[label] += share >= 0.999
            partly[label] += 0 < share < 0.999
        names = [text[start:end] for label, start, end in spans if label == "PERSON"]
        told = find_personal(text, names)
        names_known += sum(
            _covered(told, start, end) >= 0.999 for label, start, end in spans if label == "PERSON"
        )
    promised = [label for label in PROMISED if total[label]]
    return {
        "texts": len(rows),
        "labels": {
            label: {
                "promised": label in PROMISED,
                "total": count,
                "whole": whole[label],
                "partly": partly[label],
                "recall": round(whole[label] / count, 4),
            }
            for label, count in total.most_common()
        },
        "recall_promised": _ratio(sum(whole[x] for x in promised), sum(total[x] for x in promised)),
        "precision": {
            kind: {"found": n, "right": right_kinds[kind], "precision": _ratio(right_kinds[kind], n)}
            for kind, n in found_kinds.most_common()
        },
        "precision_all": _ratio(sum(right_kinds.values()), sum(found_kinds.values())),
        "names_when_known": _ratio(names_known, total["PERSON"]),
    }


def _covered(found: list[Found], start: int, end: int) -> float:
    """The share of text[start:end], spaces included, that masking takes away."""
    if end <= start:
        return 1.0
    return sum(max(0, min(end, one.end) - max(start, one.start)) for one in found) / (end - start)


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def render(measured: dict[str, Any]) -> str:
    lines = [
        f"{measured['texts']} texts",
        f"{'label':<20} {'total':>6} {'whole':>6} {'partly':>6} {'recall':>7}",
    ]
    for label, one in measured["labels"].items():
        note = "" if one["promised"] else "   (not promised)"
        lines.append(
            f"{label:<20} {one['total']:>6} {one['whole']:>6} {one['partly']:>6} {one['recall']:>7.3f}{note}"
        )
    lines.append(f"{'promised kinds':<20} {'':>6} {'':>6} {'':>6} {measured['recall_promised'] or 0:>7.3f}")
    lines.append(f"names, when known: {measured['names_when_known']}")
    lines += ["", f"{'found as':<20} {'found':>6} {'right':>6} {'precision':>10}"]
    for kind, one in measured["precision"].items():
        lines.append(f"{kind:<20} {one['found']:>6} {one['right']:>6} {one['precision']:>10.3f}")
    lines.append(f"{'all':<20} {'':>6} {'':>6} {measured['precision_all'] or 0:>10.3f}")
    return "\n".join(lines)
