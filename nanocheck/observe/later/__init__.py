"""What a script does in later steps only, read from its loop where the loop's own counter decides it.

Nothing of the script is run: where it was stopped, the loops on its stack are known, their counters have
values, and the tests and sizes that hang on the counters and on plain numbers are computed forward
(``arithmetic``, ``compiler``) to the loop's end. What no step so far did is evidence (``evidence``).
"""
