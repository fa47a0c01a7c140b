"""What devices call the cells of a generic format is found in their logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import formats, wording
from agent.errors import RulesError

KNOWN = formats.load_formats()


def test_each_device_has_its_own_names() -> None:
    names = wording.named(KNOWN["generic_kv"], b"<13>gw Src-IP=1 x=2 URL=3\nDST_Host=4\n")
    assert names == ("DST_Host", "Src-IP", "URL")
    told = wording.told(KNOWN["generic_kv"], names)
    clients = [field.sources for field in told.shapes[0].fields if field.name == "client"]
    assert clients == [("Src-IP",)]
    assert ("URL", "DST_Host") in {one.cells for shape in told.shapes for one in shape.when}
    assert told == wording.told(told, ("another",))


def test_colons_stand_behind_names_as_well() -> None:
    """A time, an address or a URL holds colons, and so does a tag before the first name."""
    line = b"Jan  1 09:00:00 gw app[7]: SrcIP: 2001:db8::1, URL: https://a.example.com, x: 1\n"
    assert wording.named(KNOWN["generic_colon"], line) == ("SrcIP", "URL")
    assert wording.named(KNOWN["generic_colon_semicolon"], b'[src:"1"; dst:"2"]\n') == (
        "[src",
        "dst",
    )


def test_names_that_are_known_stay() -> None:
    """A block of a log may have none of them."""
    names = wording.named(KNOWN["generic_kv"], b"qname=1\n", ("src",))
    assert set(names) == {"src", "qname"}


@pytest.mark.parametrize(
    ("line", "names"),
    [
        (b'{"client":{"IP":"1"}}', {'$."client"."IP"'}),
        (b'{"clientIp":"1","yclientip":"2"}', {'$."clientIp"'}),
        (b'{"_source":{"client.ip":"1"}}', {'$."_source"."client.ip"'}),
        (b'{"_raw":"{\\"client_ip\\":1}"}', {'$."_raw"', '$."client_ip"'}),
        (b'{"dst":["1","2"]}', {'$."dst"', '$."dst"[0]'}),
        (b'x {"host":{"a":{"b":{"c":{"d":{"e":{"f":{"src":1}}}}}}}}', set()),
        (b"[" * 9999 + b'{"src":1}', {'$."src"'}),
        (b"{" * 9999, set()),
        (b"", set()),
    ],
)
def test_names_in_objects_are_paths(line: bytes, names: set[str]) -> None:
    assert set(wording.named(KNOWN["generic_json"], line + b"\n")) == names


def test_a_flood_of_names_is_not_followed() -> None:
    """Whoever spells one name in ever new ways must not make a query endless."""
    keys = (f"{'_' * (number % 50)}s{'.' * (number // 50)}rc=1" for number in range(900))
    assert len(wording.named(KNOWN["generic_kv"], "\n".join(keys).encode() + b"\n")) == 100


def test_any_other_format_is_what_it_is() -> None:
    assert wording.told(KNOWN["squid_native"], ("src",)) is KNOWN["squid_native"]


def test_a_format_may_be_like_another(tmp_path: Path) -> None:
    """All that it does not say itself is as the other has it, also one that is like a third."""
    own = 'like = "generic_kv_comma"\ntitle = "Ours"\ndelimiter = "|"\n[[sample]]\n'
    own += 'line = "ts=1767258000|src=192.0.2.1|qname=a.example.com"\n'
    own += 'event = { ts = "2026-01-01T09:00:00Z", client = "192.0.2.1", host = "a.example.com" }\n'
    (tmp_path / "ours.toml").write_text(own, encoding="utf-8")
    made = formats.load_formats([tmp_path])["ours"]
    assert (made.title, made.delimiter, len(made.samples)) == ("Ours", "|", 1)
    assert made.shapes == KNOWN["generic_kv_comma"].shapes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('like = "generic_vk"', 'like: "generic_vk": no such format. Did you mean "generic_kv"?'),
        ('like = "ours"', 'like: "ours": no such format.'),
        (
            'like = "generic_kv"\n[fields]\nuser = "usr"',
            'fields.user: "usr": no such cell. Did you',
        ),
    ],
)
def test_a_format_that_is_like_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "ours.toml").write_text(text, encoding="utf-8")
    with pytest.raises(RulesError) as caught:
        formats.load_formats([tmp_path])
    assert said in str(caught.value)
