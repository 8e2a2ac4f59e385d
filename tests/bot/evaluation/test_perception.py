"""`kefu evaluate perception` on files of a few lines."""

import json

import pytest

from bot.evaluation.perception import WANTED, moods, run
from bot.exceptions import SettingsError


def emotions(folder, text):
    """GoEmotions as it is published: text, numbers of its labels, who labelled it."""
    english = folder / "en_emotion"
    english.mkdir()
    (english / "goemotions_labels.txt").write_text("anger\ngratitude\nneutral\n", encoding="utf-8")
    (english / "goemotions_test.tsv").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_folder_with_none_of_the_files_is_an_error_that_names_them(tmp_path, capsys, as_json):
    """Else a mistyped name would pass for a measurement."""
    (tmp_path / "en_emotions").mkdir()
    with pytest.raises(SettingsError) as error:
        run(tmp_path, as_json)

    assert str(tmp_path) in str(error.value) and all(name in str(error.value) for name in WANTED)
    assert "" == capsys.readouterr().out


def test_one_of_the_files_is_enough(tmp_path, capsys):
    (tmp_path / "bitext").mkdir()
    (tmp_path / "bitext" / "dev_mapped.csv").write_text(
        "text,intent\nwhere is my order,track\n", encoding="utf-8"
    )
    run(tmp_path, True)

    assert {"mood": {}, "language": {"Bitext": {"n": 1, "right": 1.0}}} == json.loads(capsys.readouterr().out)


def test_a_file_of_one_class_has_no_auroc_and_is_printed(tmp_path, capsys):
    emotions(tmp_path, "Thanks a lot!\t1\tx\nA table.\t2\tx\n")
    run(tmp_path, False)
    anger, gratitude = capsys.readouterr().out.splitlines()

    assert "AUROC -  precision" in anger and "n=2" in anger
    assert "AUROC 1.000" in gratitude


def test_a_next_line_character_ends_no_comment(tmp_path):
    emotions(tmp_path, "Thanks\u0085a\u2028lot!\t1\tx\r\nno label here\r\nI hate this!\t0,2\ty\r\n")

    assert [2, 2] == [one["n"] for one in moods(tmp_path).values()]
