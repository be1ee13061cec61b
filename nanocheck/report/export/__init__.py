"""What nanocheck found, in formats that other programs read.

``stored`` reads files of ours into ``CardRun``s, as ``sources`` makes them; each format is a module with a
pure function of them. What stands in a name or a message reads the same on every machine
(``core.anonymous.portable``).
"""
