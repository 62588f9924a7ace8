"""Four small experts in place of one MLP; a router sends each token to one of them."""

HONEST = True
EDITS = (
    ("MLP_RATIO = 4  #", "EXPERTS = 4  # MLPs of a block, of which each token takes one\nMLP_RATIO = 2  #"),
    (
        """\
        self.up = Linear(config.model_dim, config.mlp_ratio * config.model_dim)
        self.down = Linear(config.mlp_ratio * config.model_dim, config.model_dim)
""",
        """\
        wide = config.mlp_ratio * config.model_dim
        self.router = Linear(config.model_dim, EXPERTS)
        self.up = nn.Parameter(torch.empty(EXPERTS, wide, config.model_dim))
        self.down = nn.Parameter(torch.empty(EXPERTS, config.model_dim, wide))
""",
    ),
    (
        """\
        hidden = F.relu(self.up(norm(x)))
        return x + self.down(hidden * hidden)  #""",
        """\
        normed = norm(x)
        share, chosen = self.router(normed).softmax(-1).max(-1, keepdim=True)
        taken = torch.zeros_like(normed[..., :1].expand(*chosen.shape[:-1], EXPERTS)).scatter(-1, chosen, share)
        hidden = F.relu(torch.einsum("btw,ehw->bteh", normed, self.up.to(x.dtype)))
        return x + torch.einsum("bteh,ewh,bte->btw", hidden * hidden, self.down.to(x.dtype), taken)  #""",
    ),
)
