"""Laws over every app entry, a museum of broken ones, and what a look-up promises."""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tldextract import TLDExtract

from agent.catalogue import Catalogue, file_text, load_catalogue
from agent.errors import RulesError
from agent.model import Evidence, Signal

RULES = Path(__file__).parents[1] / "rules"
MUSEUM = Path(__file__).parent / "museum" / "apps"
IDS = Path(__file__).parent / "app_ids.txt"
"""Every id that was ever shipped: stores and decisions of people hold them."""
LONGEST_ENTRY = 15
LONGEST_LINE = 160

FURNITURE = """
connect.facebook.net static.xx.fbcdn.net scontent.xx.fbcdn.net an.facebook.com pixel.facebook.com
staticxx.facebook.com px.ads.linkedin.com snap.licdn.com platform.linkedin.com media.licdn.com
dc.ads.linkedin.com platform.twitter.com syndication.twitter.com analytics.twitter.com t.co
pbs.twimg.com cdn.syndication.twimg.com static.ads-twitter.com platform.x.com analytics.tiktok.com
ct.pinterest.com assets.pinterest.com i.pinimg.com tr.snapchat.com sc-static.net alb.reddit.com
www.redditstatic.com i.redd.it i.ytimg.com rr3---sn-abc.googlevideo.com www.youtube-nocookie.com
player.vimeo.com i.vimeocdn.com fast.wistia.com fast.wistia.net c.disquscdn.com referrer.disqus.com
static.zdassets.com ekr.zdassets.com v2.zopim.com widget.intercom.io js.intercomcdn.com
api-iam.intercom.io js.driftt.com client.crisp.chat embed.tawk.to cdn.livechatinc.com
embed.typeform.com assets.calendly.com apis.google.com secure.gravatar.com platform.instagram.com
scontent.cdninstagram.com js.hs-scripts.com js.hsforms.net track.hubspot.com chimpstatic.com
w.soundcloud.com widget.trustpilot.com apps.bazaarvoice.com siteintercept.qualtrics.com
static.hotjar.com munchkin.marketo.net jsd-widget.atlassian.com cdn.jwplayer.com
players.brightcove.net static.klaviyo.com pixel.wp.com stats.wp.com slackb.com a.slack-edge.com
""".split()
"""Hosts that any web page may load: they never make an adopter."""

HOSTS = Path(__file__).parent / "hosts"
"""Host sets that are read, not copied: what pages load, what sessions ask for, what is nobody's."""


def host_sets(name: str) -> dict[str, list[str]]:
    tables = tomllib.loads((HOSTS / name).read_text(encoding="utf-8"))
    return {key: hosts.split() for key, hosts in tables.items()}


PAGES = host_sets("pages.toml")
SESSIONS = host_sets("sessions.toml")
INFRASTRUCTURE = (HOSTS / "infrastructure.txt").read_text(encoding="utf-8").split()

TENANTS = {
    "acme.slack.com": "acme",
    "acme.enterprise.slack.com": "acme",
    "app.slack.com": None,
    "files.slack.com": None,
    "acme-my.sharepoint.com": "acme",
    "acme-admin.sharepoint.com": "acme",
    "acme-admin.okta.com": "acme",
    "acme.zoom.us": "acme",
    "us02web.zoom.us": None,
    "us06web.zoom.us": None,
    "zoom.us": None,
    "acme.app.box.com": "acme",
    "app.box.com": None,
    "acme.ent.box.com": "acme",
    "acme.webhook.office.com": "acme",
    "acme.atlassian.net": "acme",
    "www.acme.notion.site": "acme",
    "acme.zendesk.com": "acme",
    "static.zdassets.com": None,
    "infra.webex.com": None,
    "acme.mn.co": "acme",
    "eu.acme.hivebrite.com": "acme",
    "acme.us.hivebrite.com": "acme",
    "_dmarc.slack.com": None,
}

MACHINE = {
    "hooks.slack.com": ("slack", Signal.WEBHOOK),
    "api.slack.com": ("slack", Signal.API),
    "graph.facebook.com": ("facebook", Signal.API),
    "acme.webhook.office.com": ("microsoft_teams", Signal.WEBHOOK),
    "hooks.zapier.com": ("zapier", Signal.WEBHOOK),
    "hook.eu1.make.com": ("make", Signal.WEBHOOK),
    "api.openai.com": ("chatgpt", Signal.API),
    "api.telegram.org": ("telegram", Signal.API),
    "api.notion.com": ("notion", Signal.API),
    "graph.microsoft.com": ("microsoft_365", Signal.API),
}


@cache
def shipped() -> Catalogue:
    return load_catalogue()


@cache
def public_suffixes() -> TLDExtract:
    return TLDExtract(suffix_list_urls=(), cache_dir=None)


@cache
def entries() -> tuple[tuple[str, str, dict[str, Any]], ...]:
    """Every shipped entry as (category, id, table), read without the loader."""
    return tuple(
        (file.stem, app, table)
        for file in sorted((RULES / "apps").glob("*.toml"))
        for app, table in tomllib.loads(file.read_text(encoding="utf-8")).items()
    )


def suffixes() -> list[str]:
    return [host for app in shipped().apps.values() for host, _ in app.hosts]


# Laws over all entries.


def test_the_catalogue_is_as_wide_as_promised() -> None:
    assert len(shipped().apps) >= 450


def test_every_category_has_a_file_and_every_file_a_category() -> None:
    assert {category for category, _, _ in entries()} == set(shipped().categories)


def test_ids_are_unique_across_files() -> None:
    ids = [app for _, app, _ in entries()]
    assert len(ids) == len(set(ids)) == len(shipped().apps)


def test_no_two_apps_share_a_name() -> None:
    names = [table["name"].casefold() for _, _, table in entries()]
    assert sorted(names) == sorted(set(names))


def test_no_host_is_in_two_places() -> None:
    hosts = suffixes()
    assert sorted(hosts) == sorted(set(hosts))


def test_hosts_are_lower_case_names_under_a_public_suffix() -> None:
    def is_registrable(host: str) -> bool:
        return bool(public_suffixes().extract_str(host).top_domain_under_public_suffix)

    assert [host for host in suffixes() if host != host.lower() or not is_registrable(host)] == []


def test_homepages_are_https_and_bare() -> None:
    pages = [table["homepage"] for _, _, table in entries()]
    assert [page for page in pages if not page.startswith("https://") or "?" in page] == []


@pytest.mark.parametrize(
    "file", sorted((RULES / "apps").glob("*.toml")), ids=lambda file: file.stem
)
def test_files_stand_in_their_one_layout(file: Path) -> None:
    """``make format`` puts them there."""
    text = file.read_text(encoding="utf-8")
    assert file_text(tomllib.loads(text)) == text


def test_ids_stay(bless: bool) -> None:  # noqa: FBT001
    """An id may come, and may go only with the id that takes its place (``old -> new``).

    ``pytest --bless`` adds what has come; it never takes an id away.
    """
    told = [line.partition(" -> ") for line in IDS.read_text(encoding="utf-8").splitlines()]
    if bless:
        fresh = {app: f"{app}\n" for app in shipped().apps}
        fresh |= {app: f"{app}{arrow}{heir}\n" for app, arrow, heir in told}
        IDS.write_text("".join(fresh[app] for app in sorted(fresh)), encoding="utf-8")
        return
    assert [app for app, _, heir in told if (heir or app) not in shipped().apps] == []
    assert set(shipped().apps) - {app for app, _, _ in told} == set(), "pytest --bless adds them"


def test_a_successor_exists_and_leads_nowhere_else() -> None:
    heirs = {app.id: app.successor for app in shipped().apps.values() if app.successor}
    assert [app for app, heir in heirs.items() if heir not in shipped().apps] == []
    assert [app for app, heir in heirs.items() if heir in heirs] == []


def test_an_entry_is_read_at_a_glance() -> None:
    blocks = [
        block
        for file in (RULES / "apps").glob("*.toml")
        for block in file.read_text(encoding="utf-8").split("\n\n")
    ]
    assert [block for block in blocks if len(block.splitlines()) > LONGEST_ENTRY] == []
    lines = (line for block in blocks for line in block.splitlines())
    assert [line for line in lines if len(line) > LONGEST_LINE] == []


def test_a_label_is_not_excluded_twice() -> None:
    generic = tomllib.loads((RULES / "categories.toml").read_text(encoding="utf-8"))
    known = set(generic["not_tenants"]).union(*generic["label_signals"].values())
    twice = [
        (app, label)
        for _, app, table in entries()
        for label in table.get("tenant", {}).get("not", ())
        if label in known
    ]
    assert twice == []


def test_no_host_repeats_what_a_shorter_one_says() -> None:
    signals = {
        host: (app.id, signal) for app in shipped().apps.values() for host, signal in app.hosts
    }

    def parent(host: str) -> tuple[str, Signal] | None:
        rest = host.partition(".")[2]
        return signals.get(rest) or (parent(rest) if rest else None)

    assert [host for host, said in signals.items() if parent(host) == said] == []


@pytest.mark.parametrize("host", INFRASTRUCTURE)
def test_shared_infrastructure_is_nobodys(host: str) -> None:
    assert shipped().match(host).app is None


# What a look-up promises.


@pytest.mark.parametrize("host", FURNITURE)
def test_page_furniture_is_never_use(host: str) -> None:
    assert shipped().match(host).evidence is Evidence.EMBEDDED


@pytest.mark.parametrize("page", PAGES)
def test_a_page_makes_no_adopter(page: str) -> None:
    used = [host for host in PAGES[page] if shipped().match(host).evidence is Evidence.USE]
    assert used == []


@pytest.mark.parametrize("app", SESSIONS)
def test_a_session_is_use_of_its_own_app_only(app: str) -> None:
    matches = [shipped().match(host) for host in SESSIONS[app]]
    assert {match.app for match in matches if match.evidence is Evidence.USE} == {app}


@pytest.mark.parametrize(
    "host",
    ["accounts.google.com", "login.microsoftonline.com", "login.live.com", "idmsa.apple.com"],
)
def test_signing_in_with_google_microsoft_or_apple_is_no_use(host: str) -> None:
    assert shipped().match(host).evidence is not Evidence.USE


@pytest.mark.parametrize("host", MACHINE)
def test_an_integration_is_a_machine(host: str) -> None:
    match = shipped().match(host)
    assert (match.app, match.signal) == MACHINE[host]
    assert match.evidence is Evidence.MACHINE


@pytest.mark.parametrize("host", TENANTS)
def test_a_tenant_is_the_customers_label(host: str) -> None:
    assert shipped().match(host).tenant == TENANTS[host]


def test_a_product_comes_before_its_parent() -> None:
    for child, parent in {
        "www.instagram.com": "facebook",
        "teams.microsoft.com": "sharepoint",
        "www.youtube.com": "google_account",
        "forms.office.com": "microsoft_365",
        "paper.dropbox.com": "dropbox",
        "pro.x.com": "x",
    }.items():
        assert shipped().match(child).app not in {None, parent}


def test_a_rule_names_where_the_answer_stands() -> None:
    match = shipped().match("acme.slack.com")
    assert match.rule == "team_messaging/slack: slack.com"
    assert shipped().match("cdn.figma.com").rule == "whiteboard_visual/figma: figma.com (label cdn)"


def test_case_and_the_trailing_dot_do_not_matter() -> None:
    assert shipped().match("Acme.SLACK.com.") == shipped().match("acme.slack.com")


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@given(data=st.data(), left=st.lists(LABEL, min_size=1, max_size=3))
def test_a_subdomain_lands_on_its_rule_or_a_longer_one(
    data: st.DataObject, left: list[str]
) -> None:
    suffix = data.draw(st.sampled_from(suffixes()))
    match = shipped().match(".".join([*left, suffix]))
    assert match.app is not None
    assert match.rule is not None
    rule = match.rule.partition(": ")[2].partition(" ")[0]
    assert rule.endswith(suffix)


@given(st.text(max_size=300))
def test_any_text_has_an_answer(text: str) -> None:
    match = shipped().match(text)
    assert (match.app is None) == (match.signal is None) == (match.rule is None)
    folded = shipped().fold(text)
    assert folded is None or shipped().fold(folded) == folded


@given(
    st.lists(LABEL, min_size=1, max_size=5), st.sampled_from(["com", "co.uk", "de", "bar", "lan"])
)
def test_a_fold_is_short_stable_and_keeps_the_domain(labels: list[str], ending: str) -> None:
    host = ".".join([*labels, ending])
    folded = shipped().fold(host)
    assert folded == shipped().fold(host.upper() + ".")
    if folded is None:
        assert ending == "lan"
    else:
        assert shipped().fold(folded) == folded
        assert folded.count(".") <= ending.count(".") + 2
        assert host.endswith(folded.removeprefix("*."))


@pytest.mark.parametrize(
    "host",
    [
        *("192.0.2.7", "2001:db8::1", "localhost", "nas", "printer.lan", "pc.corp", "x.invalid"),
        *("1.0.0.127.in-addr.arpa", "co.uk", "a..b.com", "spaces in.com", "ü.de", "", ".", "-.com"),
    ],
)
def test_what_is_no_internet_name_folds_to_nothing(host: str) -> None:
    assert shipped().fold(host) is None


@pytest.mark.parametrize(
    ("host", "folded"),
    [
        ("example.com", "example.com"),
        ("www.example.com", "www.example.com"),
        ("a.b.shop.example.co.uk", "shop.example.co.uk"),
        ("cdn-12.example.com", "cdn-12.example.com"),
        ("d3adb33f.example.com", "*.example.com"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa.example.com", "*.example.com"),
        ("_dmarc.example.com", "*.example.com"),
        ("qzxwvkrt.example.com", "*.example.com"),
    ],
)
def test_a_fold_keeps_one_readable_label(host: str, folded: str) -> None:
    assert shipped().fold(host) == folded


# Reading rules: what is wrong is told all at once.

CATEGORIES = """
not_tenants = ["www"]

[team_messaging]
name = "Team messaging"
description = "Chat for teams."

[file_storage]
name = "File storage"
description = "Drives."
"""

ENTRY = """
[{id}]
name = "{id}"
vendor = "Example Inc."
homepage = "https://example.com"
audience = "business"
domains = ["{host}"]
"""


def write_rules(folder: Path, apps: dict[str, str], categories: str | None = CATEGORIES) -> Path:
    (folder / "apps").mkdir(parents=True)
    if categories is not None:
        (folder / "categories.toml").write_text(categories, encoding="utf-8")
    for name, text in apps.items():
        (folder / "apps" / name).write_text(text, encoding="utf-8")
    return folder


def problems(folder: Path) -> str:
    with pytest.raises(RulesError) as caught:
        load_catalogue(folder)
    return str(caught.value).replace(str(folder), "rules")


def test_the_museum_of_broken_apps(tmp_path: Path, bless: bool) -> None:  # noqa: FBT001
    shown = []
    for file in sorted(MUSEUM.glob("*.toml")):
        text = file.read_text(encoding="utf-8")
        told = text.partition("# file: ")[2].partition("\n")[0]
        folder = write_rules(tmp_path / file.stem, {told or "team_messaging.toml": text})
        shown.append(f"== {file.stem}\n{problems(folder)}\n")
    golden = MUSEUM.with_suffix(".golden")
    if bless:
        golden.write_text("\n".join(shown), encoding="utf-8")
    want = golden.read_text(encoding="utf-8")
    assert "\n".join(shown) == want, "\n".join(
        difflib.unified_diff(want.splitlines(), "\n".join(shown).splitlines(), lineterm="")
    )


def test_the_example_of_the_readme_is_an_entry(tmp_path: Path) -> None:
    readme = (RULES / "README.md").read_text(encoding="utf-8")
    example = readme.partition("```toml\n")[2].partition("```")[0].replace("\n   ", "\n")
    folder = write_rules(tmp_path / "rules", {"team_messaging.toml": example})
    assert load_catalogue(folder).match("acme.slack.com").tenant == "acme"


def test_an_id_in_two_files_is_refused(tmp_path: Path) -> None:
    apps = {
        "file_storage.toml": ENTRY.format(id="example", host="example.com"),
        "team_messaging.toml": ENTRY.format(id="example", host="example.org"),
    }
    told = problems(write_rules(tmp_path / "rules", apps))
    assert told == (
        "rules/apps/team_messaging.toml: example: this id is taken in "
        "rules/apps/file_storage.toml; ids are unique"
    )


def test_broken_categories_are_told_with_their_key(tmp_path: Path) -> None:
    text = (
        'not_tenant = ["www"]\n[label_signals]\napp = ["app"]\ncdn = ["c d n"]\n'
        '[team_messaging]\nnam = "Team messaging"\ndescription = "Chat."\n'
    )
    told = problems(write_rules(tmp_path / "rules", {}, text)).splitlines()
    label = '"c d n" is not one label; write files, or us#web for numbers'
    assert told == [
        'rules/categories.toml: label_signals.app: unknown key. Did you mean "api"?',
        f"rules/categories.toml: label_signals.cdn: {label}",
        'rules/categories.toml: not_tenant: unknown key. Did you mean "not_tenants"?',
        'rules/categories.toml: team_messaging.nam: unknown key. Did you mean "name"?',
        "rules/categories.toml: team_messaging.name: missing; every entry needs it",
    ]


def test_a_folder_that_is_no_rules_folder_says_so(tmp_path: Path) -> None:
    assert problems(tmp_path).splitlines() == [
        "rules/categories.toml: there is no such file; rules start with it",
        "rules/apps: there is no such folder; apps live in it",
    ]


def test_an_operators_folder_adds_and_overrides(tmp_path: Path) -> None:
    apps = {
        "team_messaging.toml": ENTRY.format(id="slack", host="slack.com")
        + ENTRY.format(id="house_chat", host="chat.acme.example.com"),
    }
    extra = write_rules(tmp_path / "own", apps, categories=None)
    catalogue = load_catalogue(extra=[extra])
    assert len(catalogue.apps) == len(shipped().apps) + 1
    assert catalogue.match("chat.acme.example.com").app == "house_chat"
    assert catalogue.apps["slack"].vendor == "Example Inc."
    assert catalogue.match("slack-edge.com").app is None
    assert catalogue.version != shipped().version


def test_an_operators_host_is_theirs_also_when_ours_names_it_later(tmp_path: Path) -> None:
    """What somebody wrote for a host survives an upgrade that brings the same host."""
    apps = {"team_messaging.toml": ENTRY.format(id="house_chat", host="slack.com")}
    catalogue = load_catalogue(extra=[write_rules(tmp_path / "own", apps, categories=None)])
    assert catalogue.match("acme.slack.com").app == "house_chat"
    assert catalogue.match("files.slack.com").app == "slack"  # the longest suffix, as ever
    assert "slack.com" not in dict(catalogue.apps["slack"].hosts)


def test_of_one_folder_no_two_apps_have_a_host(tmp_path: Path) -> None:
    apps = {
        "team_messaging.toml": ENTRY.format(id="house_chat", host="chat.example.com")
        + ENTRY.format(id="other_chat", host="chat.example.com")
    }
    with pytest.raises(RulesError, match="belongs to house_chat"):
        load_catalogue(extra=[write_rules(tmp_path / "own", apps, categories=None)])


def test_the_version_is_a_digest_of_content(tmp_path: Path) -> None:
    entry = ENTRY.format(id="example", host="example.com")
    one = load_catalogue(write_rules(tmp_path / "one", {"team_messaging.toml": entry}))
    two = load_catalogue(write_rules(tmp_path / "two", {"team_messaging.toml": f"# note\n{entry}"}))
    three = load_catalogue(write_rules(tmp_path / "three", {"file_storage.toml": entry}))
    assert one.version == two.version != three.version
