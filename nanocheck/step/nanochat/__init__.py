"""nanochat's two releases and autoresearch as real PyTorch code, written anew from facts and in their order.

Sources, https://github.com/karpathy/nanochat: for ``nanochat-2025`` the release of October 2025 (commit
dd6ff9a), for ``nanochat-2026`` its state of mid-2026 (commit 0aaca56): ``gpt.py``, the optimizers, the data
loader and ``base_train.py``. For ``autoresearch``: https://github.com/karpathy/autoresearch, ``train.py``
(model, optimizer, loop) and ``prepare.py`` (loader, evaluation). As in the GPT-2 of ``step.model``, what must
agree for equal peaks is the order of parameters, what is computed in which order and dtype, and which names
live how long.

Left out, for they move no memory: how learning rates, momentum and weight decay end, which depends on the
length of a run (``schedule`` has how they begin), key-value caches, and the padding of the vocabulary to a
multiple of 64 (``vocab_size`` is what the embedding has). On cards with FlashAttention 3 (Hopper) nanochat
uses it, and autoresearch asks for it on any card; here it is PyTorch's attention everywhere. What forks of
autoresearch put in its place is causal attention without windows, and so it is here. autoresearch saves no
checkpoint: that of ``cycle = "full"`` is ours.
"""
