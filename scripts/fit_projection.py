"""Learn the search's projection (bot/knowledge/projection.py) on the invented shops and write projection.safetensors.

    python scripts/fit_projection.py [--out FILE] [--epochs 20] [--seed 0]

The encoders stay as they are; what is learned is one linear map for questions and one each for headings, texts and sentences.
The loss is that of a search: softmax over the sections of a shop, or of several shops of one language together, of the joined
score of encoders and projection, so that the projection learns what the encoders do not know. Held-out shops are only
measured. The first run encodes all shops (a quarter of an hour on two cores), later ones take two minutes.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn.functional import normalize

from bot.generator.shops import Shop, read_shop, shop_files
from bot.knowledge.base import default_cache
from bot.knowledge.encoders import ENCODERS, EmbeddingCache, encoder
from bot.knowledge.hybrid import PIECES, WEIGHTS, Fusion, encode_chunks, sentence_index
from bot.knowledge.projection import FILE, PARTS
from bot.knowledge.tokens import fold

DIMENSIONS = 256
LEARNING_RATE = 1e-3  # falls to 0
WEIGHT_DECAY = 1e-2
DROPOUT = 0.5  # of the encoders' numbers
TOGETHER = 6  # shops of one language searched as one, at most: a larger shop has more neighbours


@dataclass
class Vectors:
    """A shop as vectors: questions, sections, and which section answers which question."""

    language: str
    held_out: bool
    question: torch.Tensor  # questions x inputs, the encoders side by side
    part: dict[str, torch.Tensor]  # heading, text: sections x inputs; sentence: sentences x inputs
    section: torch.Tensor  # of every sentence
    answers: torch.Tensor  # questions x sections

    def joined(self) -> torch.Tensor:
        """The encoders' own scores, as the search adds them."""
        total = torch.zeros_like(self.answers)
        start, share = 0, Fusion.heading_share
        for name in ENCODERS:
            stop = start + encoder(name).dimensions
            asked = self.question[:, start:stop]
            heading, text = (asked @ self.part[part][:, start:stop].T for part in ("heading", "text"))
            total += WEIGHTS[name] * _standard(share * heading + (1 - share) * text)
            if name == PIECES:
                total += WEIGHTS["sentences"] * _standard(self.nearest(asked @ self.part["sentence"].T))
            start = stop
        return total

    def nearest(self, cosines: torch.Tensor) -> torch.Tensor:
        """Per section the largest of its sentences' cosines."""
        none = torch.full_like(self.answers, -2.0)
        return none.scatter_reduce(1, self.section.expand(len(cosines), -1), cosines, "amax")


def _standard(scores: torch.Tensor) -> torch.Tensor:
    return (scores - scores.mean(1, keepdim=True)) / scores.std(1, keepdim=True).clamp_min(1e-6)


def vectors_of(shop: Shop, cache: EmbeddingCache) -> Vectors:
    """Encode one shop."""
    asked = [q for q in shop.questions if q.answerable]
    texts = [fold(q.question).strip() for q in asked]
    questions = [cache.encode(encoder(name), texts, "query") for name in ENCODERS]
    chunks = encode_chunks(shop.chunks, ENCODERS, cache)
    headings, bodies = zip(*(chunks[name] for name in ENCODERS), strict=True)
    sentences = sentence_index(shop.chunks, cache)
    return Vectors(
        shop.language,
        shop.held_out,
        torch.tensor(np.hstack(questions)),
        {
            "heading": torch.tensor(np.hstack(headings)),
            "text": torch.tensor(np.hstack(bodies)),
            "sentence": torch.tensor(sentences.vectors),
        },
        torch.arange(len(shop.chunks)).repeat_interleave(torch.tensor(sentences.counts)),
        torch.tensor([[float(c.id in q.evidence) for c in shop.chunks] for q in asked]),
    )


def together(shops: Sequence[Vectors]) -> Vectors:
    """Several shops as one."""
    before = np.cumsum([0, *(shop.answers.shape[1] for shop in shops)])
    return Vectors(
        shops[0].language,
        shops[0].held_out,
        torch.cat([shop.question for shop in shops]),
        {part: torch.cat([shop.part[part] for shop in shops]) for part in PARTS},
        torch.cat([shop.section + int(n) for shop, n in zip(shops, before, strict=False)]),
        torch.block_diag(*[shop.answers for shop in shops]),
    )


def drawn(shops: Sequence[Vectors], rng: random.Random) -> Iterator[Vectors]:
    """Every shop once, alone or with others of its language."""
    left = rng.sample(list(shops), len(shops))
    while left:
        first = left.pop()
        others = [shop for shop in left if shop.language == first.language][: rng.randint(0, TOGETHER - 1)]
        left = [shop for shop in left if all(shop is not other for other in others)]
        yield together([first, *others])


class Joined(torch.nn.Module):
    """Encoders and projection as one score."""

    def __init__(self) -> None:
        super().__init__()
        both = sum(encoder(name).dimensions for name in ENCODERS)
        sizes = {"question": both, "heading": both, "text": both, "sentence": encoder(PIECES).dimensions}
        self.maps = torch.nn.ParameterDict(
            {name: torch.nn.Parameter(torch.empty(DIMENSIONS, size)) for name, size in sizes.items()}
        )
        torch.nn.init.normal_(self.maps["question"], std=0.5 / both**0.5)
        with torch.no_grad():  # at first a random projection of each encoder's own cosine
            for name in PARTS:
                self.maps[name].copy_(self.maps["question"][:, : sizes[name]])
        self.weight = torch.nn.Parameter(torch.tensor([3.0, 8.0, 4.0]))  # of PARTS
        self.encoders = torch.nn.Parameter(torch.tensor(0.8))
        self.dropout = torch.nn.Dropout(DROPOUT)

    def forward(self, shop: Vectors) -> torch.Tensor:
        def mapped(kind: str, vectors: torch.Tensor) -> torch.Tensor:
            return normalize(self.dropout(vectors) @ self.maps[kind].T, dim=1)

        asked = mapped("question", shop.question)
        cosines = {part: asked @ mapped(part, shop.part[part]).T for part in PARTS}
        cosines["sentence"] = shop.nearest(cosines["sentence"])
        return self.encoders * shop.joined() + sum(
            w * cosines[p] for w, p in zip(self.weight, PARTS, strict=True)
        )


def report(name: str, scores: Sequence[torch.Tensor], shops: Sequence[Vectors]) -> None:
    """Share of the questions whose section is among the first 1, 5, 8 and 16."""
    places = []
    for score, shop in zip(scores, shops, strict=True):
        best = score.masked_fill(shop.answers == 0, -torch.inf).amax(1, keepdim=True)
        places.append((score > best).sum(1) + 1)
    found = torch.cat(places)
    shares = "  ".join(f"R@{depth} {(found <= depth).float().mean():.3f}" for depth in (1, 5, 8, 16))
    print(f"{name}: {len(found)} questions  {shares}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args(argv)
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)
    cache = EmbeddingCache(default_cache())
    shops = [vectors_of(read_shop(path), cache) for path in shop_files()]
    train, held = [s for s in shops if not s.held_out], [s for s in shops if s.held_out]
    print(f"{len(train)} shops to learn from, {len(held)} held out")
    report("encoders alone, held out", [shop.joined() for shop in held], held)

    model = Joined()
    scales = [model.weight, model.encoders]
    optimizer = torch.optim.AdamW(
        [{"params": list(model.maps.values())}, {"params": scales, "weight_decay": 0.0}],
        lr=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
    )
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 - epoch / args.epochs)
    for epoch in range(1, args.epochs + 1):
        model.train()
        losses = []
        for shop in drawn(train, rng):
            logits = model(shop)
            right = logits.masked_fill(shop.answers == 0, -torch.inf)
            loss = (logits.logsumexp(1) - right.logsumexp(1)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        falling.step()
        if epoch % 5 == 0 or epoch == args.epochs:
            model.eval()
            with torch.no_grad():
                report(f"epoch {epoch}, loss {np.mean(losses):.3f}, held out", [model(s) for s in held], held)
    shares = model.weight.detach() / model.weight.detach().sum()
    print("weights:", dict(zip(PARTS, model.weight.tolist(), strict=True)), "encoders", model.encoders.item())
    save_file(
        {name: map_.detach().half() for name, map_ in model.maps.items()} | {"shares": shares}, args.out
    )
    print(f"written: {args.out}")


if __name__ == "__main__":
    main()
