"""`kefu calibrate`: labelled conversations to a certificate, and audits to the drift monitor.

    kefu calibrate labels --out FILE.jsonl          writes what people at the desk judged
    kefu calibrate certify --labels FILE.jsonl      writes the certificate and an HTML page with plots
    kefu calibrate audit [--labels FILE.jsonl]      counts audited answers; raises the threshold by itself
    kefu calibrate show

A label is one line {conversation, at, p, wrong, risk} (`risk` is a class such as policy or product, `at`
ISO 8601; `alone` false is a draft that no shopper got from the bot), written by a person about one reply; one reply
per conversation is used. Labels are split by time: the earlier ones choose the grid, the later ones certify and are
used for nothing else.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.database import make_engine
from bot.exceptions import GeneratorError
from bot.generator.answering import risk_class
from bot.generator.binding import machine_hashes, machine_versions
from bot.generator.calibration import auroc, certify_strata, e_aurc, ece
from bot.generator.certificate import Certificate, issue
from bot.generator.drift import FILE as DRIFT_FILE
from bot.generator.drift import NO_CERTIFICATE, Audits
from bot.handoff.labels import Judged, for_calibration
from bot.jsonl import numbered_lines, texts_of
from bot.knowledge.base import Knowledge, default_folder
from bot.migrations import upgrade
from bot.settings import Settings, get_settings

calibrate = typer.Typer(
    help="Certify the threshold for answering alone.", no_args_is_help=True, add_completion=False
)


@dataclass(frozen=True)
class Label:
    """A person's word on one reply. `wrong` is true for anything but correct, complete and within policy; `alone` is
    false for a draft that a person sent, edited or discarded."""

    conversation: str
    at: str
    p: float
    wrong: bool
    risk: str = "product"
    alone: bool = True


def read_labels(path: Path, *, alone: bool = False) -> list[Label]:
    """Read labels; one per conversation, drawn by a fixed seed.

    Args:
        alone: only those of answers that were given alone; a label that does not say is of such an answer.

    Raises:
        GeneratorError: names file, line and remedy.
    """
    labels = []
    for number, line in numbered_lines(path, GeneratorError):
        try:
            raw = json.loads(line)
            p = float(raw["p"])
            if not 0 <= p <= 1:
                raise ValueError("p must lie between 0 and 1")
            if not isinstance(raw["wrong"], bool) or not isinstance(raw.get("alone", True), bool):
                raise TypeError("wrong, and alone where it is given, must be true or false")
            conversation = texts_of(raw["conversation"])
            if len(conversation) != 1:
                raise TypeError("conversation must be one name that is not blank")
            label = Label(
                conversation[0],
                _checked_time(raw["at"]),
                p,
                raw["wrong"],
                _checked_class(raw.get("risk")),
                raw.get("alone", True),
            )
        except (ValueError, KeyError, TypeError) as exc:
            raise GeneratorError(
                f"{path}:{number}: not a label ({exc!r}). Wanted: conversation, at (ISO 8601), p, wrong (true or false), risk."
            ) from exc
        labels.append(label)
    return one_each(label for label in labels if label.alone or not alone)


def _checked_time(raw: Any) -> str:
    """A time as it is written: which labels choose the grid and which certify goes by it.

    Raises:
        ValueError: it is none.
    """
    try:
        _time(raw)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"at must be a time, for example 2026-10-01T09:30:00+08:00, not {raw!r}") from exc
    return str(raw)


def _checked_class(raw: Any) -> str:
    """The class that a label's `risk` is judged in, read as articles are: "Policy" would be a class of its own.

    Raises:
        TypeError: it is no text.
    """
    if raw is not None and not isinstance(raw, str):
        raise TypeError(f"risk must be one word, for example policy, not {raw!r}")
    return risk_class((raw or "").strip().lower())


def one_each(labels: Iterable[Label]) -> list[Label]:
    """One label of every conversation, in order of time: replies of one conversation go wrong together."""
    by_conversation: dict[str, list[Label]] = {}
    for label in labels:
        by_conversation.setdefault(label.conversation, []).append(label)
    rng = random.Random(0)
    return sorted(
        (rng.choice(group) for group in by_conversation.values()),
        key=lambda x: (_time(x.at), x.conversation),  # texts of other time zones sort otherwise
    )


def certify_labels(labels: Sequence[Label], settings: Settings, hashes: dict[str, str]) -> Certificate:
    """Make a certificate from labels in order of time.

    Raises:
        GeneratorError: there are too few labels for any threshold to pass.
    """
    section = settings.generator
    labels = [
        label for label in labels if label.risk != "order"
    ]  # no certificate lets orders speak; their p is another
    cut = len(labels) // 4
    tune, cal = labels[:cut], labels[cut:]
    if len(cal) < 60:
        raise GeneratorError(
            f"{len(labels)} labelled conversations are too few: 45 answered without an error certify 5 % at 90 %, "
            "and a quarter of the labels only chooses the grid. Label at least 200."
        )
    names = sorted({x.risk for x in cal})
    alphas = {n: _alpha(settings, n) for n in names}
    scores: dict[str, list[float]] = {
        n: [x.p for x in tune if x.risk == n] or [x.p for x in tune] for n in names
    }
    classes = certify_strata(
        [x.p for x in cal],
        [float(x.wrong) for x in cal],
        [x.risk for x in cal],
        scores,
        alphas=alphas,
        delta=section.delta,
    )
    p, wrong = [x.p for x in cal], [float(x.wrong) for x in cal]
    metrics = {"auroc": auroc(p, wrong), "e_aurc": e_aurc(p, wrong), "ece": ece(p, [1 - w for w in wrong]),
               "error_rate": sum(wrong) / len(wrong)}  # fmt: skip
    return issue(classes, alphas=alphas, delta=section.delta, n=len(cal), hashes=hashes, metrics=metrics)


@calibrate.command("labels")
def export_labels(
    out: Annotated[Path, typer.Option(help="JSONL to write, for `certify` or `audit`.")],
    alone: Annotated[bool, typer.Option(help="Only answers given alone, for `audit`.")] = False,
    every_version: Annotated[
        bool, typer.Option(help="Also answers of an earlier model, prompt, index or policy.")
    ] = False,
) -> None:
    """Write the labels that people at the desk gave: drafts sent, edited or discarded, answers marked right or wrong."""
    settings = get_settings()
    machine = machine_versions(settings, _articles(settings))
    judged = [one for one in asyncio.run(_judged(settings)) if one.alone or not alone]
    wanted = [one for one in judged if every_version or one.versions == machine]
    names = ("conversation", "at", "p", "wrong", "risk", "alone")
    lines = (json.dumps({name: getattr(one, name) for name in names}) + "\n" for one in wanted)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(lines), encoding="utf-8")
    left_out = len(judged) - len(wanted)
    typer.echo(
        f"{len(wanted)} labels of {len({one.conversation for one in wanted})} conversations: {out}"
        + (f". {left_out} of an earlier model, prompt, index or policy were left out." if left_out else "")
    )


async def _judged(settings: Settings) -> list[Judged]:
    engine = make_engine(settings.sqlalchemy_url, settings.privacy)
    try:
        await upgrade(engine)
        async with engine.connect() as connection:
            return await for_calibration(connection)
    finally:
        await engine.dispose()


@calibrate.command()
def certify(
    labels: Annotated[Path, typer.Option(help="JSONL of labelled conversations.")],
    out: Annotated[
        Path | None, typer.Option(help="Certificate; default: certificate.json in the data folder.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="HTML page with plots; default: beside the certificate.")
    ] = None,
) -> None:
    """Turn labels into a certificate for exactly this model, adapter, prompt, index and policy."""
    settings = get_settings()
    found = read_labels(labels)
    articles = _articles(settings)
    certificate = certify_labels(found, settings, machine_hashes(settings, articles))
    target = out or settings.data_path("certificate.json")
    in_use = settings.generator.certificate
    certificate.save(target)
    # A new certificate begins without alarms; one made beside the certificate in use leaves that one's as they are.
    if in_use is None or in_use.resolve() == target.resolve():
        settings.data_path(DRIFT_FILE).unlink(missing_ok=True)
    _page(report or target.with_suffix(".html"), certificate, found)
    for name, c in certificate.classes.items():
        said = "nothing can be answered alone" if c.threshold is None else (
            f"p >= {c.threshold:.3f} answers {c.coverage:.0%}; {c.errors} wrong of {c.answered}, risk <= {c.upper_bound:.1%}"
        )  # fmt: skip
        typer.echo(f"{name:10s} alpha {c.alpha:.0%} delta {c.delta:.0%} n {c.n}: {said}")
    for name in sorted({risk_class(chunk.risk) for chunk in articles.chunks} - set(certificate.classes)):
        typer.echo(f"{name:10s} has no label: what its articles answer goes to a person")
    typer.echo(
        f"certificate {certificate.id}: {target}. Set generator.mode: certified and generator.certificate."
    )


@calibrate.command()
def audit(
    labels: Annotated[
        Path | None,
        typer.Option(help="JSONL of audited answers given alone; default: what was judged at the desk."),
    ] = None,
) -> None:
    """Count audited answers. After an alarm the class's next stricter certified threshold is used, then none."""
    settings = get_settings()
    file = settings.data_path(DRIFT_FILE)
    path = settings.generator.certificate
    certificate = Certificate.load(path) if path else None
    audits = Audits.load(file).of(certificate.id if certificate else NO_CERTIFICATE)
    known = set(audits.conversations)
    found = read_labels(labels, alone=True) if labels else _judged_alone(settings, certificate)
    fresh = [one for one in found if one.conversation not in known and one.risk != "order"]
    alarmed, below = set(), 0
    for one in fresh:
        # Answers of before an alarm say nothing against the stricter threshold that was not in use then.
        if certificate and not _would_be_given(certificate, one, audits.levels.get(one.risk, 0)):
            below += 1
            continue
        promised = certificate.promised(one.risk) if certificate else None
        alpha, delta = promised or (_alpha(settings, one.risk), settings.generator.delta)
        if audits.observe(one.risk, one.wrong, alpha=alpha, delta=delta):
            alarmed.add(one.risk)
    audits.count(one.conversation for one in fresh)
    audits.save(file)
    typer.echo(
        f"{len(fresh) - below} new audits of {len(found)}"
        + (f", {below} more below the present thresholds" if below else "")
        + f"; {len(audits.conversations)} conversations in all"
    )
    for risk, m in sorted(audits.monitors.items()):
        typer.echo(
            f"{risk:10s} {m.seen} audits, {m.wrong} wrong, {m.alpha:.0%} promised; e-value {m.wealth:.2f} "
            f"(alarm at {1 / m.delta:g}), {m.level} step(s) stricter"
        )
    for risk in sorted(alarmed):
        level = audits.monitors[risk].level
        said = f"ALARM: more wrong answers about {risk} than promised. Stricter by {level} step(s) from the next question on."
        typer.secho(said, fg="red", err=True)
    if certificate is None:
        typer.echo(
            "There is no certificate (generator.certificate): its thresholds are what an alarm raises."
        )


@calibrate.command()
def show(
    certificate: Annotated[Path | None, typer.Option(help="Default: the one in the settings.")] = None,
) -> None:
    """Print a certificate and whether it holds for this machine."""
    settings = get_settings()
    path = certificate or settings.generator.certificate or settings.data_path("certificate.json")
    found = Certificate.load(path)
    typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2))
    found.check(machine_hashes(settings, _articles(settings)))
    typer.echo("It holds for this machine.")


def _judged_alone(settings: Settings, certificate: Certificate | None) -> list[Label]:
    """What people at the desk said of answers that this very machine gave alone, since the certificate was made."""
    now = machine_versions(settings, _articles(settings))
    judged = asyncio.run(_judged(settings))
    return one_each(
        Label(one.conversation, one.at, one.p, one.wrong, risk_class(one.risk))
        for one in judged
        if one.alone
        and one.versions == now
        and (certificate is None or _time(one.at) > _time(certificate.made_at))
    )


def _would_be_given(certificate: Certificate, label: Label, alarms: int) -> bool:
    """Whether an answer of this p would be given alone now."""
    threshold = certificate.threshold(label.risk, alarms)
    return threshold is not None and label.p >= round(threshold, 4)  # decisions keep four places of p


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _articles(settings: Settings) -> Knowledge:
    return Knowledge.load(default_folder(settings))


def _alpha(settings: Settings, risk: str) -> float:
    section = settings.generator
    return section.alpha_policy if risk == "policy" else section.alpha


def _page(path: Path, certificate: Certificate, labels: Sequence[Label]) -> None:
    import html

    from bot.generator.report import STYLE, plots

    lines = sorted({c.threshold for c in certificate.classes.values() if c.threshold is not None})
    images = plots([x.p for x in labels], [float(x.wrong) for x in labels], lines)
    pictures = "".join(f"<img alt='' src='{i}'>" for i in images)
    said = html.escape(json.dumps(asdict(certificate), ensure_ascii=False, indent=2))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Kefu: certificate</title><style>{STYLE}</style>"
        f"<h1>Certificate {certificate.id}</h1>{pictures}<pre>{said}</pre></html>",
        encoding="utf-8",
    )
