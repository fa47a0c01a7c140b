"""How large the answers to DNS questions are: each question waits for the one that comes next."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from agent.packet_files import Numbers

Talks = np.ndarray[tuple[int], np.dtype[np.uint64]]
"""What stands for two ends, their ports and the number that a client gave its question."""
_PATIENCE = 15_000_000
"""Microseconds; no client waits longer for an answer."""


class Replies:
    """Questions of DNS over UDP, until they are answered, asked again, or too old for it."""

    def __init__(self, schema: pa.Schema) -> None:
        """Keep events of a schema that has ``line_no``, ``ts`` and ``bytes_in``."""
        self._place = schema.get_field_index("bytes_in")
        self._waiting: pa.Table = schema.empty_table()
        self._talks: Talks = np.zeros(0, np.uint64)

    def __len__(self) -> int:
        return len(self._talks)

    def meet(
        self,
        questions: pa.Table,
        asked: Talks,
        answers: tuple[Talks, Numbers, Numbers, Numbers],
        now: int,
    ) -> pa.Table:
        """Return those questions for which nothing more will come, with the bytes of their answers.

        ``asked`` are the talks of ``questions``; ``answers`` are talk, number of the packet, time
        in microseconds, and bytes. It does not matter how packets are cut into calls.
        """
        events = pa.concat_tables([self._waiting, questions])
        talks = np.concatenate([self._talks, asked])
        talk, number, time, size = answers
        many = len(talks)
        everyone = np.concatenate([talks, talk])
        order = np.lexsort((np.concatenate([events["line_no"].to_numpy(), number]), everyone))
        again = np.flatnonzero(np.diff(everyone[order]) == 0)
        # Pairs of one talk in which a question comes first; what is behind it may be another.
        before, behind = order[again], order[again + 1]
        before, behind = before[before < many], behind[before < many]
        since = events["ts"].cast(pa.int64()).fill_null(np.iinfo(np.int64).min).to_numpy()
        done = since < now - _PATIENCE
        done[before] = True
        before, behind = before[behind >= many], behind[behind >= many] - many
        in_time = time[behind] - since[before] <= _PATIENCE
        got = np.zeros(many, np.int64)
        got[before[in_time]] = size[behind[in_time]]
        events = events.set_column(self._place, "bytes_in", pa.array(got, mask=got == 0))
        self._waiting = events.filter(pa.array(~done)).combine_chunks()
        self._talks = talks[~done]
        return events.filter(pa.array(done))

    def end(self) -> pa.Table:
        """Return the questions that wait: no answer will come."""
        left, self._waiting = self._waiting, self._waiting.slice(0, 0)
        self._talks = self._talks[:0]
        return left
