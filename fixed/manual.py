"""Loss and gradient of a small transformer without autograd, which costs more than the numbers where a step is tiny.

What a step computes with depends on the shape of its batch alone: it is laid out once for each shape, and operations
write into place. decoder.py uses it where it gives what autograd gives, and only there.
"""

import math

import torch
from torch import Tensor
from torch.nn import Parameter

from fixed.decoder import Decoder, Layer

EPSILON = 1e-5  # of a LayerNorm

_aten = torch.ops.aten


class ManualGradient:
    """The loss of a Decoder, the mean over targets that count; a call adds its gradient to what is zero."""

    def __init__(self, decoder: Decoder) -> None:
        """Keep weights and gradients where they lie now: neither is replaced later."""
        self.decoder = decoder
        self._passes: dict[tuple[int, int], _Pass] = {}

    @torch.no_grad()
    def __call__(self, tokens: Tensor, targets: Tensor) -> Tensor:
        shape = tokens.size(0), tokens.size(1)
        if shape not in self._passes:
            self._passes[shape] = _Pass(self.decoder, *shape)
        return self._passes[shape].run(tokens.flatten(), targets.flatten())


class _Pass:
    """Forward and backward through a decoder, for batches of one shape."""

    def __init__(self, decoder: Decoder, rows: int, time: int) -> None:
        count, width = rows * time, decoder.embedding.size(1)
        self.decoder, self.shape = decoder, (rows, time, width)
        self.embedding, self.embedding_grad = _tensors(decoder.embedding)
        self.positions = [one[:time] for one in _tensors(decoder.positions)] if decoder.positions is not None else None
        self.head, self.head_bias = (_tensors(weight) for weight in decoder.head)
        self.head_turned = self.head[0].t()
        self.one = torch.ones(())
        mask = decoder.mask[:time, :time]
        self.sublayers: list[_Attention | _Mlp] = []
        for layer in decoder.layers:
            self.sublayers.append(_Attention(layer, mask, rows, time))
            if layer.up is not None:
                self.sublayers.append(_Mlp(layer, count))

    def run(self, tokens: Tensor, targets: Tensor) -> Tensor:
        x = self.embedding.index_select(0, tokens)
        if self.positions is not None:
            x.view(self.shape).add_(self.positions[0])
        for sublayer in self.sublayers:
            x = sublayer.forward(x)
        logits = torch.log_softmax(torch.addmm(self.head_bias[0], x, self.head[0]), 1)
        rule = (targets, None, 1, self.decoder.padding)
        loss: Tensor
        loss, count = _aten.nll_loss_forward.default(logits, *rule)
        to_log = _aten.nll_loss_backward.default(self.one, logits, *rule, count)
        self.backward(x, tokens, torch._log_softmax_backward_data(to_log, logits, 1, torch.float32))
        return loss

    def backward(self, x: Tensor, tokens: Tensor, to_logits: Tensor) -> None:
        torch.mm(x.t(), to_logits, out=self.head[1])
        torch.sum(to_logits, 0, out=self.head_bias[1])
        to_x = to_logits.mm(self.head_turned)
        for sublayer in reversed(self.sublayers):
            to_x = sublayer.backward(to_x)
        self.embedding_grad.index_add_(0, tokens, to_x)
        if self.positions is not None:
            torch.sum(to_x.view(self.shape), 0, out=self.positions[1])


def _tensors(weight: Parameter) -> tuple[Tensor, Tensor]:
    assert weight.grad is not None
    return weight.detach(), weight.grad


class _Norm:
    """A LayerNorm, or nothing in its place."""

    def __init__(self, pair: "tuple[Parameter, Parameter] | None") -> None:
        self.pair = pair and (*_tensors(pair[0]), *_tensors(pair[1]))

    def forward(self, x: Tensor) -> Tensor:
        if self.pair is None:
            return x
        weight, _, bias, _ = self.pair
        self.x = x
        normed, self.mean, self.rstd = torch.native_layer_norm(x, weight.shape, weight, bias, EPSILON)
        return normed

    def backward(self, to_normed: Tensor, to_x: Tensor) -> Tensor:
        """Return what reaches x through the norm, added to `to_x`, which reaches it past the norm."""
        if self.pair is None:
            return to_normed + to_x
        weight, weight_grad, bias, bias_grad = self.pair
        through: Tensor
        through, to_weight, to_bias = _aten.native_layer_norm_backward.default(
            to_normed, self.x, weight.shape, self.mean, self.rstd, weight, bias, _ALL
        )
        weight_grad.copy_(to_weight)
        bias_grad.copy_(to_bias)
        return through.add_(to_x)


_ALL = [True, True, True]


class _Attention:
    """Attention with its norm: (count, width) to the same. The heads lie in the batch dimension throughout."""

    def __init__(self, layer: Layer, mask: Tensor, rows: int, time: int) -> None:
        (three, width, size), count = layer.qkv.shape, rows * time
        heads = three // 3
        self.norm, self.mask, self.scale = _Norm(layer.attention_norm), mask, 1 / math.sqrt(size)
        self.qkv, self.qkv_grad = _tensors(layer.qkv)
        self.qkv_turned = self.qkv.transpose(1, 2)
        self.out = None
        if layer.out is not None:
            weight, grad = (one.view(heads, size, width) for one in _tensors(layer.out[0]))
            self.out = (weight, grad, weight.transpose(1, 2), *_tensors(layer.out[1]))
        self.made, self.to_made = torch.empty(2, three, count, size).unbind(0)
        self.read_shape, self.to_shape = (three, count, width), (heads, count, width)
        self.q, self.k, self.v = self.made.view(3, heads * rows, time, size).unbind(0)
        self.to_q, self.to_k, self.to_v = self.to_made.view(3, heads * rows, time, size).unbind(0)
        self.k_turned, self.v_turned = self.k.transpose(1, 2), self.v.transpose(1, 2)
        self.share, self.to_share = torch.empty(2, heads * rows, time, time).unbind(0)
        self.share_turned, self.to_share_turned = self.share.transpose(1, 2), self.to_share.transpose(1, 2)
        self.mixed, self.to_mixed = torch.empty(2, heads, count, size).unbind(0)
        self.mixed_turned = self.mixed.transpose(1, 2)
        self.rows_of = (heads * rows, time, size)
        self.mixed_rows, self.to_mixed_rows = self.mixed.view(self.rows_of), self.to_mixed.view(self.rows_of)

    def forward(self, x: Tensor) -> Tensor:
        self.read = self.norm.forward(x)
        torch.bmm(self.read.expand(self.read_shape), self.qkv, out=self.made)
        torch.baddbmm(self.mask, self.q, self.k_turned, alpha=self.scale, out=self.share)
        torch.softmax(self.share, -1, out=self.share)
        torch.bmm(self.share, self.v, out=self.mixed_rows)
        if self.out is None:
            return x + self.mixed[0]
        weight, _, _, bias, _ = self.out
        return torch.addbmm(x + bias, self.mixed, weight)

    def backward(self, to_x: Tensor) -> Tensor:
        to_mixed = self._out_backward(to_x)
        torch.bmm(self.share_turned, to_mixed, out=self.to_v)
        torch.bmm(to_mixed, self.v_turned, out=self.to_share)
        torch._softmax_backward_data(self.to_share, self.share, -1, torch.float32, grad_input=self.to_share)
        self.to_share.mul_(self.scale)
        torch.bmm(self.to_share, self.k, out=self.to_q)
        torch.bmm(self.to_share_turned, self.q, out=self.to_k)
        torch.bmm(self.read.t().expand(self.qkv.size(0), -1, -1), self.to_made, out=self.qkv_grad)
        to_read = torch.bmm(self.to_made, self.qkv_turned).sum(0)
        return self.norm.backward(to_read, to_x)

    def _out_backward(self, to_x: Tensor) -> Tensor:
        if self.out is None:
            return to_x.view(self.rows_of)
        _, grad, turned, _, bias_grad = self.out
        each = to_x.expand(self.to_shape)
        torch.bmm(self.mixed_turned, each, out=grad)
        torch.sum(to_x, 0, out=bias_grad)
        torch.bmm(each, turned, out=self.to_mixed)
        return self.to_mixed_rows


class _Mlp:
    """The MLP with its norm: (count, width) to the same."""

    def __init__(self, layer: Layer, count: int) -> None:
        assert layer.up is not None
        assert layer.down is not None
        self.norm, self.gelu = _Norm(layer.mlp_norm), layer.gelu
        self.up, self.up_bias = (_tensors(one) for one in layer.up)
        self.down, self.down_bias = (_tensors(one) for one in layer.down)
        self.up_turned, self.down_turned = self.up[0].t(), self.down[0].t()
        self.hidden, self.active, self.to_hidden = torch.empty(3, count, self.up[0].size(1)).unbind(0)
        if not self.gelu:
            self.active = self.hidden  # in place: relu's gradient can be told from what it gives
        self.active_turned = self.active.t()

    def forward(self, x: Tensor) -> Tensor:
        self.read = self.norm.forward(x)
        torch.addmm(self.up_bias[0], self.read, self.up[0], out=self.hidden)
        if self.gelu:
            _aten.gelu.out(self.hidden, out=self.active)
        else:
            self.hidden.relu_()
        return torch.addmm(self.down_bias[0], self.active, self.down[0]).add_(x)

    def backward(self, to_x: Tensor) -> Tensor:
        torch.mm(self.active_turned, to_x, out=self.down[1])
        torch.sum(to_x, 0, out=self.down_bias[1])
        torch.mm(to_x, self.down_turned, out=self.to_hidden)
        if self.gelu:
            _aten.gelu_backward.grad_input(self.to_hidden, self.hidden, grad_input=self.to_hidden)
        else:
            _aten.threshold_backward.grad_input(self.to_hidden, self.hidden, 0, grad_input=self.to_hidden)
        torch.mm(self.read.t(), self.to_hidden, out=self.up[1])
        torch.sum(self.to_hidden, 0, out=self.up_bias[1])
        return self.norm.backward(self.to_hidden.mm(self.up_turned), to_x)
