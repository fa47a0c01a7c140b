"""Where a device's line begins is found for a whole text at once where a pattern finds it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import parse, relays
from agent.spans import Text

SIGNS = st.sampled_from(
    [
        *" \t:.,-+<>[]/()1T_é\v",
        *("<134>", "<13>1 ", "<1>", "<1234>", "77 <13>1 ", "7 "),
        *("2026-01-01T09:00:00", "2026-01-01 09:00:00", "Jan  1 09:00:00", "Jan 31 2026 09:00:00"),
        *("Jan 1 2026 09:00:00", "2026-01-01", "09:00:00", "JAN  1 09:00:00", "2026"),
        *(".123", ",5", "Z", "+0100", "-01:00", "+1", ": ", "gw ", "gw.example.com ", "10.1.2.3 "),
        *("10.1.2 ", "2001:db8::1 ", "[2001:db8::1] ", "fe80::1 ", "::1 ", "a:b ", ": "),
        *("squid[7]: ", "squid: ", "squid[x]: ", "(squid-1): ", "[7]: ", "squid[7] ", "key=a"),
        *(
            "squid 7 - - ",
            '7 ID [a b="c"] ',
            "a b c [d",
            "a b c -",
            "a\tb c ",
            "] ",
            "1,2",
            '[a="b"] ',
        ),
    ]
)
LINE = st.lists(SIGNS, max_size=10).map("".join)
STAMPED = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "<134>", "<13>1 ", "77 <13>"]),
    st.sampled_from(["2026-01-01T09:00:00.1Z", "Jan  1 09:00:00", "2026-01-01 09:00:00+01:00"]),
    st.sampled_from([" ", ": ", "\t", ""]),
    LINE,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(LINE | STAMPED, max_size=6))
def test_lines_begin_where_the_pattern_says(lines: list[str]) -> None:
    text = Text("".join(f"{line}\n" for line in lines).encode())
    body = relays.behind(text)
    found = body.column(body.starts, body.ends).to_pylist()
    pattern = rf"^(?:{parse.SYSLOG}[ ]*|[ ]+)"
    assert (
        found == pc.replace_substring_regex(pa.array(lines, pa.string()), pattern, "").to_pylist()
    )
