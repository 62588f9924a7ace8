"""SGD with Nesterov momentum for the matrices, scaled to the norm of each matrix as LARS does, in place of Muon."""

HONEST = True
EDITS = (
    (
        "    average.lerp_(grad, 1 - momentum)\n",
        """\
    average.mul_(momentum).add_(grad)
    move = grad + momentum * average
    lengths = [part.norm(dim=(-2, -1), keepdim=True) for part in (weight, move)]
    weight.sub_(0.2 * rate * move * lengths[0].clamp_min(0.1) / lengths[1].clamp_min(1e-8))
    return
    average.lerp_(grad, 1 - momentum)
""",
    ),
)
