"""Feeds damaged input to the readers, led by what code it reaches: ``make fuzz``.

    python -m tests.fuzz lines -max_total_time=60
    python -m tests.fuzz packets -max_total_time=60 found/

The words behind the first go to libFuzzer. A crash, ten seconds without an end and more than two
gigabytes of memory are failures; the input is left in a file that the command takes again. Without
``atheris`` (Linux, ``uv sync --group fuzz``) the tests with hypothesis do the same, not led.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import atheris

# What numba compiles cannot be instrumented as well.
with atheris.instrument_imports(
    include=["agent"], exclude=[f"agent.{n}" for n in ("cells", "pairs", "relays", "signs")]
):
    from agent import capture, cells, detect, formats, pairs, parse, reading, relays, spans
    from agent.capture import Capture

from tests.test_capture import everything

_CON = reading.connect()
_KNOWN = formats.load_formats()
_NAMES = sorted(_KNOWN)


def lines(data: bytes) -> None:
    """Read a text as one format, found pairs in it, and ask what format it is."""
    text = atheris.FuzzedDataProvider(data)
    log_format = _KNOWN[text.PickValueInList(_NAMES)]
    sample = text.PickValueInList([sample.line for sample in log_format.samples])
    at = text.ConsumeIntInRange(0, len(sample))
    noise = text.ConsumeUnicodeNoSurrogates(sys.maxsize).replace("\r", "")
    clean = f"{sample[:at]}{noise}{sample[at:]}\n{noise}\n".encode()
    for cut, sign in (("keyvalue", " "), ("keyvalue", "\t"), ("cef", ""), ("leef", "")):
        for column in pairs.columns(spans.Text(clean), cut, sign, ["src", "a"]):
            column.validate(full=True)
    body = relays.behind(spans.Text(clean))
    parts = pairs.header(body, pairs.bars(body, 3), ["a", "b", "c"], ["b", "c"])[1]
    for column in (*cells.columns(body, " ", [1, 3], tabs=True)[1], *parts.values()):
        column.validate(full=True)
    count = reading.attempt(_CON, clean)(log_format, clean)
    assert count.events + count.others + count.rejects >= 0
    for line in noise.split("\n"):
        parse.clean_host(line)
        parse.clean_address(line)
    detect.detect(clean, {log_format.name: log_format}, reading.attempt(_CON, clean))


def packets(data: bytes) -> None:
    """Read a capture that holds everything the reader knows, damaged."""
    bounds = atheris.FuzzedDataProvider(data)
    whole = bytearray(_WHOLE)
    for _ in range(bounds.ConsumeIntInRange(0, 8)):
        at = bounds.ConsumeIntInRange(24, len(whole))
        whole[at : at + bounds.ConsumeIntInRange(0, 40)] = bounds.ConsumeBytes(40)
    for part in Capture(bounds.ConsumeIntInRange(64, 65_536)).read([bytes(whole)]):
        assert part.events.schema == capture.SCHEMA


_WHOLE = everything()
TARGETS: dict[str, Callable[[bytes], None]] = {"lines": lines, "packets": packets}


def main() -> None:
    """Run one target."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz {{{'|'.join(TARGETS)}}} [libFuzzer's options]")
    target = TARGETS[sys.argv.pop(1)]
    limits = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=4096", "-len_control=0"]
    atheris.Setup([*sys.argv, *limits], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
