"""Articles: what is read, what is refused, and that a refusal names file, line and remedy."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.exceptions import KnowledgeError
from bot.knowledge import Knowledge
from bot.knowledge.articles import parse_article

GOOD = """---
id: returns
language: en
valid_from: 2026-01-01
valid_to: 2026-12-31
products: [P1, P2]
risk: policy
---
# Returns

What this page is about.

## How long do I have? {#window}
Seven days.

```
## not a heading
```

## Who pays?
You do.

### Unless
it is faulty.
"""


def parse(source: str, name: str = "a.md"):
    return parse_article(source, Path(name))


def test_sections_become_chunks_with_heading_path_line_and_limits():
    article = parse(GOOD)
    assert [chunk.id for chunk in article.chunks] == ["returns/en#1", "returns/en#window", "returns/en#3"]
    first, second, third = article.chunks
    assert first.heading_path == ("Returns",)
    assert second.heading_path == ("Returns", "How long do I have?")
    assert second.line == GOOD.splitlines().index("## How long do I have? {#window}") + 1
    assert "## not a heading" in second.text
    assert "### Unless" in third.text
    assert (third.products, third.risk) == (("P1", "P2"), "policy")
    assert (third.valid_from, third.valid_to) == (date(2026, 1, 1), date(2026, 12, 31))


def test_a_file_without_sections_is_one_chunk():
    article = parse("---\nid: a\nlanguage: zh\n---\n# 保修\n一年。\n")
    assert [(chunk.heading, chunk.text) for chunk in article.chunks] == [("保修", "一年。")]


@pytest.mark.parametrize(
    ("source", "line", "remedy"),
    [
        ("# No front matter\ntext", 1, "Begin the file with a line '---'"),
        ("---\nid: a\nlanguage: en\n# T\n", 1, "Close it with a line '---'"),
        ("---\nid: a\nlanguage: en\nauthor: me\n---\n# T\nx", 4, "unknown key 'author'"),
        ("---\nlanguage: en\n---\n# T\nx", 1, "Add a line 'id: ...'"),
        ("---\nid: a\n---\n# T\nx", 1, "Add a line 'language: ...'"),
        ("---\nid: a\nlanguage: fr\n---\n# T\nx", 3, "Use zh or en"),
        ("---\nid: a b\nlanguage: en\n---\n# T\nx", 2, "cannot be an id"),
        ("---\nid: a\nlanguage: en\nvalid_from: soon\n---\n# T\nx", 4, "YYYY-MM-DD"),
        ("---\nid: a\nlanguage: en\nvalid_to: 2026-02-30\n---\n# T\nx", 1, "not valid YAML"),
        (
            "---\nid: a\nlanguage: en\nvalid_from: 2026-02-01\nvalid_to: 2026-01-01\n---\n# T\nx",
            5,
            "Swap them",
        ),
        ("---\nid: a\nlanguage: en\nproducts: {a: b}\n---\n# T\nx", 4, "list of product ids"),
        ("---\nid: [\nlanguage: en\n---\n# T\nx", 3, "not valid YAML"),
        ("---\nid: a\nlanguage: en\n---\nno title", 5, "Put '# title'"),
        ("---\nid: a\nlanguage: en\n---\n## Q\nx", 5, "Put '# title'"),
        ("---\nid: a\nlanguage: en\n---\n# T\n## Empty\n\n## Q\nx", 6, "has no text"),
        ("---\nid: a\nlanguage: en\n---\n# T\nx\n# Second\ny", 7, "Use '## ' for sections"),
        ("---\nid: a\nlanguage: en\n---\n# T\n", 5, "has no text"),
        ("---\nid: a\nlanguage: en\n---\n# T\n## Q {#x}\na\n## R {#x}\nb", 8, "already used on line 6"),
        ("---\nid: a\nlanguage: en\n---\n# T\nx\n<!-- a\n-->y <!-- b\n## Q\nz", 8, "Close it with '-->'"),
        ("---\nid: a\nlanguage: en\n---\n# T\nx\n```\n## Q\ny", 7, "Close it with a line '```'"),
        ("---\nid: a\nlanguage: en\n---\n# T\nx\n~~~~\n~~~\n## Q\ny", 7, "Close it with a line '~~~~'"),
        ("---\nid: a\nlanguage: zh\n---\n# T\nx\n##退货\ny", 7, "Write '## 退货'"),
        ("---\nid: a\nlanguage: zh\n---\n# T\nx\n ##\u3000退货\ny", 7, "Write '## 退货'"),
        ("---\nid: a\nlanguage: en\nrisk: Order\n---\n# T\nx", 4, "Use another word"),
    ],
)
def test_a_bad_article_is_refused_with_file_line_and_remedy(source, line, remedy):
    with pytest.raises(KnowledgeError) as refusal:
        parse(source, "shop/bad.md")

    assert str(refusal.value).startswith(f"shop/bad.md:{line}: ")
    assert remedy in str(refusal.value)


def body(text: str) -> list[tuple[str, str, int]]:
    article = parse(f"---\nid: a\nlanguage: zh\n---\n# 标题\n{text}")
    return [(chunk.heading, chunk.text, chunk.line) for chunk in article.chunks]


def test_comments_are_no_part_of_an_article_and_keep_their_lines():
    found = body(
        "<!-- 旧规则\n## 换货期限\n30天内可换。\n-->\n## 退货 <!-- new --> {#back}\n"
        "7天。<!-- internal: cost price 3 yuan --> 免费。<!--> 好。\n<!--\n```\n--> 完"
    )
    assert found == [("退货", "7天。 免费。 好。\n\n\n 完", 10)]
    assert body("<!-- a --> <!-- b -->\n<!-- c\nd --> x") == [("标题", "x", 5)]


def test_a_code_fence_keeps_its_comments():
    code = "```html\n<!-- shown\n```"
    assert body(f"{code}\n## 退货\n7天。") == [("标题", code, 5), ("退货", "7天。", 9)]


def test_backticks_in_a_line_of_text_open_no_fence():
    line = "```SF123``` 是快递单号"
    assert body(f"{line}\n## 退货\n7天。") == [("标题", line, 5), ("退货", "7天。", 7)]


def test_a_fence_ends_with_its_own_sign_at_its_own_length():
    code = "````\n```\n~~~~\n```` x\n## 不是\n`````"
    assert body(f"{code}\n## 退货\n7天。") == [("标题", code, 5), ("退货", "7天。", 12)]


def test_a_heading_may_stand_up_to_three_blanks_in():
    assert body(" ## 退货\n7天。\n   ## 换货 {#swap}\n#1\n    ## 代码") == [
        ("退货", "7天。", 6),
        ("换货", "#1\n    ## 代码", 8),
    ]


def test_the_class_of_risk_is_one_however_it_is_written():
    assert parse("---\nid: a\nlanguage: en\nrisk: ' Policy '\n---\n# T\nx").risk == "policy"


@given(st.text(max_size=300) | st.text(alphabet="#`~<!-> x\n", max_size=80))
def test_any_text_is_an_article_or_a_knowledge_error(text):
    """No file an author can write ends in another exception."""
    for source in (text, f"---\nid: a\nlanguage: en\n---\n{text}", f"---\n{text}\n---\n# T\nx"):
        try:
            chunks = parse(source).chunks
        except KnowledgeError as exc:
            refused = str(exc).startswith("a.md:")
        else:
            refused = False
        assert refused or (chunks and all(chunk.text for chunk in chunks))


def write(folder: Path, name: str, article_id: str, language: str, text: str = "Text.") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\nid: {article_id}\nlanguage: {language}\n---\n# Title\n{text}\n", encoding="utf-8")


def test_a_folder_is_read_at_any_depth_without_readme_and_drafts(tmp_path):
    write(tmp_path, "a/b/c/deep.md", "deep", "en")
    write(tmp_path, "_draft.md", "draft", "en")
    write(tmp_path, ".hidden/x.md", "hidden", "en")
    (tmp_path / "README.md").write_text("for authors", encoding="utf-8")

    assert [chunk.id for chunk in Knowledge.load(tmp_path).chunks] == ["deep/en#1"]


def test_all_problems_of_a_folder_are_named_at_once(tmp_path):
    write(tmp_path, "a.md", "same", "en")
    write(tmp_path, "b.md", "same", "en")
    (tmp_path / "c.md").write_text("nothing", encoding="utf-8")
    (tmp_path / "d.md").write_bytes(b"---\nid: \xff\n")

    with pytest.raises(KnowledgeError) as refusal:
        Knowledge.load(tmp_path)

    lines = str(refusal.value).splitlines()
    assert len(lines) == 3
    assert "b.md:1: id 'same' (en) is already used" in lines[0]
    assert "Save it as UTF-8" in lines[2]


def test_a_missing_translation_is_a_warning_and_one_language_is_none(tmp_path):
    write(tmp_path, "a.md", "a", "en")
    assert Knowledge.load(tmp_path).warnings == ()

    write(tmp_path, "b.md", "b", "zh")
    warnings = Knowledge.load(tmp_path).warnings
    assert len(warnings) == 2
    assert "'a' has no zh version" in warnings[0]


@pytest.mark.parametrize("prepare", [lambda path: path / "nowhere", lambda path: path])
def test_a_missing_or_empty_folder_is_refused(tmp_path, prepare):
    with pytest.raises(KnowledgeError, match=r"no such folder|no article"):
        Knowledge.load(prepare(tmp_path))


def test_the_fingerprint_follows_the_words_and_not_the_file_names(tmp_path):
    write(tmp_path, "a.md", "a", "en")
    before = Knowledge.load(tmp_path).fingerprint
    (tmp_path / "a.md").rename(tmp_path / "z.md")
    assert Knowledge.load(tmp_path).fingerprint == before

    write(tmp_path, "z.md", "a", "en", "Other text.")
    assert Knowledge.load(tmp_path).fingerprint != before


@pytest.mark.parametrize(
    "reference",
    [
        "returns/en#3",
        "returns",
        "returns#3",
        "Who pays?",
        "en/returns#3",
        "returns/en",
        "a.md#3",
        "Returns > Who pays?",
    ],
)
def test_evidence_may_be_named_the_way_people_name_it(reference):
    assert parse(GOOD).chunks[2].is_named_by(reference)


def test_evidence_of_another_section_or_article_is_not_taken_for_this_one():
    chunk = parse(GOOD).chunks[2]
    assert not any(
        chunk.is_named_by(name) for name in ("returns#1", "returns/zh", "return", "How long do I have?", "")
    )


def test_validity_includes_both_days_and_products_limit():
    chunk = parse(GOOD).chunks[0]
    assert chunk.holds(at=date(2026, 1, 1)) and chunk.holds(at=date(2026, 12, 31))
    assert not chunk.holds(at=date(2025, 12, 31)) and not chunk.holds(at=date(2027, 1, 1))
    assert chunk.holds(product="P2") and not chunk.holds(product="P3")


def test_an_id_stays_as_it_is_written():
    article = parse_article(
        "---\nid: 010\nlanguage: en\nproducts: [001, 12:30]\n---\n# Title\nText.\n", Path("a.md")
    )

    assert article.id == "010"
    assert article.products == ("001", "12:30")


def test_anchors_are_read_wherever_headings_are_and_odd_ones_are_named():
    source = "---\nid: a\nlanguage: zh\n---\n# 退货 {#top}\n## 期限 {#期限}\n### 细则 {#more}\n7天。\n## 运费 {: #fee }\n买家付。\n"
    article = parse_article(source, Path("a.md"))

    assert article.title == "退货"
    assert [chunk.id for chunk in article.chunks] == ["a/zh#期限", "a/zh#fee"]
    assert [chunk.heading for chunk in article.chunks] == ["期限", "运费"]
    assert article.chunks[0].text == "### 细则\n7天。"
    with pytest.raises(KnowledgeError, match=r"a\.md:6: .*\{#a b\}.*without blanks"):
        parse_article(source.replace("{#期限}", "{#a b}"), Path("a.md"))


@pytest.mark.parametrize(
    "name", ["./help/returns.en.md", "knowledge/help/returns.en.md#window", "returns.md", "## How long", "How long?", "Returns", "Returns#How long?"]
)  # fmt: skip
def test_evidence_is_found_under_what_a_judge_may_call_it(name):
    [chunk] = parse_article(
        "---\nid: r1\nlanguage: en\n---\n# Returns\n## How long? {#window}\n7 days.\n",
        Path("help/returns.en.md"),
    ).chunks

    assert chunk.is_named_by(name)
    assert not chunk.is_named_by("help/exchange.en.md")
