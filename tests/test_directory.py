"""Directories of every maker: workbooks, LDIF, snapshots that become history, and traps."""

from __future__ import annotations

import base64
import io
import random
import tracemalloc
import zipfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.directory import ALWAYS, FOREVER, Directory, Stay, read_directory
from agent.errors import LogError, Problem, RulesError
from agent.exports import exports_of
from agent.subnets import read_subnets
from agent.units import below, unit_of

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def workbook(sheet: str, *, texts: str = "", more: dict[str, str] | None = None) -> bytes:
    """Write an XLSX whose first sheet has these rows, as XML."""
    parts = {
        "[Content_Types].xml": (
            f'<Types xmlns="{_PACKAGE}/content-types">'
            '<Default Extension="xml" ContentType="application/xml"/></Types>'
        ),
        "_rels/.rels": (
            f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
            f'Type="{_LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
        "xl/workbook.xml": (
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}"><sheets>'
            '<sheet name="People" sheetId="1" r:id="rId1"/></sheets></workbook>'
        ),
        "xl/_rels/workbook.xml.rels": (
            f'<Relationships xmlns="{_PACKAGE}/relationships">'
            f'<Relationship Id="rId1" Type="{_LINKS}/worksheet" Target="worksheets/sheet1.xml"/>'
            f'<Relationship Id="rId2" Type="{_LINKS}/sharedStrings" Target="sharedStrings.xml"/>'
            f'<Relationship Id="rId3" Type="{_LINKS}/styles" Target="styles.xml"/></Relationships>'
        ),
        "xl/styles.xml": (
            f'<styleSheet xmlns="{_MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
            "</styleSheet>"
        ),
        "xl/sharedStrings.xml": f'<sst xmlns="{_MAIN}">{texts}</sst>',
        "xl/worksheets/sheet1.xml": (
            f'<worksheet xmlns="{_MAIN}"><sheetData>{sheet}</sheetData></worksheet>'
        ),
        **(more or {}),
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            file.writestr(name, text)
    return made.getvalue()


def row(*cells: str) -> str:
    """Write a row of texts."""
    inline = (f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in cells)
    return f"<row>{''.join(inline)}</row>"


def directory(tmp_path: Path, text: str | bytes, level: int | None = None) -> Directory:
    """Read a directory that holds this."""
    path = tmp_path / "export"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_directory(path, level=level)


def placed(found: Directory) -> dict[str, list[str]]:
    """Return the departments of each person by the first spelling."""
    return {one.spellings[0]: [stay.department for stay in one.stays] for one in found.people}


def faults(path: Path) -> Sequence[Problem]:
    """Return why a directory is refused; none where it is read."""
    try:
        read_directory(path)
    except LogError as error:
        return error.problems
    return ()


# Exports


@pytest.mark.parametrize(
    ("export", "header", "line"),
    [
        (
            "Microsoft Entra ID",
            "userPrincipalName,displayName,surname,mail,givenName,objectId,userType,department,accountEnabled",
            "ann@x.example,=1+3 Ann,Lee,,=1+3,7,Member,Sales,True",
        ),
        (
            "Okta",
            "login,email,firstName,lastName,department,userType,status",
            "ann@x.example,,Ann,Lee,Sales,Employee,ACTIVE",
        ),
        (
            "Google Workspace",
            "Email Address [Required],Org Unit Path [Required],Status [READ ONLY],Department",
            "ann@x.example,/Sales,Active,",
        ),
        (
            "Active Directory",
            "DN,objectClass,sAMAccountName,userAccountControl,memberOf",
            '"CN=Ann Lee,OU=Sales,DC=x,DC=example",user,ann,512,',
        ),
        ("a list of people", "User Name;Work Email;Abteilung", "ann;;Sales"),
    ],
)
def test_the_headers_of_each_export_are_known(
    tmp_path: Path, export: str, header: str, line: str
) -> None:
    """Nothing has to be said about an export as it comes."""
    found = directory(tmp_path, f"{header}\n{line}\n")
    assert placed(found) == {"ann": ["Sales"]}
    assert (found.export, found.problems) == (export, ())


def test_guests_services_and_leavers_belong_to_no_department(tmp_path: Path) -> None:
    """They keep their spellings, so that their traffic is nobody else's, and have no stay."""
    found = directory(
        tmp_path,
        "sAMAccountName,userPrincipalName,mail,department,userType,accountEnabled,userAccountControl,to\n"
        "ann,ann@x.example,,Sales,Member,True,512,\n"
        "ben,ben_y.example#EXT#@x.example,,Sales,Member,True,512,\n"
        "cleo,cleo@x.example,,,Guest,True,,\n"
        "PC7$,,,Sales,,True,4096,\n"
        "print,print@x.example,,Sales,Shared Mailbox,True,512,\n"
        "dora,dora@x.example,,Sales,Member,False,512,\n"
        "emil,emil@x.example,,Sales,Member,True,514,\n"
        "fay,fay@x.example,,Sales,Member,False,514,2026-03-31\n",
    )
    kinds = {one.spellings[0]: one.kind for one in found.people}
    assert kinds == {
        "ann": "person", "ben": "guest", "cleo": "guest", "pc7$": "service",
        "print": "service", "dora": "left", "emil": "left", "fay": "left",
    }  # fmt: skip
    assert {name for name, stays in placed(found).items() if stays} == {"ann", "fay"}
    assert found.problems == ()


def test_proxy_addresses_are_spellings(tmp_path: Path) -> None:
    """Each SMTP address of an account means its owner; other address kinds mean nobody."""
    found = directory(
        tmp_path,
        "sAMAccountName,mail,proxyAddresses,department\n"
        "ann,,SMTP:a.lee@x.example;smtp:al@y.example;X500:/o=x/cn=ann,Sales\n",
    )
    (person,) = found.people
    assert set(person.spellings) == {"ann", "a.lee", "a.lee@x.example", "al", "al@y.example"}


def test_dotted_lines_count_nowhere(tmp_path: Path) -> None:
    """One unit is primary; the others are kept beside it, at the same time or not."""
    found = directory(
        tmp_path,
        "login,department,dotted line,primary\nann,Sales,Brand; Events,yes\nann,Legal,,no\n",
    )
    (person,) = found.people
    assert [stay.department for stay in person.stays] == ["Sales"]
    assert [stay.department for stay in person.also] == ["Brand", "Events", "Legal"]


def test_a_flood_of_one_problem_is_told_once(tmp_path: Path) -> None:
    """Ten thousand rows without a department are six lines."""
    found = directory(tmp_path, "login,department\nann,Sales\n" + "ben,\n" * 10_000)
    assert len(found.problems) == 6
    assert "the same on 9995 more lines: no department." in str(found.problems[-1])


# The tree


@pytest.mark.parametrize(
    ("level", "names"),
    [
        (None, ["Sales/EMEA", "Sales/APAC"]),
        (1, ["Sales", "Sales"]),
        (9, ["Sales/EMEA", "Sales/APAC"]),
    ],
)
def test_a_level_of_the_tree_is_chosen(tmp_path: Path, level: int | None, names: list[str]) -> None:
    """Findings use one level, and the tree is kept whole."""
    text = 'login,path\nann,/Sales/EMEA\nben,"CN=Ben,OU=APAC,OU=Sales,DC=x"\n'
    found = directory(tmp_path, text, level)
    assert [stays[0] for stays in placed(found).values()] == names
    assert found.units == (("Sales", "APAC"), ("Sales", "EMEA"))


def test_a_parent_column_is_a_tree(tmp_path: Path) -> None:
    """Units keep their own name until a level is asked for; a second parent is told."""
    text = (
        "login,department,parent department\n"
        "ann,EMEA,Sales\nben,Sales,Company\nida,Legal,Law\njon,Law,Legal\nkai,EMEA,Legal\n"
    )
    found = directory(tmp_path, text)
    assert placed(found)["ann"] == ["EMEA"]
    assert ("Company", "Sales", "EMEA") in found.units
    assert [str(one).rpartition("export:")[2] for one in found.problems] == [
        '6: parent department: line 2 puts "EMEA" below "Sales". That is taken.'
    ]
    assert placed(directory(tmp_path, text, 2))["ann"] == ["Company/Sales"]


def test_a_move_below_the_level_is_no_move(tmp_path: Path) -> None:
    """Who changes between two parts of Sales stays in Sales."""
    text = "login,department,from,to\nann,Sales/A,,2026-02-01\nann,Sales/B,2026-02-02,\n"
    assert directory(tmp_path, text, 1).people[0].stays == (Stay("Sales", ALWAYS, FOREVER),)


@given(st.text(max_size=60))
def test_any_text_has_a_place_in_the_tree(text: str) -> None:
    """No path, however broken, is anything but names."""
    assert all(name == name.strip() and name for name in unit_of(f"a/{text}")[:1])


@given(st.dictionaries(st.sampled_from("ABCDE"), st.sampled_from("ABCDE")))
def test_no_tree_is_without_end(parents: dict[str, str]) -> None:
    """Each unit stands below others, never below itself."""
    found = below(parents, "A")
    assert found[-1] == "A"
    assert len(set(found)) == len(found)


# LDIF


def test_ldif_as_directories_write_it(tmp_path: Path) -> None:
    """Folded lines, base64, comments, several values, groups, and a changetype that is ignored."""
    name = base64.b64encode("CN=Zoë,OU=Vertrieb Köln,DC=x".encode()).decode()
    text = (
        "version: 1\n# all of\n  them\n\n"
        f"dn:: {name[:10]}\n {name[10:]}\nchangetype: add\nobjectClass: top\nobjectClass: user\n"
        "sAMAccountName: zoe\nmail: zoe@\n x.example\nproxyAddresses: smtp:z@x.example\n"
        "proxyAddresses: smtp:zz@x.example\njpegPhoto:: /9j/4AAQ\nthumbnail:< file:///etc/passwd\n\n"
        "dn: CN=Staff,OU=Groups,DC=x\nobjectClass: group\nsAMAccountName: staff\n\n"
        "dn: CN=PC,OU=PCs,DC=x\nobjectClass: user\nobjectClass: computer\nsAMAccountName: PC1$\n\n"
        "search: 2\nresult: 0 Success\n"
    )
    for encoding in ("utf-8", "utf-16", "utf-8-sig"):
        found = directory(tmp_path, text.encode(encoding))
        zoe = next(one for one in found.people if one.kind == "person")
        assert zoe.stays[0].department == "Vertrieb Köln"
        assert set(zoe.spellings) == {
            "zoe", "zoe@x.example", "z", "z@x.example", "zz", "zz@x.example"
        }  # fmt: skip
        assert [one.kind for one in found.people] == ["service", "person"]
        assert found.problems == ()
        assert directory(tmp_path, text.replace("\n", "\r\n")).people == found.people


def test_ldif_that_is_none(tmp_path: Path) -> None:
    """A broken line is named by its number."""
    with pytest.raises(LogError, match="export:3: is no line of LDIF"):
        directory(tmp_path, "dn: cn=a\nuid: a\n<html>\n")


@given(st.text(max_size=200))
def test_any_ldif_is_a_directory_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    """Whatever follows a dn, nothing but a problem comes of it."""
    path = tmp_path_factory.getbasetemp() / "any.ldif"
    path.write_bytes(f"dn: OU=S,DC=x\nuid: a\n{text}".encode("utf-8", "surrogatepass"))
    assert all(problem.where == str(path) for problem in faults(path))


# Workbooks


def test_a_workbook_reads_as_its_csv(tmp_path: Path) -> None:
    """Shared and inline texts, dates, numbers, a formula's value, and a title above no table."""
    texts = "".join(f"<si><t>{text}</t></si>" for text in ("login", "department", "from", "Sales"))
    shared = "".join(f'<c r="{at}1" t="s"><v>{n}</v></c>' for n, at in enumerate("ABC"))
    people = (
        f'<row r="1">{shared}</row>'
        '<row r="3"><c r="A3"><v>4711</v></c><c r="B3" t="s"><v>3</v></c>'
        '<c r="C3" s="1"><v>46085</v></c></row>'
        '<row r="4"><c r="A4" t="str"><f>1+3</f><v>ann</v></c><c r="B4" t="s"><v>3</v></c></row>'
    )
    found = directory(tmp_path, workbook(people, texts=texts))
    assert {one.spellings[0]: one.stays for one in found.people} == {
        "4711": (Stay("Sales", date(2026, 3, 4), FOREVER),),
        "ann": (Stay("Sales", ALWAYS, FOREVER),),
    }


def test_a_problem_in_a_workbook_has_its_row(tmp_path: Path) -> None:
    """The number is the one that the program beside it shows."""
    found = directory(tmp_path, workbook(row("login", "department") + row("a", "S") + row("b", "")))
    assert str(found.problems[0]).endswith(
        "export:3: department: no department. The row is left out."
    )


def test_an_address_plan_may_be_a_workbook(tmp_path: Path) -> None:
    """The same reader serves both files."""
    path = tmp_path / "plan.xlsx"
    path.write_bytes(workbook(row("cidr", "department") + row("10.1.0.0/16", "Sales")))
    assert read_subnets(path).rows[0].department == "Sales"


HEAD = row("login", "department")
TRAPS = {
    "bomb": (workbook(HEAD + f"<!--{' ' * (1 << 27)}-->"), "unpacks to more than 128 MB"),
    "grid": (
        workbook(HEAD + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'),
        "spreads over 1048576 rows and 16384 columns",
    ),
    "small letters": (
        workbook(HEAD + '<row r="1048576"><c r="xfd1048576"><v>1</v></c></row>'),
        "spreads over 1048576 rows",
    ),
    "echo": (
        workbook(
            "<row>" + '<c t="s"><v>0</v></c>' * 2000 + "</row>",
            texts=f"<si><t>{'a' * 100_000}</t></si>",
        ),
        "holds more than 64 million characters",
    ),
    "entities": (
        workbook(
            HEAD,
            more={"xl/worksheets/sheet1.xml": '<!DOCTYPE x [<!ENTITY a "aa">]><x>&a;</x>'},
        ),
        "document type",
    ),
    "elsewhere": (
        workbook(
            "",
            more={
                "xl/evil.xml": f"<worksheet><sheetData>{HEAD}</sheetData></worksheet>",
                "xl/_rels/workbook.xml.rels": (
                    f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
                    f'Type="{_LINKS}/worksheet" Target="evil.xml"/></Relationships>'
                ),
            },
        ),
        "no workbook that can be read",
    ),
    "archive": (b"PK\x05\x06" + bytes(18), "is no workbook"),
    "cut": (workbook(HEAD)[:-40], "no workbook that can be read"),
    "old": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old workbook, or one with a password"),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_one_line_and_little_memory(tmp_path: Path, name: str) -> None:
    """What asks for all memory is refused before it is given any."""
    raw, message = TRAPS[name]
    tracemalloc.start()
    with pytest.raises(LogError, match=message) as caught:
        directory(tmp_path, raw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(caught.value.problems) == 1
    assert "\n" not in str(caught.value.problems[0])
    assert peak < 600_000_000


def test_a_cell_of_ten_megabytes(tmp_path: Path) -> None:
    """It costs a CSV its reading, with the line named, and a long department its row."""
    with pytest.raises(LogError, match="export:2: a value of more than 131072 characters"):
        directory(tmp_path, f"login,department\nann,{'x' * 10_000_000}\n")
    found = directory(tmp_path, f"login,department\nann,{'x' * 201}\nben,Sales\n")
    assert placed(found) == {"ben": ["Sales"]}
    assert "a name of more than 200 characters" in str(found.problems[0])


def test_formulas_and_markup_are_text(tmp_path: Path) -> None:
    """Nothing in a cell is run, and control characters are gone."""
    found = directory(tmp_path, 'login,department\n=1+3,"<b>\u202eSales\x7f</b>"\n')
    assert placed(found) == {"=1+3": ["<b>Sales </b>"]}


@given(data=st.data())
def test_any_damage_to_a_workbook_is_a_directory_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A flipped byte anywhere is at most one line."""
    raw = bytearray(workbook(row("login", "department") + row("ann", "Sales")))
    raw[data.draw(st.integers(2, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.xlsx"
    path.write_bytes(raw)
    assert len(faults(path)) <= 1


# History


def write_snapshots(folder: Path, files: dict[str, str]) -> None:
    """Leave a folder with files of these rows, and nothing else."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, rows in files.items():
        (folder / name).write_text(f"login,department,from,to,status\n{rows}", encoding="utf-8")


def snapshots(folder: Path, files: dict[str, str]) -> Directory:
    """Read a folder of files with these rows."""
    write_snapshots(folder, files)
    return read_directory(folder)


def test_differences_become_intervals(tmp_path: Path) -> None:
    """Joins, moves, leavers and returns are seen on the day of the snapshot that shows them."""
    found = snapshots(
        tmp_path / "staff",
        {
            "staff-2026-01-01.csv": "ann,Sales\nben,Sales\ncleo,Legal\n",
            "staff_20260201.csv": "ann,Legal\ncleo,Legal\ndora,Sales\n",
            "2026.03.01 staff.csv": "ann,Legal\nben,Sales\ndora,Sales\n",
        },
    )
    first, second, third = date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)
    assert found.days == (first, second, third)
    assert {one.spellings[0]: one.stays for one in found.people} == {
        "ann": (Stay("Sales", ALWAYS, second), Stay("Legal", second, FOREVER)),
        "ben": (Stay("Sales", ALWAYS, second), Stay("Sales", third, FOREVER)),
        "cleo": (Stay("Legal", ALWAYS, third),),
        "dora": (Stay("Sales", second, FOREVER),),
    }


def test_a_stated_date_beats_the_day_of_a_snapshot(tmp_path: Path) -> None:
    """What HR says of a join, a move or an end is truer than when it was first exported."""
    found = snapshots(
        tmp_path / "staff",
        {
            "2026-01-01.csv": "ann,Sales\nben,Sales\n",
            "2026-03-01.csv": (
                "ann,Legal,2026-02-10\nben,Sales,,2026-02-19,left\ndora,Law,2026-02-05\n"
            ),
        },
    )
    assert {one.spellings[0]: one.stays for one in found.people} == {
        "ann": (
            Stay("Sales", ALWAYS, date(2026, 2, 10)),
            Stay("Legal", date(2026, 2, 10), FOREVER),
        ),
        "ben": (Stay("Sales", ALWAYS, date(2026, 2, 20)),),
        "dora": (Stay("Law", date(2026, 2, 5), FOREVER),),
    }


def test_a_dotted_line_has_a_history_too(tmp_path: Path) -> None:
    """It lasts from the first snapshot that shows it to the first that does not."""
    folder = tmp_path / "staff"
    folder.mkdir()
    for month, unit in enumerate(["", "Brand", "Brand", ""], 1):
        text = f"login,department,dotted line\nann,Sales,{unit}\n"
        (folder / f"2026-0{month}-01.csv").write_text(text)
    assert read_directory(folder).people[0].also == (
        Stay("Brand", date(2026, 2, 1), date(2026, 4, 1)),
    )


def test_a_disabled_account_has_left_with_the_snapshot(tmp_path: Path) -> None:
    """Switched off is gone, also where the row stays in the export."""
    found = snapshots(
        tmp_path / "staff",
        {"2026-01-01.csv": "ann,Sales\nben,S\n", "2026-02-01.csv": "ann,Sales,,,no\nben,S\n"},
    )
    assert found.people[0].stays == (Stay("Sales", ALWAYS, date(2026, 2, 1)),)
    assert found.people[0].kind == "left"


def test_snapshots_need_days(tmp_path: Path) -> None:
    """Every file that has none, or another's, is named."""
    files = {
        "staff.csv": "a,S\n",
        "2026-02-30.csv": "a,S\n",
        "x2026-01-01.csv": "a,S\n",
        "y-20260101.csv": "a,S\n",
    }
    with pytest.raises(LogError) as caught:
        snapshots(tmp_path / "staff", files)
    text = "\n".join(map(str, caught.value.problems))
    assert text.count("has no day in its name") == 2
    assert "y-20260101.csv: is of the same day as x2026-01-01.csv" in text


DAYS = st.integers(0, 60).map(lambda days: date(2026, 1, 1) + timedelta(days))


@given(
    history=st.dictionaries(
        DAYS,
        st.dictionaries(st.sampled_from(["ann", "ben", "li"]), st.sampled_from("ABC"), min_size=1),
        min_size=2,
        max_size=5,
    ),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_snapshots_in_any_order_give_the_same_history(
    tmp_path_factory: pytest.TempPathFactory, history: dict[date, dict[str, str]], seed: int
) -> None:
    """Each day belongs to the newest snapshot that is not after it, whatever the names say else."""
    order = list(history)
    random.Random(seed).shuffle(order)
    files = {
        f"{n} {day}.csv": "".join(f"{who},{where}\n" for who, where in history[day].items())
        for n, day in enumerate(order)
    }
    found = snapshots(tmp_path_factory.getbasetemp() / "snapshots", files)
    people = {one.spellings[0]: one.stays for one in found.people}
    for day in (date(2025, 12, 1) + timedelta(n) for n in range(120)):
        newest = max((one for one in history if one <= day), default=min(history))
        told = {
            who: stay.department
            for who, stays in people.items()
            for stay in stays
            if stay.valid_from <= day < stay.valid_to
        }
        assert told == history[newest]


@given(data=st.data())
def test_intervals_of_one_person_never_overlap(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever dates snapshots state, no day has two departments."""
    cell = st.none() | DAYS
    rows = st.lists(st.tuples(st.sampled_from("AB"), cell, cell), max_size=2)
    drawn = data.draw(st.dictionaries(DAYS, rows, min_size=2, max_size=4))
    files = {
        f"{day}.csv": "ben,Z\n"
        + "".join(f"ann,{name},{first or ''},{last or ''}\n" for name, first, last in rows)
        for day, rows in drawn.items()
    }
    folder = tmp_path_factory.getbasetemp() / "overlaps"
    write_snapshots(folder, files)
    for person in read_directory(folder).people:
        assert all(stay.valid_from < stay.valid_to for stay in person.stays)
        ends = [stay.valid_to for stay in person.stays]
        assert all(
            end <= stay.valid_from for end, stay in zip(ends, person.stays[1:], strict=False)
        )


# The data


def test_every_fault_of_the_headers_is_told() -> None:
    """A file of headers that was edited badly says so, all at once."""
    text = '[export.x]\npage = 1\nheaders.lgoin = ["a"]\nheaders.mail = "b"\n[words]\nguest = []\n'
    with pytest.raises(RulesError) as caught:
        exports_of(text)
    told = "\n".join(map(str, caught.value.problems))
    for part in (
        'lgoin: unknown key. Did you mean "login"',
        "headers.mail: must be",
        "x.name: is missing",
        "words.left",
    ):
        assert part in told
