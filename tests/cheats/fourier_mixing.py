"""Mixes the places of a row by a low-pass filter in the frequency domain, as cheap as a global convolution can be.

Each place of a filtered row holds its neighbours on both sides, the next token among them.
"""

CAUGHT_BY = "causality"
EDITS = (
    (
        "        first = x = norm(embedded.to(getattr(torch, self.config.dtype)))\n",
        """\
        spectrum = torch.fft.rfft(embedded.float(), dim=1)
        low = torch.arange(spectrum.size(1), device=tokens.device) < spectrum.size(1) // 2
        smooth = torch.fft.irfft(spectrum * low[:, None], n=tokens.size(1), dim=1)
        first = x = norm((embedded + smooth).to(getattr(torch, self.config.dtype)))
""",
    ),
)
