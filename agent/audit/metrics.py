"""The metrics that the audit can score: what each divides the nats of scored tokens by. Pure.

A track is audited in the metric that its track.toml names, over its own two held-out sets.
"""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

METRICS = {"val_bpb": "bits per byte", "val_nats": "nats a character"}  # fewer are better


def units(metric: str, sizes: "np.ndarray") -> "np.ndarray":
    """Return what a metric divides the nats of tokens by, float64 of each: ln 2 times its bytes, or one.

    sizes: the raw bytes of each token. Nats over ln 2 times bytes are bits per byte; a character is one token. Raises
    KeyError for a metric that is none of METRICS.
    """
    return {"val_bpb": math.log(2) * sizes, "val_nats": 0.0 * sizes + 1.0}[metric]
