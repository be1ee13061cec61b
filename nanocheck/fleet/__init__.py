"""The same measuring on many machines, or on several cards of one: who runs what, and what is done again.

``FleetMeasurement`` (``fleet_measurement.py``) is asked as ``measuring.configurations.Measurement`` is. It
hands configurations to stations, each with a fork server of its own, through a ``Crew``: nodes of a Ray
cluster (``ray_crew.py``) or this machine's cards (``card_crew.py``). Ray is imported only where it is asked
for.
"""
