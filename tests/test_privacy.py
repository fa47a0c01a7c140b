"""What a log says of people but for hosts never reaches the disk: planted canaries are sought."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from agent.pseudonyms import Pseudonyms, load_key
from agent.rulebook import load_formats
from tests.conftest import Run
from tests.test_scan import _command

LOGIN, MAIL, PATH, QUERY = "cnrylogin", "cnry.mail@cnrymail.example", "cnrypath", "cnryquery"
REFERRER, COOKIE, AGENT, CLIENT = "cnryreferrer", "cnrycookie", "cnryagent", "10.77.66.55"
CANARIES = (LOGIN, "cnry.mail", "cnrymail", PATH, QUERY, REFERRER, COOKIE, AGENT, CLIENT)

URL = f"app.slack.com/{PATH}?token={QUERY}"
LINES = {
    "squid_native": (
        f"1772438400.100 9 {CLIENT} TCP_MISS/200 9 GET http://{URL} {{user}} HIER_DIRECT/192.0.2.7 "
        f'text/html "http://{REFERRER}/" "{AGENT}"'
    ),
    "w3c_extended": (
        "#Fields: date time c-ip cs-username cs-method cs-uri-scheme cs-host cs-uri-path "
        "cs-uri-query cs(Referer) cs(User-Agent) cs(Cookie) sc-status cs-bytes sc-bytes\n"
        f"2026-03-02 08:00:00 {CLIENT} {{user}} GET http app.slack.com /{PATH} ?token={QUERY} "
        f'http://{REFERRER}/ "{AGENT}" "id={COOKIE}" 200 9 9'
    ),
    "zscaler_web_kv": (
        "<134>2026-03-02 08:00:00\treason=Allowed\tprotocol=HTTPS\taction=Allowed\tresponsesize=9\t"
        f"requestsize=9\tserverip=192.0.2.7\trequestmethod=GET\tuseragent={AGENT}\t"
        f"refererURL={REFERRER}\tClientIP={CLIENT}\tuser={{user}}\turl={URL}\thostname=app.slack.com"
    ),
    "zscaler_web_json": (
        '{"sourcetype":"zscalernss-web","event":{"time":"Mon Mar 02 08:00:00 2026",'
        '"login":"{user}",'
        f'"eurl":"{URL}","ereferer":"{REFERRER}","action":"Allowed","reqsize":"9","respsize":"9",'
        f'"cip":"{CLIENT}","reqmethod":"GET","eua":"{AGENT}"}}}}'
    ),
    "umbrella_proxy": (
        f'"2026-03-02 08:00:00","{{user}}","{CLIENT}","198.51.100.1","192.0.2.7","text/html",'
        f'"ALLOWED","https://{URL}","https://{REFERRER}/","{AGENT}","200","9","9","9","","","","","",'
        '"","","AD Users","","","","GET"'
    ),
    "fortigate": (
        'date=2026-03-02 time=09:00:00 devname="fw1" devid="FG1" logid="0316013056" type="utm" '
        f'subtype="webfilter" eventtype="ftgd_allow" tz="+0100" user="{{user}}" srcip={CLIENT} '
        f'dstip=192.0.2.7 hostname="app.slack.com" httpmethod="GET" agent="{AGENT}" '
        f'action="passthrough" url="/{PATH}?token={QUERY}" referralurl="{REFERRER}" sentbyte=9 '
        "rcvdbyte=9"
    ),
    "panos": (
        "1,2026/03/02 08:00:05,001234567890,THREAT,url,2561,2026/03/02 08:00:00,"
        f"{CLIENT},192.0.2.7,0.0.0.0,0.0.0.0,Web,{{user}},,web-browsing,vsys1,trust,untrust,ae1,ae2,"
        "Default,2026/03/02 08:00:05,25149,1,59309,443,0,0,0x208000,tcp,alert,"
        f'"{URL}",(9999),social-networking,informational,client-to-server,1,0x0,'
        f'192.0.2.0-192.0.2.255,US,0,text/html,0,,,1,"{AGENT}",,,"{REFERRER}",,,,0,0,0,0,0,,fw1,,get'
    ),
}
"""One line a product, with a place for the user; what else is personal is planted in it."""


def search(store: Path, *texts: str) -> Iterator[str]:
    """Name each canary that is in a file of a store, as bytes or in a row of a table."""
    said = "\n".join(texts)
    for path in store.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            yield from (f"{c} in {path.name}" for c in CANARIES if c.encode() in content)
        if path.suffix == ".duckdb":
            # Packed columns hide their text from a look at the bytes.
            said += "".join(_rows(path))
    yield from (f"{c} in a table or message" for c in CANARIES if c in said)


def _rows(path: Path) -> Iterator[str]:
    with duckdb.connect(str(path), read_only=not path.with_suffix(".duckdb.wal").exists()) as con:
        named = "SELECT schema_name, table_name FROM duckdb_tables()"
        for schema, name in con.execute(named).fetchall():
            yield from map(str, con.execute(f'FROM "{schema}"."{name}"').fetchall())


@pytest.mark.parametrize("name", LINES)
def test_planted_canaries_are_not_found(name: str, run: Run, tmp_path: Path) -> None:
    """Read, rejected or unfinished: a line leaves nothing but its host and a pseudonym."""
    logs = tmp_path / "logs"
    logs.mkdir()
    header, _, shape = LINES[name].rpartition("\n")
    good = [shape.replace("{user}", user) for user in (LOGIN, MAIL)]
    bad = [line.replace("2026", "20x6").replace("17724", "xx") for line in good]
    lines = (
        [header, *good, *bad, good[0][: len(good[0]) // 2], *good]
        if header
        else ([*good, *bad, good[0][: len(good[0]) // 2], *good])
    )
    (logs / "a.log").write_text("\n".join(lines) + "\n" + good[1][:-9])
    seen = run("parse", logs / "a.log", "--format", name).stdout
    assert LOGIN in seen
    assert MAIL in seen
    assert CLIENT in seen
    done = run("scan", logs, "--store", tmp_path / "store", "--format", name)
    with duckdb.connect(str(tmp_path / "store/work.duckdb"), read_only=True) as con:
        assert con.execute("SELECT sum(requests) FROM usage").fetchall()[0][0] >= 4
    assert list(search(tmp_path / "store", done.stderr, done.stdout)) == []


def test_no_format_keeps_user_or_client(run: Run, tmp_path: Path) -> None:
    """Whatever formats are shipped: who a sample names is nowhere in the store."""
    samples = [
        (one, sample, sample.event)
        for one in load_formats().values()
        for sample in one.samples
        if isinstance(sample.event, dict) and {"user", "client", "host"} <= sample.event.keys()
    ]
    assert len({one.name for one, _, _ in samples}) > 50
    settings = []
    (tmp_path / "logs").mkdir()
    for number, (one, sample, event) in enumerate(samples):
        login = f"{LOGIN}x{number}"
        bare = str(event["user"]).rpartition("\\")[2].partition("@")[0]
        line = sample.line.replace(bare, login).replace(str(event["client"]), CLIENT)
        assert login in line
        assert CLIENT in line
        text = f"{sample.header}\n{line}\n{line}\n"[not sample.header :]
        (tmp_path / "logs" / f"{number:04d}.log").write_text(text)
        settings.append(f'[source.s{number}]\nmatch = "{number:04d}.log"\nformat = "{one.name}"\n')
    (tmp_path / "sundial.toml").write_text("".join(settings))
    store = tmp_path / "store"
    done = run(
        "scan", tmp_path / "logs", "--store", store, "--config", tmp_path / "sundial.toml", ok=False
    )
    key = Pseudonyms(load_key(store))
    with duckdb.connect(str(store / "work.duckdb"), read_only=True) as con:
        kept = {user for (user,) in con.execute("SELECT alt_key FROM actor").fetchall()}
        kept |= {user for (user,) in con.execute("SELECT key FROM actor").fetchall()}
    unread = [
        samples[number][0].name
        for number in range(len(samples))
        if key.user(f"{LOGIN}x{number}")[0] not in kept
    ]
    assert unread == [], "their users never came so far"
    assert list(search(store, done.stderr)) == []


def test_a_killed_scan_leaves_nothing_behind(tmp_path: Path) -> None:
    """Whatever lies in the folder at that moment, the write-ahead log included."""
    (tmp_path / "logs").mkdir()
    shape = LINES["squid_native"]
    lines = [
        shape.replace("{user}", f"{LOGIN}{number % 300}").replace(
            "1772438400", str(1772438400 + number)
        )
        for number in range(40_000)
    ]
    text = "\n".join(lines).encode()
    (tmp_path / "logs" / "a.log").write_bytes(text)
    (tmp_path / "logs" / "b.log.gz").write_bytes(gzip.compress(b"x" + text, 1))
    store = tmp_path / "store"
    process = subprocess.Popen(_command(tmp_path, store), stderr=subprocess.DEVNULL)
    wal = store / "work.duckdb.wal"
    while process.poll() is None and not (wal.exists() and wal.stat().st_size > 20_000):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert wal.exists()
    assert list(search(store)) == []


def test_networks_are_kept_and_addresses_are_not(run: Run, tmp_path: Path) -> None:
    (tmp_path / "subnets.csv").write_text("cidr,department\n10.77.66.32/27,Sales\n")
    (tmp_path / "a.log").write_text(LINES["squid_native"].replace("{user}", "-") + "\n")
    run("scan", tmp_path / "a.log", "--store", tmp_path / "store")
    assert _networks(tmp_path) == {"10.77.66.0/24"}
    subnets = ("--subnets", tmp_path / "subnets.csv")
    run("scan", tmp_path / "a.log", "--store", tmp_path / "other", *subnets)
    assert _networks(tmp_path, "other") == {"10.77.66.32/27"}


def _networks(folder: Path, store: str = "store") -> set[str]:
    with duckdb.connect(str(folder / store / "work.duckdb"), read_only=True) as con:
        return {row[0] for row in con.execute("SELECT network FROM actor").fetchall()}


def test_only_the_owner_may_read_the_store(run: Run, tmp_path: Path) -> None:
    """The findings are for others, the key and the star are not."""
    (tmp_path / "a.log").write_text(LINES["squid_native"].replace("{user}", LOGIN) + "\n")
    run("scan", tmp_path / "a.log", "--store", tmp_path / "store")
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "store").iterdir()}
    assert modes == {"findings.duckdb": 0o644, "pseudonym.key": 0o600, "work.duckdb": 0o600}


PERSONAL = """[personal_messaging]
name = "Personal messaging"
description = "Private chat and calls between people."
personal = true
"""


def _by_person(store: Path, app: str) -> int:
    with duckdb.connect(str(store / "work.duckdb"), read_only=True) as con:
        sql = "SELECT count(*) FROM usage JOIN host USING (host_id) WHERE app = ?"
        return int(con.execute(sql, [app]).fetchall()[0][0])


def test_personal_categories_are_kept_by_department_only(run: Run, tmp_path: Path) -> None:
    """From the first line on, and what was kept before they were marked too."""
    logins = [f"user{number:02}" for number in range(20)]
    people = "login,department\n" + "".join(f"{login},Sales\n" for login in logins)
    (tmp_path / "people.csv").write_text(people)
    line = "{at}.1 9 10.0.0.1 TCP_MISS/200 9 GET http://{host}/ {user} HIER_DIRECT/192.0.2.7 -\n"

    def write(name: str, first: int) -> None:
        (tmp_path / name).write_text("".join(
            line.format(at=1772438400 + 60 * number + first, host=host, user=login)
            for number, login in enumerate(logins)
            for host in ("web.whatsapp.com", "app.slack.com")
        ))  # fmt: skip

    rules = tmp_path / "rules"
    (rules / "apps").mkdir(parents=True)
    (rules / "categories.toml").write_text(PERSONAL)
    write("a.log", 0)
    write("b.log", 86_400)
    store, own = tmp_path / "store", ("--rules", rules)
    staff = ("--people", tmp_path / "people.csv")
    run("scan", tmp_path / "a.log", "--store", store, *staff)
    assert _by_person(store, "whatsapp") == 20
    run("reclassify", "--store", store, *own)
    assert _by_person(store, "whatsapp") == 0
    run("scan", tmp_path / "b.log", "--store", store, *own)
    assert _by_person(store, "whatsapp") == 0
    assert _by_person(store, "slack") == 40
    with duckdb.connect(str(store / "findings.duckdb"), read_only=True) as con:
        found = con.execute("SELECT department, app, people FROM hosts_unknown").fetchall()
        stages = con.execute("SELECT DISTINCT app FROM usage_weekly").fetchall()
    assert [row[:2] for row in found] == [("Sales", "whatsapp")]
    assert found[0][2] in {10, 15, 20}, "an estimate, the same person under both days"
    assert stages == [("slack",)]
    alone = tmp_path / "alone"
    run("scan", tmp_path / "b.log", "--store", alone, *own, *staff)
    assert _by_person(alone, "whatsapp") == 0


def _forgettable(run: Run, folder: Path) -> Path:
    """A store of two people, one known by login and by mail, with a directory."""
    (folder / "people.csv").write_text(
        f"login,mail,department\n{LOGIN},{MAIL},Sales\nother,other@example.com,Sales\n"
    )
    lines = [LINES["squid_native"].replace("{user}", user) for user in (LOGIN, MAIL, "other")]
    (folder / "a.log").write_text("\n".join(lines) + "\n")
    store = folder / "store"
    run("scan", folder / "a.log", "--store", store, "--people", folder / "people.csv")
    return store


def _held(store: Path) -> dict[str, int]:
    with duckdb.connect(str(store / "work.duckdb"), read_only=True) as con:
        return {
            table: con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
            for table in ("usage", "presence", "sighting", "membership", "actor", "alias", "person")
        }


def test_forgetting_removes_one_person_and_nobody_else(run: Run, tmp_path: Path) -> None:
    """Under every spelling; the others stay, and the login is not said again."""
    store = _forgettable(run, tmp_path)
    before = _held(store)
    done = run("privacy", "forget", "--store", store, "--json", stdin=f"CORP\\{LOGIN.upper()}\n")
    gone = done.rows[0]
    assert _held(store) == {table: rows - int(str(gone[table])) for table, rows in before.items()}
    assert (gone["usage"], gone["actor"], gone["person"]) == (2, 2, 1)
    left = _held(store)
    assert left["person"] == left["sighting"] == left["usage"] == 1
    assert left["actor"] == 2, "the other one, and the address that all had"
    assert list(search(store, done.stdout, done.stderr)) == []
    assert (
        "Nobody is known by it." in run("privacy", "forget", "--store", store, stdin=LOGIN).stderr
    )
    run("scan", tmp_path / "a.log", "--store", store)
    assert _held(store)["usage"] == 1, "a file that was read is not read again"


@pytest.mark.parametrize("directory", [False, True])
def test_the_same_login_in_another_domain_is_not_forgotten(
    run: Run, tmp_path: Path, *, directory: bool
) -> None:
    """Nor what two may have done; the login without its domain means the only one of that name."""
    people = tmp_path / "people.csv"
    people.write_text("login,department\nOTHER\\ann,Sales\nACME\\ann,Legal\nACME\\bob,Legal\n")
    met = ("ACME\\ann", "OTHER\\ann", "ann", "ACME\\bob", "bob")
    lines = [LINES["squid_native"].replace("{user}", user) for user in met]
    (tmp_path / "a.log").write_text("\n".join(lines) + "\n")
    store = tmp_path / "store"
    run("scan", tmp_path / "a.log", "--store", store, *(("--people", people) if directory else ()))
    pseudonyms = Pseudonyms(load_key(store))
    for asked, gone in (
        ("OTHER\\bob", set()),
        ("acme\\ann", {"ACME\\ann"}),
        ("ann", {"ACME\\ann", "ann", "OTHER\\ann"}),
        ("bob", {"ACME\\ann", "ann", "OTHER\\ann", "ACME\\bob", "bob"}),
    ):
        run("privacy", "forget", "--store", store, stdin=asked)
        with duckdb.connect(str(store / "work.duckdb"), read_only=True) as con:
            held = {key for (key,) in con.execute("SELECT key FROM actor").fetchall()}
        assert {user for user in met if pseudonyms.user(user)[0] not in held} == gone, asked


def test_forgetting_needs_a_name_and_a_store(run: Run, tmp_path: Path) -> None:
    assert (
        "holds no store"
        in run("privacy", "forget", "--store", tmp_path, stdin="x", ok=False).stderr
    )
    assert (
        "names nobody" in run("privacy", "forget", "--store", tmp_path, stdin="\n", ok=False).stderr
    )


def test_without_the_key_nobody_can_be_recognised(run: Run, tmp_path: Path) -> None:
    """The very login no longer leads to its rows, and no second key is made under them."""
    store = _forgettable(run, tmp_path)
    key = (store / "pseudonym.key").read_bytes()
    kept = run("privacy", "destroy-key", "--store", store, ok=False)
    assert (kept.returncode, (store / "pseudonym.key").read_bytes()) == (1, key)
    run("privacy", "destroy-key", "--store", store, "--for-good")
    assert not (store / "pseudonym.key").exists()
    assert all(key not in path.read_bytes() for path in store.rglob("*") if path.is_file())
    for command in (("scan", tmp_path / "a.log"), ("privacy", "forget")):
        refused = run(*command, "--store", store, stdin=LOGIN, ok=False)
        assert refused.returncode == 1
        assert "pseudonym.key: is lost" in refused.stderr
    (store / "pseudonym.key").write_bytes(bytes(32))
    (store / "pseudonym.key").chmod(0o600)
    other = run("privacy", "forget", "--store", store, stdin=LOGIN, ok=False)
    assert "was written under another pseudonym.key" in other.stderr
    fresh = tmp_path / "fresh"
    run("scan", tmp_path / "a.log", "--store", fresh)
    assert (fresh / "pseudonym.key").read_bytes() != key


def test_the_report_is_read_off_the_store(run: Run, tmp_path: Path) -> None:
    """It follows what is held and configured, and names nobody."""
    store = _forgettable(run, tmp_path)
    said = run("privacy", "report", "--store", store)
    assert "- `usage`: 3 rows by pseudonym." in said.stdout
    assert "fewer than 5 people" in said.stdout
    assert "`pseudonym.key` (mode 0600): its owner alone." in said.stdout
    assert "`findings.duckdb` (mode 0644): others on this machine may read it." in said.stdout
    assert list(search(store, said.stdout, said.stderr)) == []
    assert "Never kept: clear user name, address" in said.stdout
    assert "These rows and bits expire after 400 days; of 0 weeks only counts" in said.stdout
    (tmp_path / "sundial.toml").write_text("[privacy]\nk = 7\nkeep_days = 120\n")
    run("scan", tmp_path / "a.log", "--store", store, "--config", tmp_path / "sundial.toml")
    run("privacy", "forget", "--store", store, stdin=LOGIN)
    row = run("privacy", "report", "--store", store, "--json").rows[0]
    assert (row["smallest_group"], row["retention_days"]) == (7, 120)
    assert row["kept_by_department_only"] == []
    rules = tmp_path / "rules"
    (rules / "apps").mkdir(parents=True)
    (rules / "categories.toml").write_text(PERSONAL)
    own = run("privacy", "report", "--store", store, "--rules", rules, "--json").rows[0]
    assert own["kept_by_department_only"] == ["Personal messaging"]
    assert row["kept_by_pseudonym"]["usage"] == 1  # type: ignore[index]
    assert "holds no store" in run("privacy", "report", "--store", tmp_path, ok=False).stderr


def _week(folder: Path, name: str, logins: list[str], first: int) -> None:
    """Write a day of one working week in which some people use an app."""
    line = "{at}.1 9 10.0.0.1 TCP_MISS/200 9 GET http://app.slack.com/ {user} HIER_DIRECT/- -\n"
    (folder / "logs").mkdir(exist_ok=True)
    text = "".join(line.format(at=1772409600 + first, user=login) for login in logins)
    (folder / "logs" / name).write_text(text)


def _active(store: Path) -> int:
    with duckdb.connect(str(store / "findings.duckdb"), read_only=True) as con:
        sql = "SELECT sum(active_people) FROM adoption_weekly WHERE week = '2026-03-02'"
        return int(con.execute(sql).fetchall()[0][0])


def _pseudonyms(store: Path) -> set[str]:
    with duckdb.connect(str(store / "work.duckdb"), read_only=True) as con:
        sql = "SELECT key FROM actor UNION SELECT alt_key FROM actor"
        sql += " UNION SELECT alias_key FROM alias"
        return {key for (key,) in con.execute(sql).fetchall() if key}


def _rotated(run: Run, folder: Path, *directory: str | Path) -> tuple[Path, set[str], bytes]:
    """Scan a Monday, change the key, scan the Tuesday to Sunday of the same ten people."""
    logins = [f"{LOGIN}{number}" for number in range(10)]
    staff = "".join(f"{login},{login}@example.com,Sales\n" for login in logins)
    (folder / "people.csv").write_text(f"login,mail,department\n{staff}")
    people = ("--people", folder / "people.csv")
    store = folder / "store"
    _week(folder, "a.log", logins, 0)
    run("scan", folder / "logs", "--store", store, *people)
    old, key = _pseudonyms(store), (store / "pseudonym.key").read_bytes()
    run("privacy", "rotate-key", "--store", store, *directory)
    _week(folder, "b.log", [f"{login}@example.com" for login in logins], 6 * 86_400)
    run("scan", folder / "logs", "--store", store, *people)
    return store, old, key


def test_a_new_key_counts_everybody_of_the_directory_once(run: Run, tmp_path: Path) -> None:
    store, _, key = _rotated(run, tmp_path, "--people", tmp_path / "people.csv")
    assert _active(store) == 10
    assert (store / "pseudonym.key").read_bytes() != key
    assert (store / "pseudonym.key").stat().st_mode & 0o777 == 0o600
    assert not (store / "pseudonym.key.new").exists()


def test_a_new_key_leads_to_no_old_pseudonym(run: Run, tmp_path: Path) -> None:
    """What leaked before is of no use with what is there after, not even in a freed block."""
    store, old, key = _rotated(run, tmp_path, "--people", tmp_path / "people.csv")
    assert old
    assert not old & _pseudonyms(store)
    new = Pseudonyms(load_key(store))
    assert new.spelling(f"{LOGIN}0") in _pseudonyms(store)
    assert not old & {new.spelling(known) for known in (f"{LOGIN}0", f"{LOGIN}0@example.com")}
    assert not old & {new.spelling(one) for one in old}, "nor is one made of the other"
    files = [path.read_bytes() for path in store.rglob("*") if path.is_file()]
    for gone in (key, *(one.encode() for one in old)):
        assert all(gone not in content for content in files)


def test_a_spelling_that_no_directory_has_goes_to_the_bare_login(run: Run, tmp_path: Path) -> None:
    """Met as login@elsewhere before and after, under two more spellings between: still one each."""
    logins = [f"{LOGIN}{number}" for number in range(10)]
    staff = "".join(f"{login},Sales\n" for login in logins)
    (tmp_path / "people.csv").write_text(f"login,department\n{staff}")
    store, people = tmp_path / "store", ("--people", tmp_path / "people.csv")
    spelled = ("{}@elsewhere.example", "{}", "ACME\\{}")
    for day, spelling in enumerate((*spelled, *spelled)):
        if day in {1, 3, 5}:
            run("privacy", "rotate-key", "--store", store, *people)
        _week(tmp_path, f"{day}.log", [spelling.format(one) for one in logins], day * 86_400)
        run("scan", tmp_path / "logs", "--store", store, *people)
    _week(tmp_path, "6.log", logins, 6 * 86_400)
    run("scan", tmp_path / "logs", "--store", store, *people)
    assert _active(store) == 10
    with duckdb.connect(str(store / "findings.duckdb"), read_only=True) as con:
        told = con.execute("SELECT department, sum(requests) FROM usage_weekly GROUP BY ALL")
        assert told.fetchall() == [("Sales", 70)]


def test_without_a_directory_a_new_key_makes_everybody_new(run: Run, tmp_path: Path) -> None:
    """That is what is lost: the same ten people are counted twice in the week of the change."""
    store, old, _ = _rotated(run, tmp_path)
    assert _active(store) == 20
    assert not old & _pseudonyms(store)


def test_a_change_of_key_that_was_killed_is_done_by_the_next(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _forgettable(run, tmp_path)
    directory = ("--people", tmp_path / "people.csv")
    key = (store / "pseudonym.key").read_bytes()

    def killed(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("agent.people.adopt_key", killed)
        run("privacy", "rotate-key", "--store", store, *directory, ok=False)
    refused = run("scan", tmp_path / "a.log", "--store", store, ok=False)
    assert "half-way to a new key; run 'sundial privacy rotate-key' again" in refused.stderr
    run("privacy", "rotate-key", "--store", store, *directory)
    assert (store / "pseudonym.key").read_bytes() != key
    done = run("privacy", "forget", "--store", store, "--json", stdin=LOGIN)
    assert done.rows[0]["usage"] == 2


def _watched(arguments: list[str], stdin: str = "") -> tuple[str, set[str]]:
    """Run a command as its own process; return what it said, and all that a process list showed."""
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("sundial")), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(stdin)
    process.stdin.close()
    seen: set[str] = set()
    while process.poll() is None:
        for running in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                status = (running / "stat").read_text().rpartition(")")[2].split()
                if process.pid in {int(running.name), int(status[1])}:
                    seen.add((running / "cmdline").read_text())
                    seen.add((running / "environ").read_text())
        time.sleep(0.05)
    return process.stdout.read(), seen


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc here")
def test_no_command_tells_a_canary_while_it_runs_or_after(tmp_path: Path) -> None:
    """Broken files included: an error names the place, and never what stands in it."""
    logs, store = tmp_path / "logs", tmp_path / "store"
    logs.mkdir()
    header, _, shape = LINES["w3c_extended"].rpartition("\n")
    good = shape.replace("{user}", LOGIN)
    lines = [header, good, good.replace("2026", "20x6"), shape.replace("{user}", MAIL), good[:60]]
    (logs / "a.log").write_text("\n".join(lines))
    (logs / "b.log").write_text("\n".join([good] * 9))
    (logs / "c.log.gz").write_bytes(gzip.compress("\n".join(lines * 900).encode())[:-20])
    people = "login,mail,department,from,to\n"
    people += f"{LOGIN},{MAIL},Sales,,\n{LOGIN},,,,\n{LOGIN},{MAIL},Sales,2026-99-01,\n"
    (tmp_path / "people.csv").write_text(people)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "d.log").write_text("\n".join([header, *[good] * 7]))
    (tmp_path / "devices.csv").write_text(f"hostname,login\n{LOGIN}-laptop,{LOGIN}\n,{LOGIN}\n")
    vpn = f"fw : %ASA-5-746012: user-identity: Add IP-User mapping {CLIENT} - ACME\\{LOGIN}"
    (tmp_path / "vpn.log").write_text(f"Mar  2 2026 07:00:00 {vpn} Succeeded - VPN\n{vpn}\n")
    (tmp_path / "sundial.toml").write_text(
        '[people]\nfile = "people.csv"\n[leases]\ndevices = "devices.csv"\n'
        '[logons]\nfiles = ["vpn.log"]\n'
    )
    in_store = ["--store", str(store)]
    key = str(tmp_path / "reveal.pem")
    config = ["--config", str(tmp_path / "sundial.toml")]
    said = ""
    seen: set[str] = set()
    for arguments, stdin in (
        (["scan", str(logs), *config, *in_store], ""),
        (["privacy", "vault", key, *in_store], f"{LOGIN}{LOGIN}{LOGIN}\n"),
        (["scan", str(tmp_path / "more"), *config, *in_store], ""),
        (["people", "resolve", *config, *in_store], ""),
        (["people", "check", str(tmp_path / "people.csv")], ""),
        (["privacy", "report", *in_store], ""),
        (["privacy", "audit", *in_store], ""),
        (["doctor", *in_store], ""),
        (["catalogue", "unknown", *in_store], ""),
        (["reclassify", *in_store], ""),
        (["privacy", "rotate-key", *config, *in_store], ""),
        (["privacy", "forget", *in_store], f"{LOGIN}\n"),
    ):
        told, shown = _watched(arguments, stdin)
        assert "Traceback" not in told, told
        said, seen = said + told, seen | shown
    assert any("scan" in line for line in seen)
    assert "2026-99-01" in said or "row 4" in said or "line 4" in said, "a broken row is told of"
    assert list(search(store, said, *seen)) == []
