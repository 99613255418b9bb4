"""Tests the text that says which chunk a trajectory belongs to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunk_ppo_ros.core.chunk_origin import ChunkOrigin

STAMPS = st.integers(0, 2**63 - 1)


@settings(deadline=None)
@given(st.builds(ChunkOrigin, st.text(min_size=1), STAMPS, STAMPS))
def test_an_origin_is_read_as_it_was_written(origin: ChunkOrigin) -> None:
    assert ChunkOrigin.parse(str(origin)) == origin


@pytest.mark.parametrize(
    "text", ["", "world", "/1/2", "run/1", "run/1/", "run/-1/2", "run/1/2.5", "run/1/2 ", "run/\u0661/2"]
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="header.frame_id must be RUN/NUMBER/STAMP"):
        ChunkOrigin.parse(text)
