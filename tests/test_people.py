"""Who an actor is: files in every dress, pseudonyms, networks, and the tables of the star."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import multiprocessing
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import sql
from agent.directory import ALWAYS, FOREVER, Directory, Stay, read_directory
from agent.errors import LogError, StoreError, SundialError
from agent.people import names_table, networks_table, place, stored_names, stored_subnets
from agent.pseudonyms import Pseudonyms, canonical, load_key, local_part
from agent.subnets import Subnet, Subnets, network_of, read_subnets

MUSEUM = Path(__file__).parent / "museum" / "people"
KEYS = Pseudonyms(b"k" * 32)
OTHER_KEYS = Pseudonyms(b"o" * 32)

STAR = sql.script("schema.sql")


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """A star with no rows, hardened as the store is."""
    con = duckdb.connect(config={"enable_external_access": False})
    con.execute(STAR)
    return con


def directory(
    tmp_path: Path, *rows: str, header: str = "login,mail,department,from,to"
) -> Directory:
    """Read a directory that has these rows."""
    path = tmp_path / "people.csv"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return read_directory(path)


def subnets(tmp_path: Path, *rows: str) -> Subnets:
    """Read a list of subnets that has these rows."""
    path = tmp_path / "subnets.csv"
    path.write_text("\n".join(["cidr,department,site,shared,people", *rows]), encoding="utf-8")
    return read_subnets(path)


def see(
    con: duckdb.DuckDBPyConnection,
    actor_id: int,
    *,
    user: str | None = None,
    address: str = "192.0.2.1",
    ranges: Subnets | None = None,
) -> None:
    """Put an actor into the star as a scan does."""
    key, alt = KEYS.user(user) if user else (KEYS.address(address), None)
    row = [actor_id, "user" if user else "address", key, alt, network_of(address, ranges)]
    con.execute("INSERT INTO actor VALUES (?, ?, ?, ?, ?)", row)


def put(
    con: duckdb.DuckDBPyConnection, people: Directory | None, ranges: Subnets | None = None
) -> None:
    """Place everybody, in a transaction as a scan does."""
    con.execute("BEGIN")
    place(con, people, ranges, KEYS)
    con.execute("COMMIT")


def memberships(con: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    """Return all rows, in a settled order."""
    return con.execute("FROM membership ORDER BY ALL").fetchall()


def departments(con: duckdb.DuckDBPyConnection) -> dict[int, str]:
    """Return the department of each actor that has one."""
    found = con.execute("SELECT actor_id, department FROM membership").fetchall()
    return dict(found)


# A directory in any dress


PEOPLE = (
    Stay("Vertrieb Köln", date(2026, 1, 5), date(2026, 3, 5)),
    Stay("Legal", date(2026, 3, 5), FOREVER),
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encoding_separator_and_line_ends_are_found_out(
    tmp_path: Path, encoding: str, separator: str, newline: str
) -> None:
    """One directory in each dress reads the same."""
    rows = [
        ["SamAccountName", "E-Mail", "Department", "Hire Date", "Leave Date"],
        ["anna", "anna@example.com", '"Vertrieb  Köln"', "2026-01-05", "2026-03-04"],
        ["anna", "anna@example.com", "Legal", "2026-03-05", ""],
        [],
    ]
    text = newline.join(separator.join(row) for row in rows)
    path = tmp_path / "export.csv"
    path.write_bytes(text.encode(encoding))
    found = read_directory(path)
    assert found.problems == ()
    assert [person.stays for person in found.people] == [PEOPLE]
    assert found.people[0].spellings == ("anna", "anna@example.com")
    assert found.columns["login"] == "SamAccountName"


@pytest.mark.parametrize(
    ("first", "second", "meaning"),
    [
        ("2026-03-04", "2026-12-31", date(2026, 3, 4)),
        ("2026-03-04T00:00:00Z", "", date(2026, 3, 4)),
        ("4.3.2026", "31.12.2026", date(2026, 3, 4)),
        ("03/04/2026", "12/31/2026", date(2026, 3, 4)),
        ("03/04/2026", "31/12/2026", date(2026, 4, 3)),
        ("04-03-2026", "31-12-2026", date(2026, 3, 4)),
        ("03/03/2026", "", date(2026, 3, 3)),
        ("", "", ALWAYS),
    ],
)
def test_dates(tmp_path: Path, first: str, second: str, meaning: date) -> None:
    """All dates of a file decide together what comes first, the day or the month."""
    found = directory(tmp_path, f"anna,,Sales,{first},{second}")
    assert found.people[0].stays[0].valid_from == meaning
    end = date(2027, 1, 1) if second else FOREVER
    assert found.people[0].stays[0].valid_to == end


def test_columns_can_be_named(tmp_path: Path) -> None:
    """A header that nobody knows is taken at the word of the settings."""
    path = tmp_path / "export.csv"
    path.write_text("sep=;\r\nKonto;Abteilung;Eintritt\r\nanna;=cmd();2026-01-01\r\n")
    found = read_directory(path, {"login": "konto", "department": "Abteilung", "from": "Eintritt"})
    assert found.people[0].stays == (Stay("=cmd()", date(2026, 1, 1), FOREVER),)


def test_quoted_fields_keep_separators_line_breaks_and_line_numbers(tmp_path: Path) -> None:
    """A value over two lines moves the numbers of the lines below it, not their rows."""
    found = directory(tmp_path, 'anna,,"Research,\nDevelopment",,', "ben,,,,")
    assert found.people[0].stays[0].department == "Research, Development"
    assert [str(problem)[-60:] for problem in found.problems] == [
        "people.csv:4: department: no department. The row is left out."[-60:]
    ]


def test_invisible_characters_leave_a_department_name(tmp_path: Path) -> None:
    """Nothing that turns or hides text reaches a page."""
    found = directory(tmp_path, "anna,,\u202eSa\u200bles\u00a0 East,,")
    assert found.people[0].stays[0].department == "Sales East"


def test_one_person_may_have_a_login_and_several_mails(tmp_path: Path) -> None:
    """A row without login belongs to the login that has its address."""
    found = directory(
        tmp_path,
        "ACME\\anna,anna.old@example.com,Sales,,2026-02-01",
        "acme\\Anna,anna.new@example.com,Sales,2026-02-02,2026-03-01",
        ",anna.new@example.com,Legal,2026-03-02,",
    )
    (person,) = found.people
    assert set(person.spellings) == {
        "acme\\anna", "anna", "anna.old", "anna.new", "anna.old@example.com",
        "anna.new@example.com",
    }  # fmt: skip
    assert [stay.department for stay in person.stays] == ["Sales", "Legal"]


def test_a_local_part_of_two_people_is_nobodys(tmp_path: Path) -> None:
    """The part before the @ is a spelling only while one person has it, and never over a login."""
    found = directory(
        tmp_path,
        "u1,info@a.example,Sales,,",
        "u2,info@b.example,Legal,,",
        "u3,u4@a.example,Legal,,",
        "u4,,Legal,,",
    )
    assert [person.spellings for person in found.people] == [
        ("info@a.example", "u1"),
        ("info@b.example", "u2"),
        ("u3", "u4@a.example"),
        ("u4",),
    ]


def test_no_message_names_a_person() -> None:
    """Problems name lines; a login or a mail address stays in the file."""
    text = "\n".join(exhibits())
    assert "anna" not in text.lower()
    assert "dora" not in text.lower()
    assert "@" not in text


@given(data=st.data())
def test_stays_are_in_order_and_never_two_at_once(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever the rows, a person is in at most one department on a day, and it is claimed."""
    day = st.integers(0, 40).map(lambda days: date(2026, 1, 1) + timedelta(days))
    rows = data.draw(st.lists(st.tuples(st.sampled_from("AB"), day, day), min_size=1, max_size=5))
    text = "".join(f"anna,{name},{first},{last}\n" for name, first, last in rows)
    path = tmp_path_factory.getbasetemp() / "people.csv"
    path.write_text(f"login,department,from,to\n{text}")
    claims = {
        (name, first + timedelta(n))
        for name, first, last in rows
        for n in range((last - first).days + 1)
    }
    try:
        (person,) = read_directory(path).people
    except LogError:
        days = [day for _, day in claims]
        assert not claims or len(set(days)) < len(days)
        return
    given_days = [
        (stay.department, stay.valid_from + timedelta(n))
        for stay in person.stays
        for n in range((stay.valid_to - stay.valid_from).days)
    ]
    assert len({day for _, day in given_days}) == len(given_days)
    assert set(given_days) <= claims
    both = [day for _, day in claims]
    firsts = {first for _, first, last in rows if first <= last}
    placed = {day for _, day in given_days}
    assert all(both.count(lost) > 1 for lost in set(both) - placed)
    assert all(both.count(kept) == 1 for kept in placed - firsts)


def test_days_in_two_departments_at_once_count_for_neither(tmp_path: Path) -> None:
    """The rest of the person's history stands, and so does everybody else."""
    found = directory(
        tmp_path,
        "ann,,Sales,2026-01-01,2026-06-30",
        "ann,,Legal,2026-03-01,2026-04-30",
        "ann,,Design,2026-06-01,",
        "ben,,Sales,,",
    )
    ann, ben = found.people
    days = [(stay.department, str(stay.valid_from), str(stay.valid_to)) for stay in ann.stays]
    assert days == [
        ("Sales", "2026-01-01", "2026-03-01"),
        ("Sales", "2026-05-01", "2026-06-01"),
        ("Design", "2026-07-01", str(FOREVER)),
    ]
    assert ben.stays == (Stay("Sales", ALWAYS, FOREVER),)
    told = [(problem.line, "at once" in str(problem)) for problem in found.problems]
    assert told == [(3, True), (4, True)]


def test_a_tree_and_dotted_lines_are_kept(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    people = directory(
        tmp_path,
        "ann,North,Sales,Legal",
        "ben,South,Sales,",
        "eve,Sales,Company,",
        "max,Legal,Company,",
        header="login,department,parent,also",
    )
    put(con, people)
    tree = con.execute("FROM unit ORDER BY ALL").fetchall()
    assert tree == [
        ("Legal", "Company"), ("North", "Sales"), ("Sales", "Company"), ("South", "Sales"),
    ]  # fmt: skip
    assert con.execute("SELECT department FROM person_also").fetchall() == [("Legal",)]
    put(con, directory(tmp_path, "ann,Sales/North,", header="login,department,also"))
    assert con.execute("SELECT count(*) FROM unit").fetchone() == (0,)
    put(con, read_directory(tmp_path / "people.csv", level=2))
    assert con.execute("FROM unit").fetchall() == [("Sales/North", "Sales")]


# The museum


def exhibits() -> list[str]:
    """Return every message that the broken files of the museum give."""
    messages: list[str] = []
    for path in sorted(MUSEUM.glob("*.csv")):
        columns = {"logon": "Konto", "department": "Abteilun"} if "mapped" in path.name else None
        try:
            if path.name.startswith("subnets"):
                problems = read_subnets(path).problems
                title = "left out"
            else:
                problems = read_directory(path, columns).problems
                title = "left out"
        except SundialError as error:
            problems, title = error.problems, "refused"
        messages += [f"# {path.name}: {title}"]
        messages += [str(problem).replace(str(path), path.name) for problem in problems]
    return messages


def test_the_museum_of_broken_files(request: pytest.FixtureRequest) -> None:
    """Every fault has one line that says where, what and what to do."""
    golden = MUSEUM / "messages.golden"
    found = "\n".join(exhibits()) + "\n"
    if request.config.getoption("--bless", default=False):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    """A path that holds no file is one line, no traceback."""
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(LogError, match="cannot be read"):
            read_directory(path)


@given(raw=st.binary(max_size=300))
def test_any_bytes_are_a_directory_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    """No file, however broken, ends in anything but a problem."""
    path = tmp_path_factory.getbasetemp() / "bytes.csv"
    path.write_bytes(b"login,department\n" + raw)
    with contextlib.suppress(LogError):
        read_directory(path)


# Pseudonyms


@given(st.text(), st.text())
def test_a_key_means_one_canonical_spelling(one: str, other: str) -> None:
    """Two names share a key exactly when they share the canonical spelling."""
    same_key = KEYS.user(one)[0] == KEYS.user(other)[0]
    assert same_key == (canonical(one) == canonical(other))


@given(st.text(alphabet=st.sampled_from("aAäÄßﬁ\uff21\uff11@\\/ .\u0345\u1e9b\u0323İ")) | st.text())
def test_canonical_is_settled_at_once(text: str) -> None:
    """The canonical spelling of a canonical spelling is itself, and its local part's too."""
    spelling = canonical(text)
    assert canonical(spelling) == spelling
    local = local_part(spelling)
    assert KEYS.user(text)[1] == (local and KEYS.user(local)[0])
    assert local is None or canonical(local) == local


def test_spellings_of_one_user() -> None:
    """Case, width and blanks say nothing about who it is; the domain may."""
    keys = {KEYS.user(text)[0] for text in ("anna", " ANNA ", ".\\Anna", "\uff41nna")}
    assert len(keys) == 1
    domains = ("ACME\\anna", "acme/Anna", "ACME\uff3canna", "acme.example.com\\anna")
    assert len({KEYS.user(text)[0] for text in domains}) == 1
    for other in ("Anna@Example.com", "ACME\\anna", "OTHER\\anna"):
        whole, local = KEYS.user(other)
        assert local in keys
        assert whole not in keys
    assert KEYS.user("anna")[1] is None


def test_keys_depend_on_secret_and_kind() -> None:
    """A key is 32 hex characters of an HMAC-SHA-256 over kind and spelling."""
    key = KEYS.user("Anna")[0]
    assert key == hmac.digest(b"k" * 32, b"user\0anna", "sha256").hex()[:32]
    assert key != OTHER_KEYS.user("anna")[0]
    assert KEYS.address("10.0.0.1") != KEYS.user("10.0.0.1")[0]
    assert "kkkk" not in repr(KEYS)


def test_spellings_of_one_address() -> None:
    """Mapped, zoned, bracketed and long forms are one address."""
    assert KEYS.address("::ffff:10.0.0.1") == KEYS.address(" 10.0.0.1")
    v6 = {KEYS.address(text) for text in ("2001:DB8::1", "[2001:db8:0::1]", "2001:db8::1%eth0")}
    assert len(v6) == 1


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """The first use makes the key file, every later use reads it."""
    folder = tmp_path / "new" / "store"
    key = load_key(folder)
    assert len(key) == 32
    assert load_key(folder) == key
    assert [path.name for path in folder.iterdir()] == ["pseudonym.key"]
    assert (folder / "pseudonym.key").stat().st_mode & 0o777 == 0o600


def test_processes_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    """Whoever is slower takes the key of whoever was faster."""
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        keys = pool.map(load_key, [tmp_path] * 6, chunksize=1)
    assert len(set(keys)) == 1


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [(b"short", 0o600, "has 5 bytes and needs 32"), (b"k" * 32, 0o644, "mode 0644")],
)
def test_a_bad_key_is_refused(tmp_path: Path, content: bytes, mode: int, message: str) -> None:
    """A key that is too short or open to others is never used."""
    path = tmp_path / "pseudonym.key"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(StoreError, match=message):
        load_key(tmp_path)


def test_a_key_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """What stands in the way is named, without a traceback."""
    (tmp_path / "pseudonym.key").mkdir(mode=0o700)
    with pytest.raises(StoreError, match="cannot be used"):
        load_key(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be used"):
        load_key(tmp_path / "file")


# Networks


def test_subnets_are_read_as_people_write_them(tmp_path: Path) -> None:
    """Host bits, netmasks, mapped ranges and single addresses are all ranges."""
    found = subnets(
        tmp_path,
        "10.1.2.3/16,Sales,Berlin,no,40",
        "10.2.0.0/255.255.0.0,Legal,,,",
        "192.0.2.7,,,X,",
        "2001:db8::1/48,Sales,,TRUE,",
        "::ffff:10.3.0.0/112,Legal,,,",
    )
    assert found.problems == ()
    assert [(row.network, row.department, row.shared, row.people) for row in found.rows] == [
        ("10.1.0.0/16", "Sales", False, 40),
        ("10.2.0.0/16", "Legal", False, None),
        ("192.0.2.7/32", None, True, None),
        ("2001:db8::/48", "Sales", True, None),
        ("10.3.0.0/16", "Legal", False, None),
    ]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.1.2.0/24"),
        ("10.1.9.3", "10.1.0.0/16"),
        ("::ffff:10.1.2.3", "10.1.2.0/24"),
        ("10.9.2.3", "10.9.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("2001:db8:2:2:3::4%eth0", "2001:db8:2:2::/64"),
        ("[2001:db8:2:2::4]", "2001:db8:2:2::/64"),
        ("anna", None),
        ("", None),
        ("10.1.2", None),
        ("10.1.2.3:8080", None),
    ],
)
def test_network_of(tmp_path: Path, address: str, network: str | None) -> None:
    """The narrowest range, else the /24 or /64, else nothing."""
    ranges = subnets(tmp_path, "10.1.0.0/16,,,,", "10.1.2.0/24,,,,", "2001:db8:1::/48,,,,")
    assert network_of(address, ranges) == network


networks = st.one_of(
    st.tuples(st.integers(0, 255), st.integers(0, 32)).map(
        lambda pair: ipaddress.ip_network((pair[0] << 22, pair[1]), strict=False)
    ),
    st.tuples(st.integers(0, 255), st.integers(0, 128)).map(
        lambda pair: ipaddress.ip_network((pair[0] << 118, pair[1]), strict=False)
    ),
)


@given(
    st.sets(networks, max_size=12),
    st.integers(0, 2**30).map(ipaddress.IPv4Address)
    | st.integers(2**110, 2**126).map(ipaddress.IPv6Address),
)
def test_the_longest_prefix_wins(
    ranges: set[ipaddress.IPv4Network | ipaddress.IPv6Network],
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """The answer is the same as trying every range in turn."""
    found = Subnets(
        "", tuple(Subnet(str(row), None, None, shared=False, people=None) for row in ranges)
    )
    holding = [row for row in ranges if row.version == address.version and address in row]
    expected = str(max(holding, key=lambda row: row.prefixlen)) if holding else None
    answer = found.covering(str(address))
    assert (answer.network if answer else None) == expected


# The star


def test_a_move_in_mid_week(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Each day belongs to the department of that day, the day of the move to the new one."""
    people = directory(
        tmp_path, "anna,,Sales,2026-01-01,2026-03-04", "anna,,Legal,2026-03-04,2026-12-31"
    )
    see(con, 1, user="anna")
    put(con, people)
    assert memberships(con) == [
        (1, 1, "person", "Legal", date(2026, 3, 4), date(2027, 1, 1)),
        (1, 1, "person", "Sales", date(2026, 1, 1), date(2026, 3, 4)),
    ]


def test_login_and_mail_are_one_person(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """All actors of one person have one person_id, also by the part before the @."""
    people = directory(tmp_path, "adupont,anna.dupont@example.com,Sales,,", "ben,,Legal,,")
    names = ["ADUPONT", "anna.dupont@example.com", "ACME\\anna.dupont", "adupont@corp.example"]
    for number, name in enumerate(names):
        see(con, number, user=name)
    see(con, 9, user="ben")
    put(con, people)
    rows = con.execute("SELECT actor_id, person_id FROM membership ORDER BY actor_id").fetchall()
    assert len({person for actor, person in rows if actor < 9}) == 1
    assert len(rows) == 5
    assert con.execute("SELECT count(*) FROM person").fetchone() == (2,)


def test_the_whole_spelling_beats_the_local_part(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """A mail address is whose it is, even where its local part is another's login."""
    people = directory(tmp_path, "anna,,Sales,,", "ben,anna@example.com,Legal,,")
    see(con, 1, user="anna@example.com")
    see(con, 2, user="anna@corp.example")
    put(con, people)
    assert departments(con) == {1: "Legal", 2: "Sales"}


def test_a_shared_local_part_places_nobody(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Where two people could be meant, nobody is."""
    people = directory(tmp_path, "u1,info@a.example,Sales,,", "u2,info@b.example,Legal,,")
    see(con, 1, user="info")
    see(con, 2, user="info@b.example")
    put(con, people)
    assert departments(con) == {2: "Legal"}


def test_who_is_in_no_directory(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """The network places users, addresses and shared addresses, each in its own unit."""
    ranges = subnets(
        tmp_path,
        "10.1.0.0/16,Sales,,,",
        "10.1.9.0/24,,Printers,,",
        "10.2.0.0/16,,VPN,yes,",
        "10.3.0.0/16,Legal,,yes,",
        "2001:db8:1::/48,Legal,,,",
    )
    actors = [
        ("guest", "10.1.2.3"), (None, "10.1.2.3"), (None, "10.1.9.3"), (None, "10.2.0.1"),
        ("guest2", "10.2.0.1"), (None, "10.3.0.1"), ("guest3", "10.3.0.1"),
        (None, "2001:db8:1:7::9"), (None, "2001:db8:2::9"), (None, "10.9.9.9"),
    ]  # fmt: skip
    for number, (user, address) in enumerate(actors):
        see(con, number, user=user, address=address, ranges=ranges)
    put(con, None, ranges)
    always = (ALWAYS, FOREVER)
    assert memberships(con) == [
        (0, None, "person", "Sales", *always),
        (1, None, "address", "Sales", *always),
        (3, None, "shared", "(unknown)", *always),
        (5, None, "shared", "Legal", *always),
        (6, None, "person", "Legal", *always),
        (7, None, "address", "Legal", *always),
    ]


def test_a_person_of_the_directory_is_not_placed_by_network(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Whoever has left belongs to no department, wherever they sit."""
    people = directory(tmp_path, "anna,,Sales,,2025-12-31")
    ranges = subnets(tmp_path, "10.1.0.0/16,Legal,,,")
    see(con, 1, user="anna", address="10.1.2.3", ranges=ranges)
    put(con, people, ranges)
    assert memberships(con) == [(1, 1, "person", "Sales", ALWAYS, date(2026, 1, 1))]


def test_a_guest_is_not_placed_by_network(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Guests and service accounts are known, so their traffic makes no department larger."""
    header = "login,department,kind,from"
    people = directory(tmp_path, "ida,Sales,Guest,", "bot,Sales,service,", "jo,Law,,2026-02-01",
                       header=header)  # fmt: skip
    ranges = subnets(tmp_path, "10.1.0.0/16,Legal,,,")
    for number, user in enumerate(("ida", "bot", "jo"), 1):
        see(con, number, user=user, address="10.1.2.3", ranges=ranges)
    put(con, people, ranges)
    assert departments(con) == {3: "Law"}
    assert con.execute("SELECT count(*) FROM person").fetchall() == [(3,)]
    told = names_table(people, KEYS).select(["department", "valid_from", "valid_to"]).to_pylist()
    assert sorted(tuple(row.values()) for row in told) == [
        ("(unknown)", ALWAYS, date(2026, 2, 1)),
        ("(unknown)", ALWAYS, FOREVER),
        ("(unknown)", ALWAYS, FOREVER),
        ("Law", date(2026, 2, 1), FOREVER),
    ]
    stored = stored_names(con).to_pylist()
    assert sorted(names_table(people, KEYS).to_pylist(), key=str) == sorted(stored, key=str)


def test_networks_seen_before_the_subnets_came(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """A list of subnets places actors of earlier scans by the networks they were seen in."""
    see(con, 1, address="10.1.2.3")
    see(con, 2, address="2001:db8:1:7::9")
    put(con, None)
    assert memberships(con) == []
    put(con, None, subnets(tmp_path, "10.0.0.0/8,Sales,,,", "2001:db8::/32,Legal,,,"))
    assert departments(con) == {1: "Sales", 2: "Legal"}


def test_none_keeps_what_is_stored(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """A later scan without files places its new actors by the stored ones."""
    ranges = subnets(tmp_path, "10.1.0.0/16,Legal,Berlin,no,7")
    put(con, directory(tmp_path, "anna,,Sales,,"), ranges)
    assert stored_subnets(con).rows == ranges.rows
    see(con, 1, user="anna")
    see(con, 2, address="10.1.2.3", ranges=stored_subnets(con))
    put(con, None)
    assert departments(con) == {1: "Sales", 2: "Legal"}


def test_the_same_place_twice_changes_nothing(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Every table is the same after a second run."""
    people = directory(tmp_path, "anna,a@x.example,Sales,,", "ben,b@x.example,Legal,,")
    see(con, 1, user="ben")
    tables = ("person", "alias", "person_department", "subnet", "membership")
    states = []
    for _ in range(2):
        put(con, people, subnets(tmp_path, "10.1.0.0/16,Legal,,,"))
        states.append([con.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in tables])
    assert states[0] == states[1]


def test_a_person_keeps_the_id(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Newcomers, leavers and a new login under an old address change no other id."""

    def ids() -> dict[str, int]:
        found = dict(con.execute("SELECT alias_key, person_id FROM alias").fetchall())
        names = ("anna", "ben", "carl", "dora", "anna2")
        return {name: found[key] for name in names if (key := KEYS.user(name)[0]) in found}

    put(con, directory(tmp_path, "anna,a.b@x.example,S,,", "ben,,S,,", "carl,,S,,"))
    before = ids()
    assert set(before.values()) == {1, 2, 3}
    put(con, directory(tmp_path, "dora,,S,,", "anna2,a.b@x.example,S,,", "carl,,S,,"))
    after = ids()
    assert after["anna2"] == before["anna"]
    assert after["carl"] == before["carl"]
    assert after["dora"] not in {before["anna"], before["carl"]}
    assert con.execute("SELECT count(*) FROM person").fetchone() == (3,)
    put(con, directory(tmp_path, "anna2,,S,,", "other,a.b@x.example,S,,"))
    assert len(set(con.execute("SELECT person_id FROM alias").fetchall())) == 2


def test_a_failed_transaction_leaves_the_star_as_it_was(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Placing is the caller's to commit or to roll back."""
    see(con, 1, user="anna")
    put(con, directory(tmp_path, "anna,,Sales,,"))
    con.execute("BEGIN")
    place(con, directory(tmp_path, "ben,,Sales,,"), None, KEYS)
    assert departments(con) == {}
    con.execute("ROLLBACK")
    assert departments(con) == {1: "Sales"}


def test_tables_for_the_scan(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """The tables that a batch joins are those that the store gives back."""
    people = directory(
        tmp_path, "anna,a.b@x.example,Sales,,2026-03-04", "anna,,Legal,2026-03-05,", "ben,,S,,"
    )
    ranges = subnets(tmp_path, "10.1.0.0/16,Legal,,,", "10.2.0.0/16,,,x,")
    put(con, people, ranges)
    names = names_table(people, KEYS)
    assert names.column_names == ["alias_key", "department", "valid_from", "valid_to", "person"]
    assert names.num_rows == 3 * 2 + 1
    assert len(set(names["person"].to_pylist())) == 2
    assert sorted(names.to_pylist(), key=str) == sorted(stored_names(con).to_pylist(), key=str)
    assert names.schema == stored_names(con).schema
    assert networks_table(ranges).to_pylist() == [
        {"network": "10.1.0.0/16", "department": "Legal", "shared": False},
        {"network": "10.2.0.0/16", "department": None, "shared": True},
    ]
    assert networks_table(Subnets("", ())).num_rows == 0


def test_no_clear_name_reaches_the_file(tmp_path: Path) -> None:
    """The store knows departments in clear and people by key alone."""
    path = tmp_path / "work.duckdb"
    people = directory(tmp_path, "zwetschgenhuber,quittenmeier@example.com,Obstverkauf,,")
    with duckdb.connect(path) as con:
        # Compressed text would hide from the search below.
        con.execute("PRAGMA force_compression = 'uncompressed'")
        con.execute(STAR)
        see(con, 1, user="ACME\\Zwetschgenhuber")
        see(con, 2, user="Quittenmeier@example.com", address="198.51.100.77")
        put(con, people, subnets(tmp_path, "198.51.100.0/24,Obstverkauf,,,"))
        assert departments(con) == {1: "Obstverkauf", 2: "Obstverkauf"}
        before_checkpoint = b"".join(file.read_bytes() for file in tmp_path.glob("work*"))
        con.execute("CHECKPOINT")
    for raw in (before_checkpoint, path.read_bytes()):
        lower = raw.lower()
        assert b"obstverkauf" in lower
        assert KEYS.user("zwetschgenhuber")[0].encode() in lower
        for secret in (b"zwetschgenhuber", b"quittenmeier", b"example.com", b"100.77"):
            assert secret not in lower


def test_a_large_company_is_placed_in_seconds(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """50 000 people, 200 subnets and 300 000 actors; the limit leaves room for a slow machine."""
    rows = (f"u{n},first.last{n}@example.com,Dept {n % 40},2020-01-01," for n in range(50_000))
    people = directory(tmp_path, *rows)
    ranges = subnets(tmp_path, *(f"10.{n}.0.0/16,Dept {n % 40},,," for n in range(200)))
    keys = [KEYS.user(f"u{n}")[0] for n in range(50_000)]
    con.execute(
        "INSERT INTO actor SELECT n, if(n % 2 = 0, 'user', 'address'),"
        " coalesce(?[n + 1], md5(n::VARCHAR)), NULL,"
        " format('10.{}.{}.0/24', n % 256, n // 256 % 256) FROM range(300000) AS t(n)",
        [keys],
    )
    began = time.perf_counter()
    put(con, people, ranges)
    assert time.perf_counter() - began < 20
    assert con.execute("SELECT count(*) FROM alias").fetchone() == (150_000,)
