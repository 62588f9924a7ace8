"""No rotary positions: a penalty that grows with the distance, with a slope for each head (ALiBi)."""

HONEST = True
EDITS = (
    (
        "        q, k = norm(rotate(qk, cos, sin)).transpose(1, 2).chunk(2, dim=1)\n",
        "        q, k = norm(qk).transpose(1, 2).chunk(2, dim=1)\n",
    ),
    (
        "        mixed = self.attend(q, k, v.transpose(1, 2), self.scale)\n",
        """\
        place = torch.arange(time, device=x.device)
        back = place[:, None] - place
        slopes = 2.0 ** -torch.arange(1, self.n_head + 1, device=x.device, dtype=x.dtype)
        bias = (-slopes[:, None, None] * back).masked_fill((back < 0) | (back >= self.window), -torch.inf)
        mixed = F.scaled_dot_product_attention(q, k, v.transpose(1, 2), attn_mask=bias, scale=self.scale)
""",
    ),
)
