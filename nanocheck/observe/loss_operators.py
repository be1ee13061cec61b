"""Which operators a loss over classes is made of, by the names that autograd gives their nodes.

Names are PyTorch's own (``tools/autograd/derivatives.yaml`` in its sources), or a class's for a
``torch.autograd.Function``.
"""

from __future__ import annotations

import functools
import re
from typing import Any

#: Operators of a loss over classes; a loss written from its formula picks (``gather``) the target's.
_LOSS = re.compile(r"LogSoftmax|NllLoss\w*|\w*cross_?entropy\w*|KlDiv|Logsumexp|Gather", re.IGNORECASE)
#: A loss that has the head inside makes the logits and lets go of them: it reads no logits.
_FUSED = re.compile(r"linear", re.IGNORECASE)
#: These give out the memory they were given.
_VIEWS = (
    "View|UnsafeView|ReshapeAlias|Slice|Select|Squeeze|Unsqueeze|T|Transpose|Permute|Alias|Expand|AsStrided|"
    "Unbind|Split|SplitWithSizes|Diagonal|Unfold|MovedDim|Swapaxes|CopySlices|_DDPSink|BackwardHookFunction|"
    "RegisterPostBackwardFunction|RegisterPreBackwardFunction|PreBackwardFunction"
)
_VIEW = re.compile(_VIEWS)
#: What may stand between the logits and the loss; no activation function, no norm, no product of matrices.
_PASSES = re.compile(
    rf"{_VIEWS}|Clone|ToCopy|Copy|Cat|Stack|ConstantPadNd|Index|IndexSelect|MaskedSelect|MaskedFill|"
    "MaskedScatter|Where|Scatter|IndexPut|Repeat|Roll|Flip|Add|Sub|Rsub|Mul|Div|Neg|Exp|Expm1|Log|Log1P|Log2|"
    "Softmax|Pow|Sqrt|Tanh|Sigmoid|LogSigmoid|Softplus|Clamp|ClampMin|ClampMax|Abs|Minimum|Maximum|NanToNum|"
    "Reciprocal|Lerp|NativeDropout|Dropout|Sum|Mean|Max|Amax|Min|Amin|Logcumsumexp|NanSum|Cumsum"
)
#: Met on the way back from what a loss reads, these say that it reads hidden states: its head is inside it.
_HIDDEN = re.compile(r"\w*Norm\w*|Rsqrt|\w*Embedding\w*")


class Kind:
    """What an operator's name says; ``LogSoftmaxBackward0`` is of ``LogSoftmax``."""

    def __init__(self, name: str) -> None:
        name = re.sub(r"Backwards?\d*$", "", name.rpartition("::")[2])
        self.is_leaf = name == "AccumulateGrad"
        self.is_loss = bool(_LOSS.fullmatch(name))
        self.is_fused = bool(_FUSED.search(name))
        self.is_view = bool(_VIEW.fullmatch(name))
        self.passes = bool(_PASSES.fullmatch(name))
        self.is_hidden = bool(_HIDDEN.fullmatch(name))


_of_name = functools.cache(Kind)


def kind(node: Any) -> Kind:
    """What the operator of a node of autograd's graph is."""
    return _of_name(node.name())
