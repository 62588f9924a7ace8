"""A Triton kernel of its own for the squared ReLU where there is CUDA and Triton, and plain torch elsewhere."""

HONEST = True
EDITS = (
    (
        "import prepare\nfrom fixed",
        """\
try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

import prepare
from fixed""",
    ),
    (
        "class Block(nn.Module):\n",
        '''\
if triton is not None:

    @triton.jit
    def _square(x_ptr, out_ptr, count, BLOCK: "tl.constexpr"):  # type: ignore[no-untyped-def]
        at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        x = tl.maximum(tl.load(x_ptr + at, mask=at < count), 0.0)
        tl.store(out_ptr + at, x * x, mask=at < count)


class SquaredRelu(torch.autograd.Function):
    """relu(x) ** 2, in one kernel where there is one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        if triton is None or not x.is_cuda:
            return F.relu(x).square()
        out, x = torch.empty_like(x), x.contiguous()
        _square[(triton.cdiv(x.numel(), 1024),)](x, out, x.numel(), BLOCK=1024)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * grad * F.relu(x)


class Block(nn.Module):
''',
    ),
    (
        """\
        hidden = F.relu(self.up(norm(x)))
        return x + self.down(hidden * hidden)  #""",
        """\
        return x + self.down(SquaredRelu.apply(self.up(norm(x))))  #""",
    ),
)
