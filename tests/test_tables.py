import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.errors import UserError
from ser.tables import read_column, read_table

NAMES = ["a.wav", "Jörg, (1).wav", "deep/b.wav"]


def read(tmp_path, content, name="path"):
    (tmp_path / "list.csv").write_bytes(content)
    return read_column(tmp_path / "list.csv", name, "audio=list.csv")


def text(delimiter=",", header="path", end="\n"):
    lines = io.StringIO()
    writer = csv.writer(lines, delimiter=delimiter, lineterminator=end)
    writer.writerows([["emotion", header], *(["calm", name] for name in NAMES)])
    return lines.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["path", " Path", "PATH"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_list_is_read_as_spreadsheets_and_programs_write_it(encoding, delimiter, header, end, tmp_path):
    assert read(tmp_path, text(delimiter, header, end).encode(encoding)) == NAMES


def test_rows_of_nothing_but_delimiters_are_no_rows(tmp_path):
    assert read(tmp_path, b"path;emotion\na.wav;calm\n;\n\n") == ["a.wav"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path\nJörg.wav\n".encode("cp1252"), "line 2 is not UTF-8; .*'CSV UTF-8'"),
        (b"\xff\xfep", "line 1 is not UTF-16"),
        (b"", "must name the column 'path' once"),
        (b"a.wav\nb.wav\n", "must name the column 'path' once"),
        (b"path,path\na,b\n", "must name the column 'path' once"),
        (b'path\n"a.wav\n', "it is no CSV"),
        (b"path,emotion\na.wav,calm\nb, c.wav,calm\n", "it is no CSV .*line 3"),
        (b"emotion,path\ncalm\n", "line 2 names nothing"),
        (b'emotion,path\ncalm,""\n', "line 2 names nothing"),
        (b"path\na\0.wav\n", "line 2 names nothing|it is no CSV .*NUL"),  # Python 3.10 refuses it earlier
    ],
)
def test_the_fault_of_a_list_is_reported_in_one_line(content, message, tmp_path):
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path, content)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("lists")


@given(
    content=st.binary(max_size=200), head=st.sampled_from([b"", b"path\n", b"\xff\xfep\0a\0t\0h\0\n\0", b"x;path\r\n"])
)
def test_any_bytes_are_names_or_one_line(content, head, place):
    try:
        names = read(place, head + content)
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert all(name.strip() and "\0" not in name for name in names)


@given(names=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)))
def test_every_name_that_a_program_writes_is_read_back(names, place):
    lines = io.StringIO()
    csv.writer(lines).writerows([["path", "emotion"], *([name, "calm"] for name in names)])
    wanted = [name for name in names if name.strip()]
    if wanted == names:
        assert read(place, lines.getvalue().encode()) == names


ROWS = st.lists(st.text(st.sampled_from('ab,;"\t\r\n ')), max_size=9).map("".join)


@settings(max_examples=300, deadline=None)  # the first table imports pandas
@given(rows=ROWS, head=st.sampled_from(["path\n", "path,x\n", "x;path;y\n"]))
def test_a_column_that_is_read_row_by_row_is_that_of_the_whole_table(rows, head, place):
    def outcome(read):
        try:
            return read()
        except UserError as error:
            return str(error).partition(":")[0]

    file = place / "list.csv"
    file.write_text(head + rows, newline="")

    def whole():
        cells = list(read_table(file, ["path"], "the list")["path"])
        if not all(cell.strip() for cell in cells):
            raise UserError("the list: a row names nothing")
        return cells

    assert outcome(lambda: read_column(file, "path", "the list")) == outcome(whole)
