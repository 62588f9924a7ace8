"""Every bound of the audit, with its unit in its name. docs/audit.md gives the reason of each; a test holds the two."""

from collections.abc import Mapping

from agent.core.frozen import frozen

OK = "ok"  # what a check says where it holds


@frozen
class AuditRules:
    """The bounds by which a winner is judged. A `_ratio` has no unit, `_sigmas` are those from run to run."""

    finding_chars: int = 300  # of what one check says
    piece_bytes: int = 4096  # of the pieces of documents whose losses are paired
    implausible_gain_ratio: float = 0.3  # of the baseline's metric
    confirmed_gain_ratio: float = 0.5  # of the gain on the validation set, which the second set must show
    holdout_alpha: float = 0.025  # the chance that no gain passes for one, shared by all readings of the second set
    suspect_sigmas: float = 2.0  # by which another run of a winner is better than the audited one, to be scored as well
    outlier_sigmas: float = 4.0  # by which the mean of a winner's other runs may be better than the audited one
    outlier_rate: float = 0.002  # the share of honest winners that may be held for that, where few runs tell sigma
    overhead_ratio: float = 1.5  # of what the baseline's runs take beside their training
    overhead_slack_s: float = 2.0
    overhead_slack_ratio: float = 0.02  # of the run's own seconds
    wall_overtime_ratio: float = 1.05  # of the budget, which the last step may exceed
    wall_overtime_s: float = 1.0
    calibrated_ratio: float = 2.0  # of the calibrated budget, and at most of the baseline's excess over it
    unprobed_ratio: float = 3.0  # of the baseline's training, where the budget is in steps or tokens
    claimed_work_ratio: float = 2.0  # of the baseline's work a token or a step, that a model's code may claim
    overcharged_steps: float = 16.0  # by which backward passes may exceed the steps given: the last step takes several
    pace_ratio: float = 1.25  # of the baseline's training on the calibrated clock
    cpu_ratio: float = 1.25  # of the baseline's processor seconds
    forgiven_ratio: float = 8.0  # of the baseline's seconds: a run that took longer is not excused by others


@frozen
class ScoringRules:
    """How much of a checkpoint is scored on one profile, and how far two honest answers may differ."""

    batch_tokens: int  # of one query, in whole rows: on the main track 1 GB of logits on `full`, 8 MB on `mini`
    scored_tokens: int  # of each held-out set, in whole rows
    repeated_tokens: int  # of both sets together, in whole rows, that are sent twice
    claim_error_ratio: float  # by which the audited nats may differ from the claimed ones
    piece_error_ratio: float  # by which those of one document or row may, of 1 nat where it is less
    shift_nats: float  # by which the probability of a token may move, in nats
    unseen_errors: float = 4.0  # standard errors by which a row's last place may gain less than its others
    cut_share: float = 0.8  # of the rows sent twice: with other tokens after a cut
    probed_logits: int = 16  # random entries of the vocabulary kept at each place, beside the next token's
    nat_shift: float = 1e-3  # nats a token, beyond noise, by which a row may cost more or less the second time


RULES = AuditRules()
# On `full` the 192 rows of a winner of the main track and the 128 of its baseline are 655,000 tokens and 21 GB of
# logits: 14 s at 1.5 GB a second, which leaves as much of an audit's 30 s to start four processes (an estimate: CUDA
# has not been measured).
SCORING: Mapping[str, ScoringRules] = {
    "full": ScoringRules(
        batch_tokens=32_768,
        scored_tokens=1 << 19,
        repeated_tokens=131_072,
        claim_error_ratio=0.002,
        piece_error_ratio=0.02,
        shift_nats=2**-3,
    ),
    "mini": ScoringRules(
        batch_tokens=2048,
        scored_tokens=1 << 18,
        repeated_tokens=32_768,
        claim_error_ratio=0.0002,
        piece_error_ratio=0.001,
        shift_nats=2**-10,
    ),
}
