"""Grouped queries: two heads of queries share one of keys and values."""

HONEST = True
EDITS = (
    (
        "        self.qkv = nn.Parameter(torch.empty(3, width, width))\n",
        """\
        self.shared = max(1, config.n_head // 2)
        narrow = self.shared * (width // config.n_head)
        self.queries = Linear(width, width)
        self.keys_values = nn.Parameter(torch.empty(2, narrow, width))
""",
    ),
    (
        """\
        qkv = F.linear(x, self.qkv.flatten(0, 1).to(x.dtype)).view(batch, time, 3 * self.n_head, -1)
        qk, v = qkv.split([2 * self.n_head, self.n_head], dim=2)
        q, k = norm(rotate(qk, cos, sin)).transpose(1, 2).chunk(2, dim=1)
""",
        """\
        head = width // self.n_head
        q = self.queries(x).view(batch, time, self.n_head, head)
        k, v = F.linear(x, self.keys_values.flatten(0, 1).to(x.dtype)).view(batch, time, 2, self.shared, head).unbind(2)
        q, k = (norm(rotate(part, cos, sin)).transpose(1, 2) for part in (q, k))
        k, v = (part.repeat_interleave(self.n_head // self.shared, dim=at) for part, at in ((k, 1), (v, 2)))
""",
    ),
)
