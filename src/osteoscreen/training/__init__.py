"""Training of both networks from a recipe, and their export to a model bundle."""
