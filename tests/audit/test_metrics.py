"""What the audit divides nats by, in each metric that it knows."""

import math

import numpy as np
import pytest

from agent.audit.metrics import METRICS, units


def test_bits_a_byte_count_bytes_and_nats_a_character_count_tokens() -> None:
    sizes = np.array([1, 3, 0])
    assert units("val_bpb", sizes).tolist() == pytest.approx([math.log(2), 3 * math.log(2), 0])
    assert units("val_nats", sizes).tolist() == [1, 1, 1]


@pytest.mark.parametrize("metric", METRICS)
def test_each_metric_has_units_for_each_token(metric: str) -> None:
    assert units(metric, np.ones(5, dtype=np.int64)).shape == (5,)


def test_a_metric_that_is_not_known_has_none() -> None:
    with pytest.raises(KeyError):
        units("seconds", np.ones(1))
