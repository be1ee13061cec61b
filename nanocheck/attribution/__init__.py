"""From the journals of a run to its answer: whose memory it was, when, and what that means for the card.

Pure functions over plain data, in one direction::

    journals --reading--> Observation --replay--> Allocations --phases, groups, places--> Answer
"""
