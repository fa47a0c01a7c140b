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
        numbers = np.concatenate([events["line_no"].to_numpy(), number])
        order = np.lexsort((numbers, np.concatenate([talks, talk])))
        followed = np.flatnonzero(np.diff(np.concatenate([talks, talk])[order]) == 0)
        first, second = order[followed], order[followed + 1]
        first, second = first[first < many], second[first < many]
        since = events["ts"].cast(pa.int64()).fill_null(np.iinfo(np.int64).min).to_numpy()
        done = since < now - _PATIENCE
        done[first] = True
        first, second = first[second >= many], second[second >= many] - many
        in_time = time[second] - since[first] <= _PATIENCE
        got = np.zeros(many, np.int64)
        got[first[in_time]] = size[second[in_time]]
        events = events.set_column(self._place, "bytes_in", pa.array(got, mask=got == 0))
        self._waiting = events.filter(pa.array(~done)).combine_chunks()
        self._talks = talks[~done]
        return events.filter(pa.array(done))

    def end(self) -> pa.Table:
        """Return the questions that wait: no answer will come."""
        left, self._waiting = self._waiting, self._waiting.slice(0, 0)
        self._talks = self._talks[:0]
        return left
