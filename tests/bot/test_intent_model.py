"""The intent model on a small set of its own, with an encoder that needs no package."""

import zlib

import numpy as np
import pytest

from bot.intent_model import IntentModel, Options, Spelling, find_temperature, softmax

TEXTS = [
    *(
        f"where is my {thing}"
        for thing in (
            "order",
            "parcel",
            "package",
            "stuff",
            "shoes",
            "delivery",
            "coat",
            "box",
            "tent",
            "lamp",
        )
    ),
    *(
        f"i want my {thing} back"
        for thing in (
            "money",
            "cash",
            "payment",
            "refund",
            "dollars",
            "euros",
            "deposit",
            "funds",
            "coins",
            "pounds",
        )
    ),
    *(
        f"{word}快递到哪了"
        for word in ("我的", "请问", "亲", "那个", "今天", "这个", "昨天", "你好", "老板", "客服")
    ),
    *(
        f"{word}我要退款"
        for word in ("那", "亲", "好吧", "你好", "现在", "马上", "请", "客服", "老板", "快点")
    ),
]
INTENTS = ["delivery"] * 10 + ["refund"] * 10 + ["delivery"] * 10 + ["refund"] * 10


def encode(texts):
    """Bags of hashed words: a stand-in with the shape of the real thing."""
    rows = np.zeros((len(texts), 32), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.split():
            row[zlib.crc32(word.encode()) % 32] += 1
    return rows


@pytest.fixture(scope="module")
def model():
    return IntentModel.train(TEXTS, INTENTS, Options(iterations=30), encode, list)


def test_it_learns_both_languages(model):
    assert model.rank("where is my sofa")[0][0] == "delivery"
    assert model.rank("我要退款啊")[0][0] == "refund"


def test_scores_are_probabilities(model):
    assert sum(chance for _, chance in model.rank("hello")) == pytest.approx(1.0, abs=1e-4)


def test_the_same_examples_give_the_same_model(model):
    """Seeded: two trainings agree to the last digit that matters."""
    again = IntentModel.train(TEXTS, INTENTS, Options(iterations=30), encode, list)

    assert np.allclose(model.chances(TEXTS), again.chances(TEXTS), atol=1e-6)


def test_a_stored_model_says_the_same(model, tmp_path):
    model.save(tmp_path)
    loaded = IntentModel.load(tmp_path, encode, list)

    assert np.allclose(model.chances(TEXTS), loaded.chances(TEXTS), atol=2e-3)


def test_another_format_is_refused_with_the_remedy(model, tmp_path):
    model.save(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 1'))

    with pytest.raises(ValueError, match="Train again"):
        IntentModel.load(tmp_path, encode, list)


@pytest.mark.parametrize("text", ["", "\u200b", "😂" * 50, "x" * 100_000, "\u202eabc", "\x00\x01", "هل"])
def test_no_text_breaks_it(model, text):
    """Nothing, invisible, only smileys, very long, right to left, control characters."""
    assert model.rank(text)[0][1] > 0


def test_over_confident_scores_are_softened():
    """Scores ten times too large are found out on held-out labels."""
    rng = np.random.default_rng(1)
    honest = rng.normal(size=(2000, 4))
    labels = np.array([rng.choice(4, p=row) for row in softmax(honest)])

    assert find_temperature(honest * 10, labels) == pytest.approx(10, rel=0.2)


def test_unknown_letters_make_an_empty_row():
    spelling = Spelling.learn(["abc abc", "abc"], 3, 1)

    assert spelling.rows(["xyz"]).nnz == 0
