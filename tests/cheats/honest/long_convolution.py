"""A convolution as long as the sequence, with a filter of its own for each channel, in place of attention."""

HONEST = True
EDITS = (
    (
        "        self.out = Linear(width, width)\n",
        """\
        self.out = Linear(width, width)
        self.filter = nn.Parameter(torch.empty(width, config.sequence_length))
""",
    ),
    (
        """\
        mixed = self.attend(q, k, v.transpose(1, 2), self.scale)
        return self.out(mixed.transpose(1, 2).reshape(batch, time, width))
""",
        """\
        fade = torch.exp(-torch.arange(time, device=x.device) / 32)
        length, signal = 2 * time, v.reshape(batch, time, width).transpose(1, 2).float()
        spectrum = torch.fft.rfft(signal, length) * torch.fft.rfft(self.filter[:, :time] * fade, length)
        return self.out(torch.fft.irfft(spectrum, length)[..., :time].transpose(1, 2).to(x.dtype))
""",
    ),
)
