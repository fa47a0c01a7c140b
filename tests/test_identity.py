"""Who was behind an address at that second: an oracle of small days whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from agent import files, formats, parse, proof, reading
from agent.model import CLAIM_FIELDS, Format
from tests.conftest import Run, counted

LOGS = Path(__file__).parent / "claims"
CLAIMS = formats.of_claims(formats.load_all())
PEOPLE = """login,mail,department,from,to
ann,ann@acme.example,Marketing,,
bob,bob@acme.example,Sales,,2026-03-03
bob,bob@acme.example,Legal,2026-03-04,
eve,eve@acme.example,Finance,,
"""


class Day:
    """A folder with a directory, logs of one address, and whatever tells whose it was."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder, self._run = folder, run
        self.write("people.csv", PEOPLE)

    def write(self, name: str, text: str) -> None:
        """Write a file below the folder."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def ask(self, *moments: str, client: str = "10.1.0.1", user: str = "") -> None:
        """Write a log in which an address asks for an app at each moment."""
        lines = (self.line(moment, client, user) for moment in moments)
        name = user.replace("\\", "-") or "nobody"
        self.write(f"logs/web-{client}-{name}.log", "".join(lines))

    def line(self, moment: str, client: str = "10.1.0.1", user: str = "") -> str:
        """Return one line of a Zeek, which may name its user."""
        names = f'"username":{json.dumps(user)},' if user else ""
        return (
            f'{{"ts":"{moment}","id.orig_h":"{client}","id.resp_h":"192.0.2.1","trans_depth":1,'
            f'{names}"host":"app.slack.com","request_body_len":1,"response_body_len":1}}\n'
        )

    def scan(self, settings: str = "", *, ok: bool = True) -> set[tuple[object, ...]]:
        """Scan, and return day of the month, department and requests of all use."""
        self.write("sundial.toml", f'{settings}\n[people]\nfile = "people.csv"\n')
        where = ["--store", self.folder / "store", "--config", self.folder / "sundial.toml"]
        self._run("scan", self.folder / "logs", *where, ok=ok)
        return set(self.asked("SELECT day(day), department, requests FROM usage_daily"))

    def asked(self, question: str) -> list[tuple[object, ...]]:
        """Ask the findings as if no group were too small."""
        found = counted(self.folder / "store") / "findings.duckdb"
        with duckdb.connect(str(found), read_only=True) as con:
            return con.execute(question).fetchall()


@pytest.fixture
def day(tmp_path: Path, run: Run) -> Day:
    return Day(tmp_path, run)


def vpn(moment: str, user: str, *, client: str = "10.1.0.1", ends: bool = False) -> str:
    """One line of an ASA: a user gets an address, or gives it back."""
    code, verb = ("746013", "Delete") if ends else ("746012", "Add")
    said = f"user-identity: {verb} IP-User mapping {client} - ACME\\{user} Succeeded - VPN"
    return f"{moment} fw : %ASA-5-{code}: {said}\n"


def kea(address: str, mac: str, begins: int, seconds: int) -> str:
    """One line of Kea's journal."""
    return f"{address},{mac},,{seconds},{begins + seconds},1,0,0,,0,,0\n"


KEA = (
    "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,"
    "user_context,pool_id\n"
)
NOON = 1772452800  # 2026-03-02 12:00:00 UTC
LOGONS = '[logons]\nfiles = ["vpn.log"]\n'
LEASES = '[leases]\nfiles = ["kea.csv"]\ndevices = "devices.csv"\n'


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


@pytest.mark.parametrize("name", CLAIMS)
def test_every_format_of_claims_proves_itself(name: str, con: duckdb.DuckDBPyConnection) -> None:
    assert proof.check_samples(con, [CLAIMS[name]]) == []


def claims_in(con: duckdb.DuckDBPyConnection, one: Format, text: bytes) -> Iterator[str]:
    """Each line of a log as its claim, or as the reason why it is none."""
    columns, prefixed = parse.first_columns(one, text), parse.looks_prefixed(text)
    line = 1
    for part, named in parse.sections(one, bytes(parse.records(one, text)), columns):
        how = parse.Reading("UTC", date(2026, 1, 31), prefixed, named)
        con.register("part", parse.lines_table(part, line, one, named, prefixed=prefixed))
        found = con.execute(f"{parse.events_sql(one, how, 'part')} ORDER BY line_no")
        for number, outcome, *values in found.fetchall():
            told = dict(zip(CLAIM_FIELDS, values, strict=True)) if outcome is None else {}
            said = {name: str(value) for name, value in told.items() if value is not None}
            row = {"line": number, **({"outcome": outcome} if outcome else said)}
            yield f"{json.dumps(row)}\n"
        line += bytes(part).count(b"\n")


@pytest.mark.parametrize("name", CLAIMS)
def test_a_log_of_claims_reads_as_blessed_and_is_recognised(
    con: duckdb.DuckDBPyConnection, name: str, *, bless: bool
) -> None:
    text = (LOGS / f"{name}.log").read_bytes()
    found = "".join(claims_in(con, CLAIMS[name], text))
    golden = LOGS / f"{name}.golden.jsonl"
    if bless:
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")
    kind = CLAIMS[name].kind
    others = {known: one for known, one in CLAIMS.items() if one.kind == kind}
    log = next(iter(files.find([LOGS / f"{name}.log"], [])))
    assert reading.answer(con, log, text, others).format is CLAIMS[name]


def test_an_address_is_handed_over_every_minute(day: Day) -> None:
    macs = ["02:00:5e:00:53:01", "02:00:5e:00:53:02"]
    day.write("devices.csv", f"mac,login\n{macs[0]},ann\n{macs[1]},bob\n")
    minutes = range(NOON, NOON + 60 * 60, 60)
    leases = (kea("10.1.0.1", macs[n % 2], begin, 60) for n, begin in enumerate(minutes))
    day.write("kea.csv", KEA + "".join(leases))
    first = [datetime.fromtimestamp(begin, UTC) for begin in minutes]
    last = [begin + timedelta(seconds=59) for begin in first[::2]]
    day.ask(*(f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in first + last))
    assert day.scan(LEASES) == {(2, "Marketing", 60), (2, "Sales", 30)}


def test_a_lease_is_handed_over_at_noon(day: Day) -> None:
    day.write("devices.csv", "mac,login\n02:00:5e:00:53:01,ann\n02005E005302,bob\n")
    day.write(
        "kea.csv",
        KEA
        + kea("10.1.0.1", "02:00:5e:00:53:01", NOON - 14400, 86400)
        + kea("10.1.0.1", "02:00:5e:00:53:02", NOON, 7200),
    )
    day.ask(
        "2026-03-02T07:59:59Z",  # before anybody
        "2026-03-02T11:59:59Z",
        "2026-03-02T12:00:00Z",
        "2026-03-02T13:59:59Z",
        "2026-03-02T14:00:00Z",  # the lease is over
    )
    assert day.scan(LEASES) == {(2, "(unknown)", 2), (2, "Marketing", 1), (2, "Sales", 2)}


def test_a_device_is_the_same_over_both_protocols_whatever_its_duid_holds_beside(day: Day) -> None:
    """A DUID-LLT and a DUID-LL end in what an IPv4 lease calls hardware; others do not."""
    day.write("devices.csv", "mac,login\n02:00:5e:00:53:01,ann\n0002000000090102,bob\n")
    day.write(
        "dhcp/dhcpd.leases",
        "lease 10.1.0.1 {\n  starts 1 2026/03/02 08:00:00;\n  ends 1 2026/03/02 16:00:00;\n"
        "  binding state active;\n  hardware ethernet 02:00:5e:00:53:01;\n}\n",
    )
    duids = {
        "2001:db8::1": r"\000\001\000\0012\226\2230\002\000^\000S\001",
        "2001:db8::2": r"\000\003\000\001\002\000^\000S\001",
        "2001:db8::3": r"\000\002\000\000\000\011\001\002",
    }
    leases = [
        f'ia-na "\\001S\\000^{duid}" {{\n  cltt 1 2026/03/02 08:00:00;\n'
        f"  iaaddr {address} {{\n    binding state active;\n    preferred-life 600;\n"
        "    max-life 7200;\n    ends 1 2026/03/02 16:00:00;\n  }\n}\n\n"
        for address, duid in duids.items()
    ]
    day.write("dhcp/dhcpd6.leases", "".join(leases))
    for address in ("10.1.0.1", *duids):
        day.ask("2026-03-02T09:00:00Z", client=address)
    settings = '[leases]\nfiles = ["dhcp"]\ndevices = "devices.csv"\n'
    assert day.scan(settings) == {(2, "Marketing", 3), (2, "Sales", 1)}


def test_a_user_in_the_line_goes_before_a_log_on_and_a_log_on_before_a_lease(day: Day) -> None:
    day.write("devices.csv", "mac,login\n02:00:5e:00:53:01,ann\n")
    day.write("kea.csv", KEA + kea("10.1.0.1", "02:00:5e:00:53:01", NOON - 14400, 28800))
    day.write("vpn.log", vpn("Mar 02 2026 12:00:00", "bob"))
    day.ask("2026-03-02T11:00:00Z", "2026-03-02T13:00:00Z")
    day.ask("2026-03-02T13:00:00Z", "2026-03-02T13:00:01Z", "2026-03-02T13:00:02Z", user="eve")
    assert day.scan(LEASES + LOGONS) == {
        (2, "Marketing", 1),
        (2, "Sales", 1),
        (2, "Finance", 3),
    }


def test_two_claims_at_once_are_a_conflict_that_is_shown_and_nobody(day: Day) -> None:
    day.write(
        "vpn.log",
        vpn("Mar 02 2026 08:00:00", "ann")
        + vpn("Mar 02 2026 10:00:00", "bob")
        + vpn("Mar 02 2026 12:00:00", "ann", ends=True)
        + vpn("Mar 02 2026 14:00:00", "bob", ends=True),
    )
    day.ask("2026-03-02T09:00:00Z", "2026-03-02T11:00:00Z", "2026-03-02T13:00:00Z")
    assert day.scan(LOGONS) == {(2, "Marketing", 1), (2, "(unknown)", 1), (2, "Sales", 1)}
    shown = day.asked("SELECT reason, addresses, hours FROM identity_conflicts")
    assert shown == [("conflict", 1, 2.0)]


def test_an_end_that_nobody_told_gives_way_to_the_next_log_on(day: Day) -> None:
    day.write("vpn.log", vpn("Mar 02 2026 08:00:00", "ann") + vpn("Mar 02 2026 10:00:00", "bob"))
    day.ask("2026-03-02T09:00:00Z", "2026-03-02T11:00:00Z", "2026-03-02T17:59:59Z")
    day.scan(LOGONS)
    used = day.asked("SELECT department, requests FROM usage_daily ORDER BY ALL")
    assert used == [("Marketing", 1), ("Sales", 2)]
    assert day.asked("FROM identity_conflicts") == []


def test_many_at_once_share_an_address_which_is_traffic_and_nobody(day: Day) -> None:
    users = ("ann", "bob", "eve", "mia")
    told = [vpn("Mar 02 2026 08:00:00", user) for user in users]
    told += [vpn("Mar 02 2026 16:00:00", user, ends=True) for user in users]
    day.write("vpn.log", "".join(told))
    day.ask("2026-03-02T09:00:00Z", "2026-03-02T10:00:00Z")
    assert day.scan(LOGONS) == {(2, "(unknown)", 2)}
    assert day.asked("SELECT people FROM usage_daily") == [(0,)]
    assert day.asked("SELECT shared_requests FROM coverage_daily") == [(2,)]
    assert day.asked("SELECT reason, hours FROM identity_conflicts") == [("shared", 8.0)]


def test_somebody_moves_in_the_middle_of_a_week(day: Day) -> None:
    day.write("vpn.log", vpn("Mar 03 2026 08:00:00", "bob") + vpn("Mar 04 2026 08:00:00", "bob"))
    day.ask("2026-03-03T09:00:00Z", "2026-03-04T09:00:00Z")
    assert day.scan(LOGONS) == {(3, "Sales", 1), (4, "Legal", 1)}


def test_the_hour_that_a_clock_skips_is_an_hour_that_nobody_had(day: Day) -> None:
    """Berlin, 29 March 2026: 03:00 follows 01:59, so these two hours apart are one."""
    day.write(
        "vpn.log",
        vpn("Mar 29 2026 01:30:00", "ann")
        + vpn("Mar 29 2026 03:30:00", "ann", ends=True)
        + vpn("Mar 29 2026 03:30:00", "bob"),
    )
    day.ask("2026-03-29T00:29:59Z", "2026-03-29T01:29:59Z", "2026-03-29T01:30:00Z")
    found = day.scan(f'timezone = "Europe/Berlin"\n{LOGONS}')
    assert found == {(29, "(unknown)", 1), (29, "Marketing", 1), (29, "Legal", 1)}


@pytest.mark.parametrize(("ahead", "whose"), [(0, "Marketing"), (300, "Sales")])
def test_a_clock_that_is_ahead_is_put_right(day: Day, ahead: int, whose: str) -> None:
    """The concentrator is five minutes ahead: what it calls 12:03 is 11:58."""
    day.write("vpn.log", vpn("Mar 02 2026 08:00:00", "ann") + vpn("Mar 02 2026 12:03:00", "bob"))
    day.ask("2026-03-02T11:59:00Z")
    clock = f'[source.vpn]\nmatch = "vpn.log"\nahead = {ahead}\n'
    assert day.scan(LOGONS + clock) == {(2, whose, 1)}


def test_the_same_login_in_two_domains_places_nobody(day: Day) -> None:
    twins = "login,mail,department\n,sam@acme.example,Marketing\n,sam@other.example,Sales\n"
    day.write("people.csv", twins)
    line = vpn("Mar 02 2026 08:00:00", "sam")
    day.write(
        "vpn.log", line + line.replace("ACME\\sam", "sam@other.example").replace("8:", "9:", 1)
    )
    day.ask("2026-03-02T08:30:00Z", "2026-03-02T09:30:00Z")
    assert day.scan(LOGONS) == {(2, "(unknown)", 1), (2, "Sales", 1)}


def test_two_domains_with_one_login_are_two_people_and_one_domain_is_one(day: Day) -> None:
    """The directory knows ann of ACME, and in which of two domains bob is nobody says."""
    day.write("people.csv", PEOPLE.replace("ann,", "ACME\\ann,", 1))
    day.ask("2026-03-02T09:00:00Z", user="ACME\\ann")
    day.ask("2026-03-02T09:00:00Z", client="10.1.0.2", user="OTHER\\ann")
    day.ask("2026-03-02T09:00:00Z", client="10.1.0.3", user="ACME\\bob")
    day.ask("2026-03-02T09:00:00Z", client="10.1.0.4", user="OTHER\\bob")
    day.ask("2026-03-02T09:00:00Z", client="10.1.0.5", user="OTHER.EXAMPLE\\eve")
    assert day.scan() == {(2, "Marketing", 1), (2, "(unknown)", 3), (2, "Finance", 1)}
    people = day.asked("SELECT department, people FROM usage_daily ORDER BY ALL")
    assert people == [("(unknown)", 3), ("Finance", 1), ("Marketing", 1)]


def test_somebody_in_no_directory_is_one_under_all_spellings_of_one_login(day: Day) -> None:
    for place, user in enumerate(
        ("zoe", "ACME\\zoe", "zoe@acme.example", "OTHER\\max", "ACME\\max")
    ):
        day.ask("2026-03-02T09:00:00Z", client=f"10.1.0.{place}", user=user)
    day.scan()
    assert day.asked("SELECT people, requests FROM usage_daily") == [(3, 5)]


def test_a_user_of_a_proxy_is_behind_the_address_for_the_day(day: Day) -> None:
    """What a resolver saw of the address is his, in whatever order the logs come."""
    day.ask("2026-03-02T09:00:00Z", "2026-03-03T09:00:00Z")
    assert day.scan() == {(2, "(unknown)", 1), (3, "(unknown)", 1)}
    day.ask("2026-03-02T14:00:00Z", user="ann")
    day.ask("2026-03-02T15:00:00Z", user="ACME\\ann")
    assert day.scan() == {(2, "Marketing", 3), (3, "(unknown)", 1)}
    people = "SELECT people FROM usage_daily WHERE department = 'Marketing'"
    assert day.asked(people) == [(1,)]
    assert day.asked("FROM identity_conflicts") == []


def test_a_look_up_of_what_the_proxy_refused_is_no_use(day: Day) -> None:
    """Of an app that it let through on the same day, it is."""
    day.ask("2026-03-02T09:00:00Z", "2026-03-03T09:00:00Z")
    line = "1772452800.000 90 10.1.0.1 TCP_DENIED/403 500 CONNECT app.slack.com:443 ann NONE/- -\n"
    allowed = line.replace("1772452800", "1772539200")
    passed = allowed.replace("TCP_DENIED/403", "TCP_TUNNEL/200")
    day.write("logs/access.log", line + allowed + passed)
    day.scan()
    people = "SELECT day(day), department, people, requests, blocked FROM usage_daily ORDER BY ALL"
    assert day.asked(people) == [
        (2, "(unknown)", 0, 1, 0), (2, "Marketing", 1, 1, 1), (3, "Marketing", 1, 3, 1),
    ]  # fmt: skip


def test_two_users_of_a_proxy_on_one_day_are_a_conflict_that_is_shown(day: Day) -> None:
    day.ask("2026-03-02T09:00:00Z", "2026-03-02T16:00:00Z")
    day.ask("2026-03-02T10:00:00Z", user="ann")
    day.ask("2026-03-02T14:00:00Z", user="bob")
    day.ask("2026-03-02T14:00:00Z", client="10.1.0.2", user="PC-7$")
    day.ask("2026-03-02T14:30:00Z", client="10.1.0.2", user="eve")
    day.ask("2026-03-02T15:00:00Z", client="10.1.0.2")
    found = day.scan()
    assert found == {
        (2, "(unknown)", 3), (2, "Marketing", 1), (2, "Sales", 1), (2, "Finance", 2),
    }  # fmt: skip
    shown = day.asked("SELECT reason, addresses, hours FROM identity_conflicts")
    assert shown == [("users", 1, 2.0)]


def test_a_lease_goes_before_the_user_of_a_proxy(day: Day) -> None:
    day.write("devices.csv", "mac,login\n02:00:5e:00:53:01,ann\n")
    day.write("kea.csv", KEA + kea("10.1.0.1", "02:00:5e:00:53:01", NOON, 3600))
    day.ask("2026-03-02T12:30:00Z", "2026-03-02T14:00:00Z")
    day.ask("2026-03-02T15:00:00Z", user="bob")
    assert day.scan(LEASES) == {(2, "Marketing", 1), (2, "Sales", 2)}


def test_many_users_of_one_hour_share_an_address(day: Day) -> None:
    """From then on until the last such day it is traffic, also on a day with one user."""
    for user in ("ann", "bob", "eve", "mia"):
        day.ask("2026-03-02T10:05:00Z", "2026-03-06T10:05:00Z", user=user)
    day.ask("2026-03-04T10:00:00Z", user="max")
    day.ask("2026-03-02T11:00:00Z", "2026-03-04T11:00:00Z", "2026-03-09T11:00:00Z")
    day.scan()
    shared = "SELECT day(day), shared_requests FROM coverage_daily WHERE shared_requests > 0"
    assert day.asked(f"{shared} ORDER BY ALL") == [(2, 1), (4, 1)]
    shown = day.asked("SELECT day(day), reason, addresses, hours FROM identity_conflicts")
    assert shown == [(number, "many users", 1, None) for number in range(2, 7)]


def test_many_browsers_that_name_no_user_share_an_address(day: Day) -> None:
    line = day.line("2026-03-02T09:00:00Z")
    agents = (f'"user_agent":"Mozilla/5.0 (build {number})","host"' for number in range(40))
    day.write("logs/web.log", "".join(line.replace('"host"', agent) for agent in agents))
    day.ask("2026-03-02T09:00:00Z", client="10.1.0.2")
    day.scan()
    shared = day.asked("SELECT sum(requests), sum(shared_requests) FROM coverage_daily")
    assert shared == [(41, 40)]
    shown = day.asked("SELECT reason, addresses, hours FROM identity_conflicts")
    assert shown == [("many browsers", 1, None)]


@pytest.mark.parametrize(("late", "told"), [(0, []), (300, [("dns", "web", -301, 36)])])
def test_the_skew_of_two_clocks_is_told_by_what_both_saw(
    day: Day, run: Run, late: int, told: list[object]
) -> None:
    """A client asks for an address a second before it asks for the host there."""
    asked, got = [], []
    for client in (f"10.1.0.{number}" for number in range(1, 7)):
        moments = [datetime(2026, 3, number, 9, number * 7, tzinfo=UTC) for number in range(2, 8)]
        got += [
            f"{moment.timestamp():.3f} 90 {client} TCP_TUNNEL/200 500 CONNECT app.slack.com:443 - "
            "HIER_DIRECT/192.0.2.1 -\n"
            for moment in moments
        ]
        asked += [
            f"{moment - timedelta(seconds=late + 1):%d-%b-%Y %H:%M:%S}.000 queries: info: "
            f"client @0x7f {client}#5353 (app.slack.com): query: app.slack.com IN A + (::1)\n"
            for moment in moments
        ]
    day.write("logs/query.log", "".join(asked))
    day.write("logs/web.log", "".join(got))
    day.scan('[source.web]\nmatch = "web*"\n[source.dns]\nmatch = "query*"\n')
    found = day.asked("FROM clock_skew")
    assert found == (told or [("dns", "web", -1, 36)])
    rows = run("doctor", "--store", day.folder / "store", "--json", ok=False).rows
    says = [row["says"] for row in rows if row["check"] == "clock"]
    assert says == (
        ["its clock is 301 seconds behind that of web, by what both saw."] if told else []
    )


def test_a_ledger_tells_what_names_only_an_address_or_only_a_tunnel(day: Day) -> None:
    moment = "1772452800.000 90 10.1.0.1 TCP_TUNNEL/200 500"
    hosts = ("app.slack.com:443", "192.0.2.7:443", "[2001:db8::7]:443", "printer:631")
    day.write(
        "logs/access.log",
        "".join(f"{moment} CONNECT {host} ann HIER_DIRECT/192.0.2.1 -\n" for host in hosts)
        + f"{moment} GET http://app.slack.com/ ann HIER_DIRECT/192.0.2.1 -\n",
    )
    day.scan()
    columns = "requests, unnamed_requests, bare_requests, tunnel_requests"
    assert day.asked(f"SELECT {columns} FROM coverage_daily") == [(5, 3, 2, 4)]


def test_a_tree_and_dotted_lines_are_published(day: Day) -> None:
    day.write(
        "people.csv",
        "login,department,parent,also\nann,North,Sales,Legal\nbob,South,Sales,\n"
        "eve,Sales,Company,\nmax,Legal,Company,\n",
    )
    day.ask("2026-03-02T09:00:00Z", user="ann")
    day.scan()
    assert day.asked("SELECT department, parent, dotted FROM departments ORDER BY ALL") == [
        ("Legal", "Company", ["North"]),
        ("North", "Sales", None),
        ("Sales", "Company", None),
        ("South", "Sales", None),
    ]
    assert day.asked("SELECT division, list(department) FROM divisions GROUP BY 1 ORDER BY 1") == [
        ("Company", ["Legal", "North", "Sales", "South"]),
        ("Sales", ["North", "Sales", "South"]),
    ]


def test_leases_among_the_logs_are_read_once_and_name_nobody_in_the_clear(day: Day) -> None:
    day.write("logs/vpn.log", vpn("Mar 02 2026 08:00:00", "ann"))
    day.ask("2026-03-02T09:00:00Z")
    settings = '[logons]\nfiles = ["logs/vpn.log"]\n'
    first = day.scan(settings)
    assert first == day.scan(settings) == {(2, "Marketing", 1)}
    with duckdb.connect(str(day.folder / "store/work.duckdb")) as con:
        assert con.execute("SELECT count(*) FROM claim").fetchall() == [(1,)]
        kept = con.execute("SELECT address, user_key, alt_key FROM claim").fetchall()
    assert not any(name in str(kept) for name in ("10.1.0.1", "ann"))


def test_a_corrected_directory_labels_history_anew_and_tells_what_moved(day: Day, run: Run) -> None:
    day.write("vpn.log", vpn("Mar 02 2026 08:00:00", "ann"))
    day.ask("2026-03-02T09:00:00Z")
    assert day.scan(LOGONS) == {(2, "Marketing", 1)}
    day.write("people.csv", PEOPLE.replace("Marketing", "Design"))
    store, staff = day.folder / "store", day.folder / "people.csv"
    told = run("people", "resolve", "--store", store, "--people", staff).stdout
    assert told == "Marketing -> Design: 1 user or address, 2026-03-02 to 2026-03-02.\n"
    assert day.asked("SELECT department FROM usage_daily") == [("Design",)]
    assert run("people", "resolve", "--store", store, "--people", staff).stdout == ""


def test_wrong_settings_are_all_named(day: Day, run: Run) -> None:
    day.ask("2026-03-02T09:00:00Z")
    day.write(
        "bad.toml",
        '[leases]\nfiles = "x"\nhours = 0\n[logons]\nshared = 1\nfile = []\n'
        '[source.old]\nmatch = "*"\nretired = "soon"\n',
    )
    done = run(
        "scan", day.folder / "logs", "--store", day.folder / "store",
        "--config", day.folder / "bad.toml", ok=False,
    )  # fmt: skip
    told = " ".join(done.stderr.split())
    for key in (
        "leases.files",
        "leases.hours",
        "logons.shared",
        "logons.file:",
        "source.old.retired",
    ):
        assert key in told
