"""No attention: each channel mixes its last four places, with weights from the projections of a token itself."""

HONEST = True
EDITS = (
    (
        "        mixed = self.attend(q, k, v.transpose(1, 2), self.scale)\n",
        """\
        past = torch.stack([F.pad(v, (0, 0, 0, 0, back, 0))[:, :time] for back in range(4)])
        shares = torch.softmax((q * k).transpose(1, 2)[..., :4], dim=-1)
        mixed = torch.einsum("nbthd,bthn->bhtd", past, shares)
""",
    ),
)
