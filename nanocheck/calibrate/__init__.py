"""What a model of time wants to know of a card, measured on it in two minutes."""
