"""A diagonal state space in place of attention: sixteen decaying memories a channel, summed up by a convolution."""

HONEST = True
EDITS = (
    (
        "        self.out = Linear(width, width)\n",
        """\
        self.out = Linear(width, width)
        self.mixed_in = nn.Parameter(torch.empty(width, 16))
""",
    ),
    (
        """\
        mixed = self.attend(q, k, v.transpose(1, 2), self.scale)
        return self.out(mixed.transpose(1, 2).reshape(batch, time, width))
""",
        """\
        decay = torch.logspace(-3, 0, 16, device=x.device)
        steps = torch.arange(time, device=x.device, dtype=torch.float32)
        kernel = self.mixed_in @ torch.exp(-decay[:, None] * steps)  # (width, T)
        signal = v.reshape(batch, time, width).transpose(1, 2).float()
        mixed = torch.fft.irfft(torch.fft.rfft(signal, 2 * time) * torch.fft.rfft(kernel, 2 * time), 2 * time)
        return self.out(mixed[..., :time].transpose(1, 2).to(x.dtype))
""",
    ),
)
