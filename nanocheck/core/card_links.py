"""How a card meets the others of its machine: NVLink, peer access over PCI Express, or through the host.

For what programs ask of a machine with several cards; nothing is counted by it.
"""

from __future__ import annotations

#: NVLinks of the modules that NVIDIA joins by switches (HGX boards), by their ids in the catalog, from
#: NVIDIA's architecture papers: 6 of V100, 12 of A100, 18 of H100 (the H200 is one with other memory) and of
#: Blackwell. Cards in PCI Express slots that a bridge can join in pairs are taken to have none.
_LINKS = {
    "v100-16gb": 6,
    "v100-32gb": 6,
    "a100-40gb": 12,
    "a100-80gb": 12,
    "h100": 18,
    "h200": 18,
    "b200": 18,
}
#: What names of cards begin with whose drivers refuse one card the memory of another.
_WITHOUT_PEERS = ("NVIDIA GeForce", "GeForce")


def links(gpu_id: str) -> int:
    """NVLinks of a card to the others of its machine; 0: they meet on PCI Express."""
    return _LINKS.get(gpu_id, 0)


def reads_peers(name: str) -> bool:
    """Whether the driver lets it read another card's memory, by the name that CUDA prints: GeForce cards may
    not (those of the series 20 and 30 that a bridge joins may in truth).
    """
    return not name.startswith(_WITHOUT_PEERS)
