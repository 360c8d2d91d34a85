"""The oracle must catch what it is there for: each kind of lie is planted and has to be noticed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from oracle import DatasetOracle


@pytest.fixture
def oracle() -> DatasetOracle:
    made = DatasetOracle("d", 100, 50)
    made.begin_put(np.arange(20))
    made.acknowledge()
    return made


def truth(oracle: DatasetOracle) -> pa.Table:
    numbers = np.flatnonzero(oracle.current)
    return oracle.rows.table(oracle.first + numbers, oracle.current[numbers])


def test_the_truth_passes(oracle):
    oracle.expect(truth(oracle))
    assert oracle.live().tolist() == list(range(100, 120))


def test_lost_row(oracle):
    with pytest.raises(AssertionError, match="row 100: got absent, may be version 1"):
        oracle.expect(truth(oracle).slice(1))
    with pytest.raises(AssertionError, match="20 rows wrong"):
        oracle.expect(None)


def test_phantom_row(oracle):
    phantom = oracle.rows.table(np.array([149]), np.array([7]))
    with pytest.raises(AssertionError, match="row 149: got version 7, may be absent"):
        oracle.expect(pa.concat_tables([truth(oracle), phantom]))


def test_duplicate_id(oracle):
    with pytest.raises(AssertionError, match="duplicate ids .*119"):
        oracle.expect(pa.concat_tables([truth(oracle), truth(oracle).slice(19)]))


def test_stale_version(oracle):
    before = truth(oracle)
    oracle.begin_put(np.array([3]))
    oracle.acknowledge()
    with pytest.raises(AssertionError, match="row 103: got version 4, may be version 21"):
        oracle.expect(before)


def test_deleted_row_that_comes_back(oracle):
    before = truth(oracle)
    oracle.begin_delete(5)
    oracle.acknowledge()
    with pytest.raises(AssertionError, match="row 105: got version 6, may be absent"):
        oracle.expect(before)


def test_foreign_content(oracle):
    table = truth(oracle)
    swapped = table.set_column(3, "text", pa.array(table["text"].to_pylist()[::-1]))
    with pytest.raises(AssertionError, match="text is not the one"):
        oracle.expect(swapped)
    vectors = pa.concat_tables([table.slice(1), table.slice(0, 1)])["vector"]
    with pytest.raises(AssertionError, match="vector is not the one"):
        oracle.expect(table.set_column(1, "vector", vectors.combine_chunks()))


@pytest.mark.parametrize("happened", [True, False])
def test_an_unacknowledged_operation_may_go_either_way_but_then_stays(oracle, happened):
    before = truth(oracle)
    new = oracle.begin_put(np.array([0, 30]))
    after = pa.concat_tables([before.slice(1), new])
    oracle.expect(after if happened else before)
    with pytest.raises(AssertionError):
        oracle.expect(before if happened else after)
