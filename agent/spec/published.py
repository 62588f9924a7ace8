"""Published models and devices, to check and compare with. Literals; each says where it was published."""

from agent.core.frozen import frozen


@frozen
class GptShape:
    """The shape of a GPT-2: learned positions, biases, two norms a block and a last one, a head tied to the tokens."""

    n_layer: int
    d_model: int
    n_head: int
    vocab: int = 50257  # tokens of GPT-2's byte-pair encoding
    context: int = 1024  # positions


# By name: the shape, and the size as its makers state it. GPT-2: Radford et al. 2019, table 2 (whose sizes are somewhat
# too small), with the heads of the released configurations. GPT-3: Brown et al. 2020, arXiv 2005.14165, table 2.1; the
# width of its 13B is 5140 there, which does not divide into its 40 heads; its sparse attention counts as dense.
MODELS = {
    "GPT-2 small": (GptShape(12, 768, 12), "117M"),
    "GPT-2 medium": (GptShape(24, 1024, 16), "345M"),
    "GPT-2 large": (GptShape(36, 1280, 20), "762M"),
    "GPT-2 XL": (GptShape(48, 1600, 25), "1542M"),
    "GPT-3 125M": (GptShape(12, 768, 12, context=2048), "125M"),
    "GPT-3 350M": (GptShape(24, 1024, 16, context=2048), "350M"),
    "GPT-3 760M": (GptShape(24, 1536, 16, context=2048), "760M"),
    "GPT-3 1.3B": (GptShape(24, 2048, 24, context=2048), "1.3B"),
    "GPT-3 2.7B": (GptShape(32, 2560, 32, context=2048), "2.7B"),
    "GPT-3 6.7B": (GptShape(32, 4096, 32, context=2048), "6.7B"),
    "GPT-3 13B": (GptShape(40, 5140, 40, context=2048), "13.0B"),
    "GPT-3 175B": (GptShape(96, 12288, 96, context=2048), "175.0B"),
}

# Memory in GB from the makers' data sheets, by the names of the fixed side's PEAK_FLOPS (an A100 is also sold with 40).
DEVICE_GB = {
    "B200": 180, "H200": 141, "H100 PCIe": 80, "H100 NVL": 94, "H100": 80, "A100": 80, "L40S": 48, "RTX 4090": 24,
}  # fmt: skip
