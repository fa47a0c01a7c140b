"""Files that several devices write, or one that was set up anew: every line finds its format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.formats import load_formats
from tests.conftest import Run

LOGS = Path(__file__).parent / "formats"
PREFIX = "<134>Jan  1 09:00:00 gw "


def squid(number: int) -> str:
    return (
        f"{1767258000 + number}.000    845 192.0.2.10 TCP_TUNNEL/200 6295 CONNECT "
        f"s{number}.example.com:443 asmith HIER_DIRECT/203.0.113.7 -"
    )


def dnsmasq(number: int) -> str:
    return f"Jan  1 09:00:00 dnsmasq[311]: query[A] d{number}.example.com from 192.0.2.10"


def forti(number: int) -> str:
    return (
        "date=2026-01-01 time=09:00:01 devname=fw1 devid=FG1 logid=1500054000 type=utm "
        "subtype=dns eventtype=dns-query vd=root srcip=192.0.2.11 dstip=192.0.2.53 "
        f'qname="f{number}.example.org" qtype="A" qclass="IN"'
    )


def zeek(number: int) -> str:
    return (
        f'{{"_path":"dns","ts":{1767258000 + number}.0,"uid":"C1","id.orig_h":"192.0.2.12",'
        f'"id.orig_p":5353,"id.resp_h":"192.0.2.53","id.resp_p":53,"proto":"udp",'
        f'"query":"z{number}.example.net","qtype_name":"A"}}'
    )


def formats_of(run: Run, path: Path) -> Counter[object]:
    return Counter(row["format"] for row in run("parse", path).rows)


def written(tmp_path: Path, lines: Iterator[str]) -> Path:
    path = tmp_path / "logs" / "relay.log"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{one}\n" for one in lines))
    return path


def counted(run: Run, path: Path, *options: object) -> tuple[object, ...]:
    store = path.parent.parent / "store"
    (row,) = run("scan", path, "--store", store, "--json", *options).rows
    return tuple(row[key] for key in ("lines", "events", "rejects"))


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_three_vendors_line_by_line(run: Run, tmp_path: Path, prefix: str) -> None:
    """None of them writes half of the lines."""
    makers = (squid, dnsmasq, forti, zeek)
    many = (prefix * (make is not dnsmasq) + make(n) for n in range(400) for make in makers)
    path = written(tmp_path, many)
    found = formats_of(run, path)
    assert found == {"squid_native": 400, "dnsmasq": 400, "fortigate": 400, "zeek_json": 400}
    assert counted(run, path) == (1600, 1600, 0)


def test_vendors_that_first_appear_behind_the_head(run: Run, tmp_path: Path) -> None:
    """Far behind what detection looks at; the third one behind garbage, and with a prefix."""

    def lines() -> Iterator[str]:
        yield from (squid(n) for n in range(2000))
        yield from (forti(n) for n in range(300))
        yield from (f"garbage {n}" for n in range(50))
        yield from (PREFIX + zeek(n) for n in range(100))
        yield squid(1)

    path = written(tmp_path, lines())
    assert formats_of(run, path) == {"squid_native": 2001, "fortigate": 300, "zeek_json": 100}
    assert counted(run, path) == (2451, 2401, 50)


def test_a_vendor_that_first_appears_in_a_later_block(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After many megabytes, with a constant trickle of garbage before."""
    monkeypatch.setattr("agent.files.BLOCK", 1 << 16)

    def lines() -> Iterator[str]:
        for number in range(4000):
            yield squid(number) if number % 20 else f"garbage {number}"
        for number in range(2000):
            yield forti(number) if number % 2 else squid(number)

    path = written(tmp_path, lines())
    assert counted(run, path) == (6000, 5800, 200)


def test_a_device_that_is_set_up_anew_in_mid_file(run: Run, tmp_path: Path) -> None:
    """From Squid's own layout to the combined one, and from W3C columns to something else."""
    combined = '192.0.2.10 - asmith [01/Jan/2026:10:00:00 +0100] "CONNECT c.example.com:443 HTTP/1.1" 200 6295 "-" "Agent/1.0" TCP_TUNNEL:HIER_DIRECT'  # noqa: E501
    path = written(tmp_path, iter([*(squid(n) for n in range(900)), *([combined] * 300)]))
    assert formats_of(run, path) == {"squid_native": 900, "squid_combined": 300}
    header = "#Fields: date time c-ip cs-username s-action cs-host sc-bytes cs-bytes"
    event = "2026-01-01 09:00:00 192.0.2.10 asmith TCP_NC_MISS app.example.com 941 729"
    path = written(tmp_path, iter([header, *([event] * 900), *(forti(n) for n in range(100))]))
    assert formats_of(run, path) == {"w3c_extended": 900, "fortigate": 100}


def test_a_file_that_has_grown_by_another_vendor(run: Run, tmp_path: Path) -> None:
    path = written(tmp_path, (squid(n) for n in range(500)))
    assert counted(run, path) == (500, 500, 0)
    path = written(tmp_path, iter([*map(squid, range(500)), *map(forti, range(200))]))
    assert counted(run, path) == (200, 200, 0)
    path = written(tmp_path, iter([*map(squid, range(500)), *map(forti, range(400))]))
    assert counted(run, path) == (200, 200, 0)


def test_a_named_format_stays_the_only_one(run: Run, tmp_path: Path) -> None:
    path = written(tmp_path, iter([*map(squid, range(50)), *map(forti, range(20))]))
    assert counted(run, path, "--format", "squid_native") == (70, 50, 0)
    rows = run("parse", path, "--format", "squid_native").rows
    assert {row["format"] for row in rows} == {"squid_native"}


def test_garbage_is_still_no_format(run: Run, tmp_path: Path) -> None:
    lines = [*["garbage"] * 90, *map(squid, range(30)), *map(forti, range(10))]
    path = written(tmp_path, iter(lines))
    done = run("parse", path, ok=False)
    assert done.returncode == 1
    assert "comes nearest to squid_native, which reads 30" in done.stderr


@pytest.mark.parametrize("log", sorted(LOGS.glob("*.log")), ids=lambda path: path.stem)
def test_no_format_takes_what_another_rightly_leaves(run: Run, log: Path) -> None:
    """Answers, comments and oddities of one vendor are no events of another.

    A guess is of no vendor: of what it leaves, another takes lines that name their own cells.
    """
    known = load_formats()
    others = {str(name) for name in formats_of(run, log)} - {log.stem}
    assert not others or known[log.stem].generic
    assert all(known[name].spoken for name in others)


def test_what_a_guess_leaves_another_guess_may_read(run: Run, tmp_path: Path) -> None:
    """A device that nobody knows writes pairs here and CEF there."""

    def pairs(number: int) -> str:
        return (
            f'time={1767258000 + number} srcip=192.0.2.13 hostname="p{number}.example.com" url=/a'
        )

    def cef(number: int) -> str:
        time = 1767258000000 + number
        return f"CEF:0|New|Thing|1|1|x|1|rt={time} src=192.0.2.14 dhost=c{number}.example.com"

    lines = [*map(pairs, range(30)), *map(cef, range(10))]
    path = written(tmp_path, iter(lines))
    assert formats_of(run, path) == {"generic_kv": 30, "generic_cef": 10}
    assert counted(run, path) == (40, 40, 0)
