"""The size of a model that was built, where no formula describes the script. No effects."""

from agent.core.frozen import frozen


@frozen
class ModelSize:
    """What building a script's model and training it for some steps showed on one profile.

    params: its parameters. flops_per_token: FLOPs of a training token, forward and backward. memory_mb: MB at the peak.
    """

    params: int
    flops_per_token: int
    memory_mb: int
