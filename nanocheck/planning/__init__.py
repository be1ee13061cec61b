"""A whole training run on cards: one recorded step, a goal and prices make hours, kWh and money."""
