"""The yardstick of log mining: Drain3 with the seven masks of its documentation, which redacts nothing.

Masks: colon-separated ids, IPv4 addresses, runs of hex groups (two sorts), hex numbers, numbers, quoted
commands. Depth, similarity and the rest are its defaults. Source: the example configuration of drain3.
"""

from drain3 import TemplateMiner
from drain3.masking import MaskingInstruction
from drain3.template_miner_config import TemplateMinerConfig

_EDGE, _END = r"((?<=[^A-Za-z0-9])|^)", r"((?=[^A-Za-z0-9])|$)"
MASKS = (
    (rf"{_EDGE}(([0-9a-f]{{2,}}:){{3,}}([0-9a-f]{{2,}})){_END}", "ID"),
    (rf"{_EDGE}(\d{{1,3}}\.\d{{1,3}}\.\d{{1,3}}\.\d{{1,3}}){_END}", "IP"),
    (rf"{_EDGE}([0-9a-f]{{6,}} ?){{3,}}{_END}", "SEQ"),
    (rf"{_EDGE}([0-9A-F]{{4}} ?){{4,}}{_END}", "SEQ"),
    (rf"{_EDGE}(0x[a-f0-9A-F]+){_END}", "HEX"),
    (rf"{_EDGE}([\-\+]?\d+){_END}", "NUM"),
    (r"(?<=executed cmd )(\".+?\")", "CMD"),
)


def masked_drain() -> TemplateMiner:
    """Return a fresh miner."""
    config = TemplateMinerConfig()
    config.masking_instructions = [MaskingInstruction(pattern, name) for pattern, name in MASKS]
    return TemplateMiner(config=config)
